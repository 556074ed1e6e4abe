"""Front page: sends everybody to the screen they work with."""

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from api.http.deps import MaybeCaller, UnboundTx, public
from identity.people.callers import Caller
from identity.people.queries import has_any_login
from identity.people.rules import Role, ScopeKind

router = APIRouter(include_in_schema=False)

AT_THE_COUNTER = frozenset({Role.VENDOR_OWNER, Role.CASHIER})


@router.get("/", dependencies=[public])
async def open_door(caller: MaybeCaller, tx: UnboundTx) -> Response:
    """Send people to their screen, strangers to the login, and the first of all to the set-up."""
    if caller is not None:
        return RedirectResponse(home_of(caller), 303)
    return RedirectResponse("/login" if await has_any_login(tx) else "/setup", 303)


def home_of(caller: Caller) -> str:
    """Return the screen that a person works with."""
    if Role.ATTENDANT in caller.roles or caller.choices(ScopeKind.LOT):
        return "/gate"
    works_there = caller.is_scoped or AT_THE_COUNTER & caller.roles
    return "/counter" if works_there else "/manage"
