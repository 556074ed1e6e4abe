"""Page context for managers: who is there, for which organisation, and the menu."""

import base64
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final

from fastapi import Depends, Query, Request
from starlette.responses import Response

from api.http.deps import CurrentCaller, Now
from api.http.middleware import no_store
from api.http.templating import templates
from api.pages import staff_context
from api.pages.staff_context import FINANCE, MANAGE, MenuItem, StaffContext, check_staff
from api.services import read_services
from core.sealing import SecretNotReadable
from identity.people.rules import Permission

# For the pages of this folder, which have them from here.
Errors = staff_context.Errors
PAGE_ROWS: Final = staff_context.PAGE_ROWS
read_line = staff_context.read_line

SECRET_COOKIE: Final = "phopay_once"  # noqa: S105  a name
SECRET_KEPT_S: Final = 120  # the page that shows it is loaded at once
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
    ("", "finance", "bank", Permission.LEDGER_READ),  # a surface of its own: api/finance
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


@dataclass(frozen=True, kw_only=True)
class Secret:
    """What is shown once, right after it was made."""

    kind: str  # key of [secret] in api/manage/words/*/manage.toml
    name: str
    text: str
    username: str = ""


@dataclass(frozen=True, kw_only=True)
class ManagerContext(StaffContext):
    """Who manages which organisation, in one request."""

    root: ClassVar[str] = MANAGE
    words: ClassVar[str] = "manage"

    def render(self, template: str, page: Any, *, here: str, status: int = 200) -> Response:
        """Render a page; a secret that was made a moment ago is shown on it, and only there."""
        facts = {
            "page": page,
            "staff": self,
            "manager": self,
            "secret": self._take_secret(),
            **self.frame_facts(here),
        }
        answer = templates.TemplateResponse(self.request, template, facts, status_code=status)
        if SECRET_COOKIE in self.request.cookies:
            answer.delete_cookie(SECRET_COOKIE, path=MANAGE)
        return no_store(answer)

    def go(self, path: str, secret: Secret | None = None, **query: object) -> Response:
        """Send the browser on after a form (303: by GET), with a secret for the next page."""
        answer = self.redirect(path, **query)
        if secret is not None:
            self._give_secret(answer, secret)
        return answer

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

    def list_menu(self, here: str) -> list[MenuItem]:
        """List the pages that this person may see."""
        return [
            MenuItem(
                name=self.say(f"nav.{name}"),
                icon=icon,
                path=self.address(FINANCE) if name == "finance" else self.path(path),
                is_here=is_here,
            )
            for path, name, icon, permission in MENU
            for is_here in [name == here]
            if self.may(permission) and (name not in CITY_PAGES or self.is_city)
        ]

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
    check_staff(caller, Permission.LEDGER_READ, "These pages are for who manages an organisation.")
    return ManagerContext(request=request, caller=caller, services=read_services(request), now=now)


TheManager = Annotated[ManagerContext, Depends(open_manager_context)]
