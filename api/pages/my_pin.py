"""One's own PIN for the phones at a gate, set with one's password."""

from dataclasses import dataclass, field
from typing import Annotated, Final

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from api.http.deps import HomeCaller, HomeTx, Now, ThePasswords, TheSignIns, signed_in
from api.http.i18n import translate
from api.http.middleware import no_store
from api.http.templating import language_of, templates
from api.pages.home import home_of
from identity.devices import service
from identity.devices.errors import PinRefused
from identity.devices.rules import PIN_DIGITS
from identity.people.errors import WrongPassword

router = APIRouter(prefix="/me/pin", include_in_schema=False, dependencies=[signed_in])

CHARS_MAX: Final = 1_000


@dataclass(frozen=True, kw_only=True)
class MyPinPage:
    """What templates/my_pin.html may use, already worded."""

    home_path: str
    digits: int
    is_done: bool
    errors: dict[str, str] = field(default_factory=dict)  # by field


@router.get("")
async def show_form(request: Request, caller: HomeCaller, done: bool = False) -> Response:
    """Show the form, or that the new PIN holds."""
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
    pin: Annotated[str, Form(max_length=100)] = "",
) -> Response:
    """Set the PIN; phones that named the person by an older one ask for it.

    Raises:
        TooManyRequests: the password is tried too often.
        StaffNotFound: the caller is a machine.
    """
    sign_ins.by_login.take(f"password {caller.id}")
    say = language_of(request)
    try:
        await service.set_own_pin(
            tx, caller, pin.strip(), password=present, passwords=passwords, now=now
        )
    except WrongPassword:
        return _render(request, caller, {"present": translate(say, "my_password.error.wrong")})
    except PinRefused as refused:
        word = translate(say, f"my_pin.error.{refused.violations[0].code}")
        return _render(request, caller, {"pin": word})
    return RedirectResponse("/me/pin?done=true", 303)


def _render(
    request: Request,
    caller: HomeCaller,
    errors: dict[str, str] | None = None,
    *,
    is_done: bool = False,
) -> Response:
    page = MyPinPage(
        home_path=home_of(caller), digits=PIN_DIGITS, is_done=is_done, errors=errors or {}
    )
    answer = templates.TemplateResponse(
        request, "my_pin.html", {"page": page}, status_code=422 if errors else 200
    )
    return no_store(answer)
