"""POST /v1/bills: bills, one or many. Thin over the bill writer, which batches and commits."""

import asyncio
import re
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError

from api.http.deps import Now, authorise, read_clock, requires
from api.http.errors import describe_problem, list_violations, may_answer, status_of
from api.http.idempotency import KEY_PATTERN
from api.http.responses import answer_json
from api.http.strict import BOM, IS_JSON, check_keys, check_query
from api.services import read_services
from api.v1.bills.routes import show
from api.v1.bills.schemas import BatchRead, BillCreate, BillRead, BillsCreate, hash_request
from core.errors import Forbidden, HubError, InvalidRequest, Violation
from core.idempotency import IDEMPOTENCY_KEY_CHARS_MAX, IdempotencyKeyReused, Repeatable
from core.ids import new_id
from core.settings import Settings
from identity.people.callers import Caller
from identity.people.rules import Permission, ScopeKind
from payments.bills.errors import BillIdTaken, ReferencesUsedUp
from payments.bills.rules import BillRequest, check_client_id
from payments.payees.errors import PayeeHasNoAccount, PayeeNotFound
from payments.rails.errors import RailNeedsAmount, RailNotAvailable
from payments.vietqr.bill_codes import NAME as DIRECT


class DirectRoute(APIRoute):
    """Reads the parameters of `open_bill` by hand, as it declares them.

    Solving its eleven dependencies costs as much as all the rest of the request, and a till's
    queue waits for this route. OpenAPI and the test of permissions read the declaration; a test
    holds both ways equal, answer by answer.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what serves a request."""

        async def answer(request: Request) -> Response:
            return await _open_directly(request)

        return answer


router = APIRouter(prefix="/v1/bills", tags=["bills"], route_class=DirectRoute)
batches = APIRouter(prefix="/v1/bills", tags=["bills"])

ROUTE: Final = "POST /v1/bills"
BATCH_BYTES_MAX: Final = 1_000_000

Opener = Annotated[Caller, requires(Permission.BILLS_OPEN)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        pattern=KEY_PATTERN,
        max_length=IDEMPOTENCY_KEY_CHARS_MAX,
        description="Repeating a request with its key answers the same bill as it stands now."
        " It belongs to the organisation and this route, whichever key or person sends it, and is"
        " kept 7 days; another body under the same key is refused.",
        examples=["order-000123-1"],
    ),
]
BatchKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=KEY_PATTERN,
        max_length=IDEMPOTENCY_KEY_CHARS_MAX - len("#499"),
        description="Makes each item repeatable under KEY#0, KEY#1, …; see POST /v1/bills.",
    ),
]
REPLAYED: Final = {
    "headers": {
        "Idempotent-Replayed": {
            "description": "`true` when an earlier request opened the bill.",
            "schema": {"type": "string", "enum": ["true"]},
        }
    }
}
IS_KEY: Final = re.compile(KEY_PATTERN)


@router.post(
    "",
    status_code=201,
    response_model=BillRead,
    responses={
        **may_answer(
            PayeeNotFound,
            PayeeHasNoAccount,
            BillIdTaken,
            IdempotencyKeyReused,
            ReferencesUsedUp,
            RailNeedsAmount,
            RailNotAvailable,
            Forbidden,
        ),
        201: REPLAYED,
    },
)
async def open_bill(
    request: Request,
    body: BillCreate,
    caller: Opener,
    now: Now,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Open a bill and get the VietQR code that pays it. Answered after the commit."""
    services = read_services(request)
    wanted = _bill_request(body, caller, services.settings, idempotency_key, now)
    bill = await services.rails.open_on_rail(services.bill_writer, caller.org, wanted)
    shown = show(request, caller, bill, now)
    if bill.is_replayed:
        return answer_json(shown, status=201, headers={"Idempotent-Replayed": "true"})
    return answer_json(shown, status=201)


@batches.post("/batch", response_model=BatchRead, max_body_size=BATCH_BYTES_MAX)
async def open_bills(
    request: Request,
    body: BillsCreate,
    caller: Opener,
    now: Now,
    idempotency_key: BatchKey = None,
) -> Response:
    """Open up to 500 bills. Each is answered for itself, in order: a bill or a problem.

    With an Idempotency-Key each item is repeatable: item 3 has the key `KEY#3`.
    """
    answers = await asyncio.gather(
        *(
            _open_item(request, caller, item, i, idempotency_key, now)
            for i, item in enumerate(body.bills)
        )
    )
    return answer_json({"results": answers})


async def _open_item(
    request: Request, caller: Caller, item: dict[str, Any], i: int, key: str | None, now: datetime
) -> dict[str, Any]:
    try:
        body = _read_item(item, i)
        if body.rail != DIRECT:
            raise InvalidRequest("A batch opens VietQR direct only; leave the rail out.")
        services = read_services(request)
        item_key = None if key is None else f"{key}#{i}"
        wanted = _bill_request(body, caller, services.settings, item_key, now)
        bill = await services.bill_writer.open_bill(caller.org, wanted)
    except HubError as error:
        problem = describe_problem(error, caller.request_id)
        status = status_of(error)
        return {"status": status, "is_replayed": False, "bill": None, "problem": problem}
    return {
        "status": 201,
        "is_replayed": bill.is_replayed,
        "bill": show(request, caller, bill, now),
        "problem": None,
    }


def _read_item(item: dict[str, Any], i: int) -> BillCreate:
    try:
        return BillCreate.model_validate(item)
    except ValidationError as error:
        violations = list_violations(error.errors(), within=("bills", i))
        raise InvalidRequest(f"bills[{i}] is not valid.", violations=violations) from None


def _bill_request(
    body: BillCreate, caller: Caller, settings: Settings, key: str | None, now: datetime
) -> BillRequest:
    caller.narrow(ScopeKind.PAYEE, body.payee_id)
    if body.id is not None and (fault := check_client_id(body.id, now=now)):
        raise InvalidRequest(fault, violations=[Violation(field="id", code="bad_id", detail=fault)])
    expires_at = now + timedelta(seconds=body.valid_for_s or settings.bill_valid_for_s)
    return BillRequest(
        payee_id=body.payee_id,
        amount_vnd=body.amount_vnd,
        purpose=body.purpose,
        external_id=body.external_id,
        expires_at=expires_at,
        monitor_until=expires_at + timedelta(seconds=settings.bill_monitored_for_s),
        created_by=caller.id,
        id=body.id or new_id(),
        rail=body.rail,
        repeatable=None
        if key is None
        else Repeatable(route=ROUTE, key=key, body_hash=hash_request(body)),
    )


async def _open_directly(request: Request) -> Response:
    check_query(request)
    now = await read_clock()
    caller = await authorise(request, Permission.BILLS_OPEN)
    key = request.headers.get("idempotency-key")
    if key is not None:
        _check_key(key)
    body = _read_body(request.headers.get("content-type"), await request.body())
    return await open_bill(request, body, caller, now, key)


def _read_body(content_type: str | None, body: bytes) -> BillCreate:
    if content_type is None or not IS_JSON.match(content_type):
        fault = "Send the bill as JSON, with Content-Type: application/json."
        raise InvalidRequest(fault, violations=[Violation(field="", code="no_json", detail=fault)])
    try:
        wanted = BillCreate.model_validate_json(body.removeprefix(BOM))
    except ValidationError as error:
        violations = list_violations(error.errors())
        detail = "; ".join(f"{v.field or 'body'}: {v.detail}" for v in violations[:3])
        raise InvalidRequest(detail, violations=violations) from None
    check_keys(body)  # 3 µs more: pydantic takes the last of two equal keys without a word
    return wanted


def _check_key(key: str) -> None:
    if len(key) > IDEMPOTENCY_KEY_CHARS_MAX or not IS_KEY.fullmatch(key):
        fault = f"An Idempotency-Key has 1 to {IDEMPOTENCY_KEY_CHARS_MAX} visible ASCII characters."
        violation = Violation(field="header.idempotency-key", code="bad_key", detail=fault)
        raise InvalidRequest(fault, violations=[violation])
