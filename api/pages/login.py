"""Signing in and out in a browser, and the page of the first start."""

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from pydantic import Field, ValidationError
from starlette.responses import RedirectResponse, Response

from api.http.deps import (
    MaybeCaller,
    Now,
    TheDatabase,
    TheHooks,
    ThePasswords,
    TheSettings,
    TheSignIns,
    UnboundTx,
    check_not_cross_site,
    public,
    safe_next,
)
from api.http.errors import status_of, write_path
from api.http.fields import Body, Login, NameText, OrgCode, Password
from api.http.middleware import no_store
from api.http.networks import network_of
from api.http.sign_in_cookie import clear_sign_in_cookie, set_sign_in_cookie
from api.http.templating import templates
from api.pages.home import home_of
from core.errors import HubError, TooManyRequests
from identity.people.errors import LoginFailed
from identity.people.first_start import set_up_city
from identity.people.queries import has_any_login
from identity.people.rules import FAILURES_BEFORE_LOCK, LOCK_FOR

router = APIRouter(include_in_schema=False, dependencies=[public])


@dataclass(frozen=True, kw_only=True)
class LoginPage:
    """What templates/login.html may use."""

    login: str
    next: str  # where to go afterwards, "" for the front door
    is_wrong: bool
    wait_s: int  # above zero: too many tries
    is_new: bool  # the first administrator was made just now
    tries_max: int
    lock_minutes: int


@dataclass(frozen=True, kw_only=True)
class SetupPage:
    """What templates/setup.html may use."""

    is_open: bool
    values: dict[str, str]
    errors: dict[str, str] = field(default_factory=dict)  # by field
    problem: str = ""


class SetupForm(Body):
    """What is filled in at the first start, within its bounds."""

    token: Annotated[str, Field(min_length=1, max_length=100)]
    organisation_code: OrgCode
    organisation_name: NameText
    is_live: bool
    login: Login
    display_name: NameText
    password: Password


@router.get("/login")
async def show_login(
    request: Request,
    caller: MaybeCaller,
    next_path: Annotated[str, Query(alias="next", max_length=2_000)] = "",
    new: bool = False,
    login: str = "",
) -> Response:
    """Show the form; who is signed in already goes on."""
    if caller is not None:
        return RedirectResponse(safe_next(next_path) if next_path else home_of(caller), 303)
    return _render_login(request, login=login[:100], next_path=next_path, is_new=new)


@router.post("/login")
async def sign_in(
    request: Request,
    sign_ins: TheSignIns,
    settings: TheSettings,
    before: MaybeCaller,
    now: Now,
    login: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=1_000)] = "",
    next_path: Annotated[str, Form(alias="next", max_length=2_000)] = "",
) -> Response:
    """Sign in; a wrong login is answered in plain words, the same whatever was wrong."""
    check_not_cross_site(request)
    try:
        opened = await sign_ins.sign_in(
            login=login,
            password=password,
            address=network_of(request),
            user_agent=request.headers.get("user-agent", ""),
            replacing=before,
            request_id=request.state.request_id,
            now=now,
        )
    except LoginFailed as error:
        return _render_login(request, login=login, next_path=next_path, error=error)
    except TooManyRequests as error:
        return _render_login(request, login=login, next_path=next_path, error=error)
    answer = RedirectResponse(safe_next(next_path), 303)
    set_sign_in_cookie(answer, settings, opened.cookie)
    return no_store(answer)


@router.post("/logout")
async def sign_out(
    request: Request, caller: MaybeCaller, sign_ins: TheSignIns, settings: TheSettings, now: Now
) -> Response:
    """End the sign-in on the server and in this browser."""
    check_not_cross_site(request)
    if caller is not None:
        await sign_ins.sign_out(caller, now=now)
    answer = RedirectResponse("/login", 303)
    clear_sign_in_cookie(answer, settings)
    return answer


@router.get("/setup")
async def show_setup(request: Request, tx: UnboundTx, token: str = "") -> Response:
    """Show the form of the first start, as long as nobody can sign in."""
    is_open = not await has_any_login(tx)
    page = SetupPage(is_open=is_open, values={"token": token[:100]})
    answer = templates.TemplateResponse(request, "setup.html", {"page": page})
    return no_store(answer)


@router.post("/setup")
async def make_first(
    request: Request,
    database: TheDatabase,
    passwords: ThePasswords,
    hooks: TheHooks,
    now: Now,
    token: Annotated[str, Form(max_length=200)] = "",
    organisation_code: Annotated[str, Form(max_length=20)] = "",
    organisation_name: Annotated[str, Form(max_length=500)] = "",
    is_live: Annotated[bool, Form()] = False,
    login: Annotated[str, Form(max_length=200)] = "",
    display_name: Annotated[str, Form(max_length=500)] = "",
    password: Annotated[str, Form(max_length=1_000)] = "",
) -> Response:
    """Make the city's organisation and its first administrator with the one-time token."""
    check_not_cross_site(request)
    values = {
        "token": token.strip(),
        "organisation_code": organisation_code.strip().upper(),
        "organisation_name": organisation_name.strip(),
        "login": login.strip(),
        "display_name": display_name.strip(),
    }
    try:
        form = SetupForm.model_validate({**values, "is_live": is_live, "password": password})
        async with database.begin() as tx:
            await set_up_city(
                tx,
                token=form.token,
                code=form.organisation_code,
                name=form.organisation_name,
                is_live=form.is_live,
                login=form.login,
                display_name=form.display_name,
                password=form.password.get_secret_value(),
                passwords=passwords,
                hooks=hooks,
                now=now,
            )
    except ValidationError as error:
        errors = {write_path(found["loc"]): found["msg"] for found in error.errors()}
        return _render_setup(request, SetupPage(is_open=True, values=values, errors=errors))
    except HubError as error:
        errors = {v.field: v.detail for v in error.violations}
        page = SetupPage(
            is_open=True, values=values, errors=errors, problem="" if errors else str(error)
        )
        return _render_setup(request, page, status=status_of(error))
    return RedirectResponse("/login?new=1", 303)


def _render_login(
    request: Request,
    *,
    login: str,
    next_path: str,
    is_new: bool = False,
    error: HubError | None = None,
) -> Response:
    page = LoginPage(
        login=login,
        next=next_path if safe_next(next_path) != "/" else "",
        is_wrong=isinstance(error, LoginFailed),
        wait_s=(error.retry_after_s or 1) if isinstance(error, TooManyRequests) else 0,
        is_new=is_new,
        tries_max=FAILURES_BEFORE_LOCK,
        lock_minutes=round(LOCK_FOR.total_seconds() / 60),
    )
    status = 200 if error is None else status_of(error)
    answer = templates.TemplateResponse(request, "login.html", {"page": page}, status_code=status)
    return no_store(answer)


def _render_setup(request: Request, page: SetupPage, *, status: int = 422) -> Response:
    answer = templates.TemplateResponse(request, "setup.html", {"page": page}, status_code=status)
    return no_store(answer)
