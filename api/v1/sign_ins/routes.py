"""Signing in and out, and one's own login."""

from fastapi import APIRouter, Request, Response, status

from api.http.deps import (
    HomeCaller,
    HomeTx,
    MaybeCaller,
    Now,
    ThePasswords,
    TheSettings,
    TheSignIns,
    check_not_cross_site,
    public,
    signed_in,
)
from api.http.errors import may_answer
from api.http.middleware import no_store
from api.http.networks import network_of
from api.http.sign_in_cookie import clear_sign_in_cookie, set_sign_in_cookie
from api.v1.sign_ins.schemas import Me, PasswordChange, SignInCreate, SignInRead
from identity.people import service
from identity.people.errors import LoginFailed, PasswordRefused, StaffNotFound, WrongPassword

router = APIRouter(prefix="/v1", tags=["identity"])


@router.post(
    "/sign-ins",
    status_code=status.HTTP_201_CREATED,
    dependencies=[public],
    responses=may_answer(LoginFailed),
)
async def sign_in(
    request: Request,
    response: Response,
    body: SignInCreate,
    sign_ins: TheSignIns,
    settings: TheSettings,
    before: MaybeCaller,
    now: Now,
) -> SignInRead:
    """Sign in; its token is in the cookie that comes with the answer."""
    check_not_cross_site(request)
    opened = await sign_ins.sign_in(
        login=body.login,
        password=body.password.get_secret_value(),
        address=network_of(request),
        user_agent=request.headers.get("user-agent", ""),
        replacing=before,
        request_id=request.state.request_id,
        now=now,
    )
    set_sign_in_cookie(no_store(response), settings, opened.cookie)
    return SignInRead(staff_id=opened.staff_id, expires_at=opened.expires_at)


@router.delete("/sign-ins", status_code=status.HTTP_204_NO_CONTENT, dependencies=[signed_in])
async def sign_out(
    response: Response,
    caller: HomeCaller,
    sign_ins: TheSignIns,
    settings: TheSettings,
    now: Now,
) -> None:
    """Sign out: the sign-in ends on the server, not only in this browser."""
    await sign_ins.sign_out(caller, now=now)
    clear_sign_in_cookie(response, settings)


@router.get("/me", dependencies=[signed_in])
async def show_me(response: Response, caller: HomeCaller) -> Me:
    """Return the caller and what they may do."""
    no_store(response)
    return Me.of(caller)


@router.post(
    "/me/password",
    status_code=status.HTTP_204_NO_CONTENT,
    dependencies=[signed_in],
    responses=may_answer(WrongPassword, PasswordRefused, StaffNotFound),
)
async def change_password(
    body: PasswordChange,
    caller: HomeCaller,
    tx: HomeTx,
    sign_ins: TheSignIns,
    passwords: ThePasswords,
    now: Now,
) -> None:
    """Change one's own password; one is signed out everywhere else."""
    sign_ins.by_login.take(f"password {caller.id}")
    await service.change_own_password(
        tx,
        caller,
        passwords=passwords,
        present=body.present_password.get_secret_value(),
        password=body.password.get_secret_value(),
        now=now,
    )
