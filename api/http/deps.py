"""Dependencies of routes: the transaction, the time, who is calling, and what they may do."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from fastapi import Depends, Query, Request
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import HTTPConnection

from api.http.sign_in_cookie import COOKIE, name_cookie
from api.services import Limits, read_services
from core import clock
from core.db import Database
from core.errors import Forbidden, HubError, InvalidRequest, Unauthenticated, Violation
from core.sealing import Sealer
from core.settings import Settings
from core.tenancy import open_org_transaction
from identity.devices.phones import Phones
from identity.devices.service import CodeHasher
from identity.devices.tokens import TOKEN_PREFIX, DeviceCaller, DeviceTokens
from identity.people.callers import Caller, Directory
from identity.people.errors import CrossSiteRequest, WholeOrganisationNeeded
from identity.people.hooks import Hooks
from identity.people.passwords import Passwords
from identity.people.rules import NARROWED, Permission
from identity.people.sign_in import SignIns
from parking.exits.writer import ExitWriter
from parking.lanes.waiting import LaneWaiters
from parking.photos.service import Photos
from parking.tariffs.quotes import QuoteSigner
from payments.bills.writer import BillWriter
from payments.polling.service import ProviderPoller
from payments.rails.service import RailService
from payments.rails.toll.service import TollService

ORG_DESCRIPTION: Final = "Act for this organisation (its code); city administrators only."
ORG_CODE_CHARS: Final = 4
DEVICE_AT: Final = "x-device-at"  # the time on a device's clock, at each contact
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class _SignInCookie(APIKeyCookie):
    """The sign-in's cookie under the name that this process gives it."""

    async def __call__(self, request: HTTPConnection) -> str | None:
        return request.cookies.get(name_cookie(read_services(request).settings)) or None


# These two name the schemes in OpenAPI; what they find is verified by `identify_caller`.
_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="ApiKey",
    description="`pp_live_CODE_prefix_secret`, or `pp_test_…` for an organisation that is not live;"
    " on an enrolled phone its token, `dt_…`",
)
_cookie = _SignInCookie(
    name=COOKIE, auto_error=False, scheme_name="SignIn", description="Set by POST /v1/sign-ins"
)


# All are `async`: FastAPI runs a plain function in a thread, which costs more than they do.
_Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
_Cookie = Annotated[str | None, Depends(_cookie)]


async def read_clock() -> datetime:
    """The one place where a request learns what time it is."""
    return clock.read_clock()


def _service(name: str) -> Any:
    """Let a route ask for one of the services by name; its type stands beside it."""
    read = attrgetter(name)

    async def read_service(request: Request) -> Any:
        return read(read_services(request))

    return Depends(read_service)


Now = Annotated[datetime, Depends(read_clock)]
ThePoller = Annotated[ProviderPoller, _service("poller")]
TheRails = Annotated[RailService, _service("rails")]
TheLanes = Annotated[LaneWaiters, _service("lanes")]
TheTolls = Annotated[TollService, _service("tolls")]
ThePhotos = Annotated[Photos, _service("photos")]
TheBillWriter = Annotated[BillWriter, _service("bill_writer")]
TheLimits = Annotated[Limits, _service("limits")]
TheExitWriter = Annotated[ExitWriter, _service("exit_writer")]
TheQuotes = Annotated[QuoteSigner, _service("quotes")]
TheSettings = Annotated[Settings, _service("settings")]
TheDatabase = Annotated[Database, _service("database")]
TheDirectory = Annotated[Directory, _service("directory")]
ThePasswords = Annotated[Passwords, _service("passwords")]
TheHooks = Annotated[Hooks, _service("hooks")]
ThePhones = Annotated[Phones, _service("phones")]
TheCodeHasher = Annotated[CodeHasher, _service("code_hasher")]
TheDeviceTokens = Annotated[DeviceTokens, _service("device_tokens")]
TheSignIns = Annotated[SignIns, _service("sign_ins")]
TheSealer = Annotated[Sealer, _service("sealer")]


async def find_caller(request: Request, bearer: _Bearer, cookie: _Cookie) -> Caller | None:
    """Return the caller, or None for a stranger. A credential that is not valid is an error.

    Raises:
        ApiKeyNotValid, SignInEnded: see Directory.
        DeviceTokenNotValid, DeviceRevoked: see DeviceDirectory.
        CrossSiteRequest: a cookie with an unsafe method, sent by another site's page.
    """
    directory = read_services(request).directory
    now = clock.read_clock()
    if bearer is not None and bearer.credentials.startswith(TOKEN_PREFIX):
        devices = read_services(request).devices
        found = await devices.identify_device(bearer.credentials, now=now)
        devices.note_contact(found, request.headers.get(DEVICE_AT), now=now)
    elif bearer is not None:
        found = await directory.identify_key(bearer.credentials, now=now)
    elif cookie:
        if request.method not in SAFE_METHODS:
            check_same_site(request)
        found = await directory.identify_cookie(cookie, now=now)
    else:
        return None
    found = replace(found, request_id=request.state.request_id)
    request.state.caller = found
    return found


async def identify_caller(
    request: Request, caller: Annotated[Caller | None, Depends(find_caller)]
) -> Caller:
    """Return the caller, at home: the organisation they belong to, whatever the address names."""
    if caller is None:
        raise Unauthenticated("Sign in, or send an API key.")
    return caller


async def find_device(request: Request, bearer: _Bearer) -> DeviceCaller:
    """Return the device that asks, as its token names it.

    Raises:
        Forbidden: somebody else asks.
        DeviceTokenNotValid, DeviceRevoked
    """
    if bearer is None or not bearer.credentials.startswith(TOKEN_PREFIX):
        raise Forbidden("Only an enrolled device does this.")
    tokens = read_services(request).device_tokens
    return tokens.verify_device_token(bearer.credentials, clock.read_clock())


TheDevice = Annotated[DeviceCaller, Depends(find_device)]


async def peek_caller(request: Request, bearer: _Bearer, cookie: _Cookie) -> Caller | None:
    """Return the caller, or None: on public pages an old cookie makes a stranger, not an error."""
    try:
        return await find_caller(request, bearer, cookie)
    except HubError:
        return None


async def act_for_organisation(
    request: Request,
    caller: Annotated[Caller, Depends(identify_caller)],
    org: Annotated[
        str | None, Query(max_length=ORG_CODE_CHARS, description=ORG_DESCRIPTION)
    ] = None,
) -> Caller:
    """Return the caller as acting for the organisation of the address.

    `?org=CODE` names it; without one it is the caller's own.
    """
    acting = await read_services(request).directory.act_for(caller, org)
    request.state.caller = acting
    return acting


HomeCaller = Annotated[Caller, Depends(identify_caller)]
CurrentCaller = Annotated[Caller, Depends(act_for_organisation)]
MaybeCaller = Annotated[Caller | None, Depends(peek_caller)]


async def _open_transaction(
    database: TheDatabase, caller: CurrentCaller
) -> AsyncIterator[AsyncSession]:
    """One request, one transaction: commit when the route returns, roll back when it raises."""
    async with open_org_transaction(database, caller.org_id) as session:
        yield session


async def _open_home_transaction(
    database: TheDatabase, caller: HomeCaller
) -> AsyncIterator[AsyncSession]:
    async with open_org_transaction(database, caller.home.id) as session:
        yield session


async def _open_unbound_transaction(database: TheDatabase) -> AsyncIterator[AsyncSession]:
    async with database.begin() as session:
        yield session


# scope="function": commit BEFORE the client is answered. FastAPI's default (since 0.118)
# sends the answer first, so a failed commit would follow a "201 Created".
Tx = Annotated[AsyncSession, Depends(_open_transaction, scope="function")]
HomeTx = Annotated[AsyncSession, Depends(_open_home_transaction, scope="function")]
# Sees the four tables that are nobody's (docs/tenancy.md) and no tenant's rows.
UnboundTx = Annotated[AsyncSession, Depends(_open_unbound_transaction, scope="function")]


def requires(permission: Permission) -> Any:
    """Let a route be called only by who holds a permission. A test finds routes without one.

    `dependencies=[requires(Permission.BILLS_OPEN)]`, or where the route needs to know who:
    `caller: Annotated[Caller, requires(Permission.BILLS_OPEN)]`.
    """
    return Depends(_checks[permission])


def _make_check(permission: Permission) -> Callable[..., Awaitable[Caller]]:
    async def check_permission(caller: CurrentCaller) -> Caller:
        if caller.is_scoped and permission not in NARROWED:
            raise WholeOrganisationNeeded
        if permission not in caller.permissions:
            raise Forbidden(f"This needs the permission {permission.value}.")
        return caller

    check_permission.declares = permission  # type: ignore[attr-defined]
    return check_permission


# One function for each permission, so that a request that needs it twice checks it once.
_checks: Final = {permission: _make_check(permission) for permission in Permission}


async def authorise(request: Request, permission: Permission) -> Caller:
    """Do what `requires(permission)` does, for a route that bypasses dependency injection.

    Raises:
        Unauthenticated, ApiKeyNotValid, SignInEnded, CrossSiteRequest, Forbidden,
        WholeOrganisationNeeded, OrganisationNotFound
        InvalidRequest: the query's organisation code is too long.
    """
    org = request.query_params.get("org")
    known = await find_caller(request, await _bearer(request), await _cookie(request))
    caller = await identify_caller(request, known)
    if org is not None and len(org) > ORG_CODE_CHARS:
        fault = f"A code has {ORG_CODE_CHARS} characters."
        violation = Violation(field="query.org", code="string_too_long", detail=fault)
        raise InvalidRequest(fault, violations=[violation])
    acting = await act_for_organisation(request, caller, org)
    return await _checks[permission](acting)


async def _check_signed_in(caller: HomeCaller) -> Caller:
    return caller


async def _let_anyone_in() -> None:
    """Marks a route that needs no caller."""


_check_signed_in.declares = "signed_in"  # type: ignore[attr-defined]
_let_anyone_in.declares = "public"  # type: ignore[attr-defined]

# For what people do with their own login.
signed_in: Final[Any] = Depends(_check_signed_in)
# `dependencies=[public]` says that a route is meant to be open to strangers.
public: Final[Any] = Depends(_let_anyone_in)


def check_same_site(request: Request) -> None:
    """Refuse an unsafe request with a cookie unless one of our own pages sent it.

    Browsers say so themselves in Sec-Fetch-Site; older ones send Origin, which must be ours.

    Raises:
        CrossSiteRequest: neither header says that the sender was ours.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise CrossSiteRequest
        return
    origin = request.headers.get("origin") or request.headers.get("referer")
    if origin is None or not _is_own_origin(request, origin):
        raise CrossSiteRequest


def check_not_cross_site(request: Request) -> None:
    """Refuse what a browser sends for another site, where programs without cookies may come too."""
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site in ("cross-site", "same-site"):
        raise CrossSiteRequest
    if site is None and origin is not None and not _is_own_origin(request, origin):
        raise CrossSiteRequest


def _is_own_origin(request: Request, origin: str) -> bool:
    try:
        sent = urlsplit(origin)
    except ValueError:  # such as "http://[", which no page of ours can have
        return False
    public_url = urlsplit(read_services(request).settings.public_url)
    own = {(public_url.scheme, public_url.netloc), (request.url.scheme, request.url.netloc)}
    return (sent.scheme, sent.netloc) in own


def safe_next(path: str | None) -> str:
    """Return where to go after signing in: a path of our own, or the front page."""
    if path and path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable():
        return path
    return "/"
