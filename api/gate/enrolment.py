"""The page that makes a phone a device of a lot."""

from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.http.deps import public
from api.http.middleware import no_store
from api.http.templating import templates
from identity.devices.rules import CODE_CHARS, CODE_VALID_FOR, ORG_CODE_CHARS

router = APIRouter(prefix="/gate", include_in_schema=False, dependencies=[public])

MINUTE_S: Final = 60


@dataclass(frozen=True, kw_only=True)
class EnrolPage:
    """Everything templates/gate_enrol.html may use."""

    code_chars: int
    minutes: int  # that a code works


@router.get("/enrol")
async def show_enrolment(request: Request) -> Response:
    """Show the page where a phone takes a code; what is secret comes behind the "#"."""
    page = EnrolPage(
        code_chars=ORG_CODE_CHARS + CODE_CHARS,
        minutes=int(CODE_VALID_FOR.total_seconds()) // MINUTE_S,
    )
    return no_store(templates.TemplateResponse(request, "gate_enrol.html", {"page": page}))
