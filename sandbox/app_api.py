"""The bank app for programs: look an account up, decode a picture, pay."""

from typing import Annotated, Final

import msgspec
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.codes import read_payload, read_picture
from sandbox.errors import BadRequest, CodeUnreadable, NotFound
from sandbox.settings import IMAGE_BYTES_MAX
from sandbox.wire import answer_json, read_json, world_of


class NewPayment(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A code to pay, or an account with an amount. What is given besides overrides the code."""

    payload: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    bin: str = ""
    number: str = ""
    amount_vnd: int | None = None
    memo: Annotated[str, msgspec.Meta(max_length=500)] | None = None
    payer: str = ""
    after_s: Annotated[int, msgspec.Meta(ge=0, le=86_400)] = 0


async def pay(request: Request) -> Response:
    """Pay a code as a person with a bank app would. Answers 201 with the FT number.

    A program may pay another amount than a dynamic code says: some apps let people do so.
    """
    wanted = await read_json(request, NewPayment)
    world = world_of(request)
    bin_, number, amount_vnd, memo = wanted.bin, wanted.number, wanted.amount_vnd, wanted.memo
    if wanted.payload:
        code = read_payload(wanted.payload)
        bin_, number = code.bin, code.number
        amount_vnd = code.amount_vnd if amount_vnd is None else amount_vnd
        memo = code.memo if memo is None else memo
    if not bin_ or not number or amount_vnd is None:
        raise BadRequest("Give a payload, or bin, number and amount_vnd.")
    payer = world.bank.payer(wanted.payer)
    payment = world.pay(payer, bin_, number, amount_vnd, memo or "", wanted.after_s)
    return answer_json(payment, 201)


async def show_payment(request: Request) -> Response:
    """Show a receipt by its FT number."""
    payment = world_of(request).bank.payments.get(request.path_params["ft"])
    if payment is None:
        raise NotFound("There is no such payment.")
    return answer_json(payment)


async def look_up(request: Request) -> Response:
    """Answer whose account this is, as NAPAS look-up does for apps."""
    account = world_of(request).bank.look_up(
        request.query_params.get("bin", ""), request.query_params.get("number", "")
    )
    return answer_json({"bin": account.bin, "number": account.number, "holder": account.holder})


async def decode(request: Request) -> Response:
    """Read the QR code in a picture sent as the body: {"payload"}, "" while there is none.

    A camera sends many frames before one holds a code, so "no code" is no error here.
    """
    picture = await request.body()
    if len(picture) > IMAGE_BYTES_MAX:
        raise BadRequest("The picture is larger than 8 MiB.")
    try:
        return answer_json({"payload": await to_thread.run_sync(read_picture, picture)})
    except CodeUnreadable as error:
        return answer_json({"payload": "", "detail": str(error)})


ROUTES: Final = [
    Route("/api/pay", pay, methods=["POST"]),
    Route("/api/payments/{ft}", show_payment),
    Route("/api/look-up", look_up),
    Route("/app/decode", decode, methods=["POST"]),
]
