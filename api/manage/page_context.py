"""Page context for managers: who is there, for which organisation, and the menu."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from api.http.deps import CurrentCaller, Now
from api.http.i18n import translate, words_in
from api.http.middleware import no_store
from api.http.templating import language_of, templates
from api.services import Services, read_services
from core.clock import HANOI
from core.db import Database
from core.errors import Forbidden, HubError
from core.ids import new_id
from core.sealing import SecretNotReadable
from core.text import tidy_line
from identity.organisations.rules import OrgKind
from identity.people.callers import Caller
from identity.people.rules import Permission

MANAGE: Final = "/manage"
SECRET_COOKIE: Final = "phopay_once"  # noqa: S105  a name
SECRET_KEPT_S: Final = 120  # the page that shows it is loaded at once
PAGE_ROWS: Final = 50
CHOICES_MAX: Final = 200  # in a list to choose from; more are found by their name

# What lists of these pages are asked for: words to find, and where the page before ended.
Find = Annotated[str, Query(max_length=100)]
Before = Annotated[str | None, Query(max_length=40)]

# In the order of the menu: path, name in [nav] of words/*/manage.toml, icon, who sees it.
MENU: Final = (
    ("", "overview", "sun", Permission.LEDGER_READ),
    ("/breaks", "breaks", "warning", Permission.BREAKS_READ),
    ("/refunds", "refunds", "replay", Permission.BILLS_READ),
    ("/settlements", "settlements", "note", Permission.SETTLEMENTS_READ),
    ("/lots", "lots", "car", Permission.PARKING_READ),
    ("/stays", "stays", "clock", Permission.PARKING_READ),
    ("/reviews", "reviews", "warning", Permission.PARKING_OVERRIDE),
    ("/tariffs", "tariffs", "note", Permission.PARKING_READ),
    ("/ticket-books", "ticket_books", "list", Permission.PARKING_MANAGE),
    ("/tax-exports", "tax_exports", "note", Permission.LEDGER_READ),
    ("/complaints", "complaints", "note", Permission.COMPLAINTS_READ),
    ("/passes", "passes", "key", Permission.PARKING_READ),
    ("/watched-plates", "watched", "warning", Permission.PARKING_READ),
    ("/plate-requests", "plates", "person", Permission.PARKING_MANAGE),
    ("/payees", "payees", "stall", Permission.PAYEES_READ),
    ("/accounts", "accounts", "bank", Permission.ACCOUNTS_READ),
    ("/endpoints", "endpoints", "phone", Permission.CALLBACK_ENDPOINTS_READ),
    ("/toll-contracts", "toll_contracts", "car", Permission.CALLBACK_ENDPOINTS_READ),
    ("/webhooks", "webhooks", "share", Permission.WEBHOOK_ENDPOINTS_READ),
    ("/staff", "staff", "people", Permission.STAFF_READ),
    ("/devices", "devices", "qr", Permission.DEVICES_MANAGE),
    ("/keys", "keys", "key", Permission.KEYS_MANAGE),
    ("/audit", "audit", "list", Permission.AUDIT_READ),
    ("/organisations", "organisations", "share", Permission.ORGANISATIONS_MANAGE),
    ("/checks", "checks", "check", Permission.ORGANISATIONS_MANAGE),
)
CITY_PAGES: Final = ("organisations", "checks")
Errors = Mapping[str, str]  # field → what is wrong with it; "" is for the whole form


@dataclass(frozen=True, kw_only=True)
class Secret:
    """What is shown once, right after it was made."""

    kind: str  # key of [secret] in api/manage/words/*/manage.toml
    name: str
    text: str
    username: str = ""


@dataclass(frozen=True, kw_only=True)
class MenuItem:
    """One link of the menu."""

    name: str
    icon: str
    path: str
    is_here: bool


@dataclass(frozen=True, kw_only=True)
class ManagerContext:
    """Who manages which organisation, in one request."""

    request: Request
    caller: Caller
    services: Services
    now: datetime

    @property
    def database(self) -> Database:
        """For the one organisation per transaction of these pages."""
        return self.services.database

    @property
    def org_id(self) -> UUID:
        """The organisation acted for."""
        return self.caller.org_id

    @property
    def lang(self) -> str:
        """The language of the page."""
        return language_of(self.request)

    def may(self, permission: Permission) -> bool:
        """Whether this person holds a permission."""
        return self.caller.may(permission)

    def say(self, key: str, **values: object) -> str:
        """Say a text of api/manage/words/*/manage.toml."""
        return translate(self.lang, f"manage.{key}", **values)

    def word(self, group: str, name: str, otherwise: str | None = None) -> str:
        """Say a word of a table; a name that it has not is shown as it is, or otherwise."""
        key = f"manage.{group}.{name.replace('.', '_')}"
        if key in words_in("vi").texts:
            return translate(self.lang, key)
        return name if otherwise is None else otherwise

    def make_form_id(self) -> UUID:
        """Return what tells a form of this page from one that was sent before (forms.py)."""
        return new_id()

    def present_error(self, error: HubError) -> str:
        """Say what went wrong: in the reader's language where we have words, else in English."""
        key = f"manage.error.{error.code}"
        return translate(self.lang, key) if key in words_in("vi").texts else str(error)

    def path(self, path: str = "", **query: object) -> str:
        """Return an address of these pages that stays with the organisation acted for."""
        pairs = {name: value for name, value in query.items() if value not in (None, "")}
        if self.caller.org_id != self.caller.home.id:
            pairs["org"] = self.caller.org_code
        return f"{MANAGE}{path}{'?' if pairs else ''}{urlencode(pairs)}"

    @property
    def counter_path(self) -> str:
        """Return where the organisation's stalls take money."""
        query = f"?org={self.caller.org_code}" if self.caller.org_id != self.caller.home.id else ""
        return f"/counter{query}"

    def render(self, template: str, page: Any, *, here: str, status: int = 200) -> Response:
        """Render a page; a secret that was made a moment ago is shown on it, and only there."""
        secret = self._take_secret()
        done = self.request.query_params.get("done", "")
        facts = {
            "page": page,
            "manager": self,
            "here": here,
            "menu": self._menu(here),
            "secret": secret,
            "done": done if f"manage.done.{done}" in words_in("vi").texts else "",
        }
        answer = templates.TemplateResponse(self.request, template, facts, status_code=status)
        if SECRET_COOKIE in self.request.cookies:
            answer.delete_cookie(SECRET_COOKIE, path=MANAGE)
        return no_store(answer)

    def go(self, path: str, secret: Secret | None = None, **query: object) -> Response:
        """Send the browser on after a form (303: by GET), with a secret for the next page."""
        answer = RedirectResponse(self.path(path, **query), 303)
        if secret is not None:
            self._give_secret(answer, secret)
        return no_store(answer)

    def present_instant(self, instant: datetime | None) -> str:
        """Say an instant as people here read it: "14:05 · 21/11/2026"."""
        return "" if instant is None else f"{instant.astimezone(HANOI):%H:%M · %d/%m/%Y}"

    def present_age(self, instant: datetime) -> str:
        """Say how long ago something was."""
        minutes = max(0, int((self.now - instant).total_seconds()) // 60)
        if minutes == 0:
            return self.say("age.now")
        if minutes < 60:
            return self.say("age.minutes", count=minutes)
        if minutes < 48 * 60:
            return self.say("age.hours", count=minutes // 60)
        return self.say("age.days", count=minutes // (24 * 60))

    def _menu(self, here: str) -> list[MenuItem]:
        return [
            MenuItem(name=self.say(f"nav.{name}"), icon=icon, path=self.path(path), is_here=is_here)
            for path, name, icon, permission in MENU
            for is_here in [name == here]
            if self.may(permission) and (name not in CITY_PAGES or self.is_city)
        ]

    @property
    def is_city(self) -> bool:
        """Whether this person's own organisation is the city: they choose where to work."""
        return self.caller.home.kind == OrgKind.CITY

    def _give_secret(self, answer: Response, secret: Secret) -> None:
        # Sealed for this person alone: the cookie means nothing in a log or another browser.
        plain = json.dumps([secret.kind, secret.name, secret.text, secret.username]).encode()
        caller = self.caller
        sealed = self.services.sealer.seal(plain, org_id=caller.home.id, object_id=caller.id)
        answer.set_cookie(
            SECRET_COOKIE,
            base64.urlsafe_b64encode(sealed).decode(),
            max_age=SECRET_KEPT_S,
            path=MANAGE,
            httponly=True,
            samesite="lax",
            secure=self.services.settings.is_production,
        )

    def _take_secret(self) -> Secret | None:
        value = self.request.cookies.get(SECRET_COOKIE)
        if not value:
            return None
        try:
            sealed = base64.urlsafe_b64decode(value)
            plain = self.services.sealer.unseal(
                sealed, org_id=self.caller.home.id, object_id=self.caller.id
            )
        except (ValueError, SecretNotReadable):
            return None
        kind, name, text, username = json.loads(plain)
        return Secret(kind=kind, name=name, text=text, username=username)


async def open_manager_context(
    request: Request,
    caller: CurrentCaller,
    now: Now,
) -> ManagerContext:
    """Let those in who look after an organisation.

    Raises:
        Forbidden: a stall's own people, attendants, the city's viewers, and machines.
    """
    is_staff = caller.kind == "staff" and not caller.is_scoped
    if not is_staff or not caller.may(Permission.LEDGER_READ):
        raise Forbidden("These pages are for who manages an organisation.")
    return ManagerContext(request=request, caller=caller, services=read_services(request), now=now)


TheManager = Annotated[ManagerContext, Depends(open_manager_context)]


def read_line(value: str, chars_max: int = 120) -> str:
    """Clean one line that a person typed: nothing that nobody sees, no doubled or outer spaces."""
    return tidy_line(tidy_line(value)[:chars_max])  # a cut may part an emoji
