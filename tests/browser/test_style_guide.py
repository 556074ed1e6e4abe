"""Every part of the design in a real browser: reachable, readable, and nothing from elsewhere."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from api.http.templating import THEMES, make_environment
from tests.browser.static_site import StaticSite

pytestmark = pytest.mark.browser

OpenPage = Callable[..., Page]


def render(template: str, **values: Any) -> str:
    """Render a page as a request without cookies would get it."""
    frame: dict[str, Any] = {"lang": "vi", "theme": None, "is_text_large": False, "query": []}
    until = datetime.now(UTC) + timedelta(minutes=9)
    return (
        make_environment()
        .get_template(template)
        .render(**(frame | {"until": until.isoformat()} | values))
    )


def open_guide(new_page: OpenPage, site: StaticSite, *, width: int = 390, **values: Any) -> Page:
    page = new_page(width=width)
    page.goto(site.put("/style", render("style_guide.html", **values)))
    page.evaluate("document.fonts.ready")
    return page


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [390, 1280])
def test_every_part_is_accessible_and_fits_the_screen(
    new_page: OpenPage, static_site: StaticSite, theme: str, width: int
) -> None:
    page = open_guide(new_page, static_site, width=width, theme=theme)

    report = Axe().run(page)

    assert report.violations_count == 0, report.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_sunlight_theme_has_seven_to_one_contrast_everywhere(
    new_page: OpenPage, static_site: StaticSite
) -> None:
    page = open_guide(new_page, static_site, theme="sunlight")

    report = Axe().run(
        page, options={"runOnly": {"type": "rule", "values": ["color-contrast-enhanced"]}}
    )

    assert report.violations_count == 0, report.generate_report()


def test_buttons_and_keys_are_large_enough_for_a_thumb(
    new_page: OpenPage, static_site: StaticSite
) -> None:
    page = open_guide(new_page, static_site)

    heights = "all => all.filter((e) => e.offsetHeight).map((e) => e.offsetHeight)"
    assert min(page.locator(".btn, .input, .select").evaluate_all(heights)) >= 48
    assert min(page.locator(".key, .btn-tall").evaluate_all(heights)) >= 64


def test_figures_of_money_are_all_equally_wide(new_page: OpenPage, static_site: StaticSite) -> None:
    page = open_guide(new_page, static_site)

    widths = page.evaluate("""() => ["1111111", "8888888"].map((figures) => {
        const span = Object.assign(document.createElement("span"), {className: "money"});
        span.textContent = figures;
        document.querySelector("h1").append(span);
        return span.getBoundingClientRect().width;
    })""")

    assert widths[0] == widths[1]


def test_colours_chosen_by_the_button_are_kept_for_the_next_page(
    new_page: OpenPage, static_site: StaticSite
) -> None:
    page = open_guide(new_page, static_site)

    page.locator("[data-next-theme]").click()

    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert "phopay_theme=dark" in page.evaluate("document.cookie")


def test_copy_button_copies_and_says_so(new_page: OpenPage, static_site: StaticSite) -> None:
    page = new_page(permissions=["clipboard-read", "clipboard-write"])
    page.goto(static_site.put("/style", render("style_guide.html")))

    page.get_by_role("button", name="Chép: Số tài khoản").click()

    page.get_by_text("Đã chép").first.wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "0123456789"


def test_time_ring_tells_the_page_when_a_code_has_expired(
    new_page: OpenPage, static_site: StaticSite
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=4)
    page = open_guide(new_page, static_site, until=soon.isoformat())

    page.evaluate("""new Promise((done) => {
        if (document.querySelector("[data-ended]")) done();
        document.addEventListener("phopay:expired", done);
    })""")

    assert page.locator(".time-ring text").text_content() == "0:00"


def test_english_page_has_english_words(new_page: OpenPage, static_site: StaticSite) -> None:
    page = open_guide(new_page, static_site, lang="en")

    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.get_by_role("button", name="Turn on sound").is_visible()


def test_api_reference_runs_from_our_own_files_only(
    new_page: OpenPage, static_site: StaticSite
) -> None:
    document = '{"openapi":"3.1.0","info":{"title":"T","version":"1"},"paths":{"/x":{"get":{}}}}'
    page = new_page(width=1280)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    static_site.put("/openapi.json", document)

    page.goto(static_site.put("/docs", render("api_docs.html", openapi_url="/openapi.json")))

    page.locator(".opblock").first.wait_for()
    assert [url for url in asked if not url.startswith((static_site.url, "data:"))] == []
