"""The Jinja environment of all screens: escaping on, unknown names refused, `t` for words."""

from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from starlette.requests import Request
from starlette.templating import Jinja2Templates

from api.http.i18n import LANGUAGE_COOKIE, Language, pick_language, translate
from api.http.surfaces import TEMPLATES
from core.money import format_vnd
from core.shared_clock import read_shared_clock

# What the pages are written for: no inline code, nothing from elsewhere. Sent with every page.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; worker-src 'self'; "
    "manifest-src 'self'; media-src 'self' blob:; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
THEMES: Final = ("light", "dark", "sunlight")
THEME_COOKIE: Final = "phopay_theme"  # written by js/app.js; without it the device's wish counts
TEXT_COOKIE: Final = "phopay_text"  # "large" or nothing


def make_environment() -> Environment:
    """Return the environment that renders the templates of all surfaces.

    Templates get `t("counter.paid", …)`, which reads `lang` of the page, and the filter `vnd`
    (20000 → "20.000 ₫"). A name that the page was not given is an error, not an empty text.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,  # live screens render thousands of parts; a restart reads templates anew
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["t"] = _say
    environment.filters["vnd"] = format_vnd
    return environment


def language_of(request: Request) -> Language:
    """Return the language this request should be answered in."""
    return pick_language(
        request.headers.get("accept-language"),
        request.cookies.get(LANGUAGE_COOKIE),
        request.query_params.get("lang"),
    )


def page_context(request: Request) -> dict[str, object]:
    """Give every page what templates/base.html needs: language, theme, text size, the switch.

    And the hub's time, because scripts never compare it with the device's (js/hub_clock.js).
    """
    theme = request.cookies.get(THEME_COOKIE)
    return {
        "lang": language_of(request),
        "hub_now": read_shared_clock().isoformat(),
        "theme": theme if theme in THEMES else None,
        "is_text_large": request.cookies.get(TEXT_COOKIE) == "large",
        "query": [(k, v) for k, v in request.query_params.multi_items() if k != "lang"],
    }


@pass_context
def _say(context: Context, key: str, **values: object) -> str:
    return translate(str(context["lang"]), key, **values)


templates = Jinja2Templates(env=make_environment(), context_processors=[page_context])
