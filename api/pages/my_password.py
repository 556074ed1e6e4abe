"""One's own password: whoever was given one chooses another that nobody else knows."""

from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from api.http.deps import HomeCaller, HomeTx, Now, ThePasswords, TheSignIns, signed_in
from api.http.i18n import translate
from api.http.middleware import no_store
from api.http.templating import language_of, templates
from api.pages.home import home_of
from identity.people import service
from identity.people.errors import PasswordRefused, WrongPassword
from identity.people.rules import PASSWORD_CHARS_MIN

router = APIRouter(prefix="/me/password", include_in_schema=False, dependencies=[signed_in])

CHARS_MAX: Final = 1_000


@dataclass(frozen=True, kw_only=True)
class MyPasswordPage:
    """What templates/my_password.html may use, already worded."""

    home_path: str
    chars_min: int
    is_done: bool
    errors: dict[str, str] = field(default_factory=dict)  # by field


@router.get("")
async def show_form(request: Request, caller: HomeCaller, done: bool = False) -> Response:
    """Show the form, or that the new password holds."""
    return _render(request, caller, is_done=done)


@router.post("")
async def choose(
    request: Request,
    caller: HomeCaller,
    tx: HomeTx,
    sign_ins: TheSignIns,
    passwords: ThePasswords,
    now: Now,
    present: Annotated[str, Form(max_length=CHARS_MAX)] = "",
    password: Annotated[str, Form(max_length=CHARS_MAX)] = "",
) -> Response:
    """Change the password; every other device of the person is signed out.

    Raises:
        TooManyRequests: the present password is tried too often.
        StaffNotFound: the caller is a machine.
    """
    sign_ins.by_login.take(f"password {caller.id}")
    say = language_of(request)
    try:
        await service.change_own_password(
            tx, caller, passwords=passwords, present=present, password=password, now=now
        )
    except WrongPassword:
        return _render(request, caller, {"present": translate(say, "my_password.error.wrong")})
    except PasswordRefused as refused:
        code = refused.violations[0].code
        word = translate(say, f"my_password.error.{code}", chars=PASSWORD_CHARS_MIN)
        return _render(request, caller, {"password": word})
    return RedirectResponse("/me/password?done=true", 303)


def _render(
    request: Request,
    caller: HomeCaller,
    errors: dict[str, str] | None = None,
    *,
    is_done: bool = False,
) -> Response:
    page = MyPasswordPage(
        home_path=home_of(caller),
        chars_min=PASSWORD_CHARS_MIN,
        is_done=is_done,
        errors=errors or {},
    )
    answer = templates.TemplateResponse(
        request, "my_password.html", {"page": page}, status_code=422 if errors else 200
    )
    return no_store(answer)
