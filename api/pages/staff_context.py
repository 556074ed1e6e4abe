"""Page context of the surfaces for staff: who is there, for which organisation, and the frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from api.http.i18n import translate, words_in
from api.http.middleware import no_store
from api.http.templating import language_of, templates
from api.services import Services
from core.clock import HANOI
from core.db import Database
from core.errors import Forbidden, HubError
from core.ids import new_id
from core.text import tidy_line
from identity.organisations.rules import OrgKind
from identity.people.callers import Caller
from identity.people.rules import Permission

MANAGE: Final = "/manage"
FINANCE: Final = "/finance"
PAGE_ROWS: Final = 50
Errors = Mapping[str, str]  # field → what is wrong with it; "" is for the whole form


@dataclass(frozen=True, kw_only=True)
class MenuItem:
    """One link of the menu."""

    name: str
    icon: str
    path: str
    is_here: bool


@dataclass(frozen=True, kw_only=True)
class StaffContext:
    """Who works for which organisation, in one request. Each surface has its own kind of it."""

    root: ClassVar[str]  # of the surface's addresses
    words: ClassVar[str]  # its catalogue, with [nav], [done] and [error]

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

    @property
    def is_city(self) -> bool:
        """Whether this person's own organisation is the city: they choose where to work."""
        return self.caller.home.kind == OrgKind.CITY

    def may(self, permission: Permission) -> bool:
        """Whether this person holds a permission."""
        return self.caller.may(permission)

    def say(self, key: str, **values: object) -> str:
        """Say a text of the surface's catalogue."""
        return translate(self.lang, f"{self.words}.{key}", **values)

    def word(self, group: str, name: str, otherwise: str | None = None) -> str:
        """Say a word of a table; a name that it has not is shown as it is, or otherwise."""
        key = f"{self.words}.{group}.{name.replace('.', '_')}"
        if key in words_in("vi").texts:
            return translate(self.lang, key)
        return name if otherwise is None else otherwise

    def make_form_id(self) -> UUID:
        """Return what tells a form of this page from one that was sent before."""
        return new_id()

    def present_error(self, error: HubError) -> str:
        """Say what went wrong: in the reader's language where we have words, else in English."""
        key = f"{self.words}.error.{error.code}"
        return translate(self.lang, key) if key in words_in("vi").texts else str(error)

    def path(self, path: str = "", **query: object) -> str:
        """Return an address of these pages that stays with the organisation acted for."""
        return self.address(self.root, path, **query)

    def address(self, root: str, path: str = "", **query: object) -> str:
        """Return an address of any surface for staff, for the organisation acted for."""
        pairs = {name: value for name, value in query.items() if value not in (None, "")}
        if self.caller.org_id != self.caller.home.id:
            pairs["org"] = self.caller.org_code
        return f"{root}{path}{'?' if pairs else ''}{urlencode(pairs)}"

    @property
    def counter_path(self) -> str:
        """Return where the organisation's stalls take money."""
        return self.address("/counter")

    def list_menu(self, here: str) -> Sequence[MenuItem]:
        """List the links of the menu.

        Args:
            here: the name of the page that is shown.
        """
        raise NotImplementedError

    def render(self, template: str, page: Any, *, here: str, status: int = 200) -> Response:
        """Render a page in the frame of templates/staff_base.html."""
        facts = {"page": page, "staff": self, **self.frame_facts(here)}
        answer = templates.TemplateResponse(self.request, template, facts, status_code=status)
        return no_store(answer)

    def frame_facts(self, here: str) -> dict[str, Any]:
        """Return what the frame needs besides the page."""
        done = self.request.query_params.get("done", "")
        is_known = f"{self.words}.done.{done}" in words_in("vi").texts
        return {"here": here, "menu": self.list_menu(here), "done": done if is_known else ""}

    def redirect(self, path: str, **query: object) -> Response:
        """Send the browser on after a form (303: by GET)."""
        return no_store(RedirectResponse(self.path(path, **query), 303))

    def present_instant(self, instant: datetime | None) -> str:
        """Say an instant as people here read it: "14:05 · 21/11/2026"."""
        return "" if instant is None else f"{instant.astimezone(HANOI):%H:%M · %d/%m/%Y}"

    def present_count(self, count: int) -> str:
        """Say a number with the separators of the language: 1.204 or 1,204."""
        grouped = f"{count:,}"
        return grouped if self.lang == "en" else grouped.replace(",", ".")


def check_staff(caller: Caller, permission: Permission, refusal: str) -> None:
    """Let in people of the whole organisation who hold a permission.

    Raises:
        Forbidden: those held to stalls or lots, others, and machines.
    """
    if caller.kind != "staff" or caller.is_scoped or not caller.may(permission):
        raise Forbidden(refusal)


def read_line(value: str, chars_max: int = 120) -> str:
    """Clean one line that a person typed: nothing that nobody sees, no doubled or outer spaces."""
    return tidy_line(tidy_line(value)[:chars_max])  # a cut may part an emoji
