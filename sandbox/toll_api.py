"""The toll operator over HTTP: the signed protocol, and its control without a login."""

import asyncio
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.errors import BadRequest, NotFound
from sandbox.toll import (
    CLOCKS_DIFFER_S,
    Charge,
    TollClient,
    TollFaults,
    TollOperator,
    Wallet,
    is_signed,
    sign,
)
from sandbox.wire import answer_json, read_json, world_of

NEVER_S: Final = 120.0  # longer than any caller waits
ChargeVnd = Annotated[int, msgspec.Meta(ge=1, le=499_999_999)]


class AccountName(msgspec.Struct, kw_only=True):
    """A wallet as callers name it."""

    kind: Literal["plate", "tag"]
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]


class NewCharge(msgspec.Struct, kw_only=True):
    """A charge."""

    request_id: UUID
    account: AccountName
    amount_vnd: ChargeVnd
    reference: str
    expires_at: datetime


class NewReversal(msgspec.Struct, kw_only=True):
    """Money to be given back."""

    amount_vnd: ChargeVnd


class NewClient(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An organisation that may charge wallets."""

    client_id: Annotated[str, msgspec.Meta(min_length=1, max_length=80)]
    secret: Annotated[str, msgspec.Meta(min_length=16, max_length=256)]


class NewWallet(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A driver's wallet."""

    kind: Literal["plate", "tag"]
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    balance_vnd: Annotated[int, msgspec.Meta(ge=0, le=10**12)] = 0
    is_locked: bool = False


async def charge(request: Request) -> Response:
    """Charge a wallet."""
    client, operator = await _identify(request), operator_of(request)
    wanted = await read_json(request, NewCharge)
    faults = operator.take_fault("charge")
    await _begin(faults)
    charged = operator.charge(
        client,
        wanted.request_id,
        (wanted.account.kind, wanted.account.value),
        wanted.amount_vnd,
        wanted.reference,
        wanted.expires_at,
        faults=faults,
    )
    return await _answer(client, faults, _describe(charged))


async def find(request: Request) -> Response:
    """Say what became of a charge."""
    client, operator = await _identify(request), operator_of(request)
    request_id = request.path_params["id"]
    faults = operator.take_fault("find")
    await _begin(faults)
    known = operator.charges.get(request_id)
    if known is None or known.client_id != client.client_id:
        return await _answer(client, faults, {"request_id": request_id, "status": "absent"})
    return await _answer(client, faults, _describe(operator.look(known)))


async def reverse(request: Request) -> Response:
    """Give money of a charge back."""
    client, operator = await _identify(request), operator_of(request)
    request_id = request.path_params["id"]
    wanted = await read_json(request, NewReversal)
    faults = operator.take_fault("reverse")
    await _begin(faults)
    done = operator.reverse(client, request_id, wanted.amount_vnd)
    answer: dict[str, Any] = {"request_id": request_id, "status": "refused"}
    if done is not None:
        answer |= {"status": "reversed", "amount_vnd": done.reversed_vnd}
    return await _answer(client, faults, answer)


async def admit(request: Request) -> Response:
    """Let an organisation charge wallets."""
    new = await read_json(request, NewClient)
    return answer_json(operator_of(request).admit(new.client_id, new.secret), 201)


async def open_wallet(request: Request) -> Response:
    """Open a wallet, or say anew what is in it."""
    new = await read_json(request, NewWallet)
    wallet = Wallet(
        kind=new.kind, value=new.value, balance_vnd=new.balance_vnd, is_locked=new.is_locked
    )
    return answer_json(operator_of(request).open_wallet(wallet), 201)


async def set_faults(request: Request) -> Response:
    """Set how the operator misbehaves; `{}` is honest again."""
    operator = operator_of(request)
    operator.faults = await read_json(request, TollFaults)
    return answer_json(operator.faults)


async def decide(request: Request) -> Response:
    """Decide a pending charge."""
    return answer_json(operator_of(request).decide(request.path_params["id"]))


async def show(request: Request) -> Response:
    """Show the operator's own books: clients, wallets, charges, requests seen."""
    operator = operator_of(request)
    return answer_json(
        {
            "clients": [
                {"client_id": one.client_id, "received_vnd": one.received_vnd}
                for one in operator.clients.values()
            ],
            "wallets": list(operator.wallets.values()),
            "charges": list(operator.charges.values())[-1_000:],
            "requests_seen": operator.requests_seen,
            "faults": operator.faults,
        }
    )


def operator_of(request: Request) -> TollOperator:
    """Return the toll operator of this sandbox."""
    return world_of(request).toll


async def _identify(request: Request) -> TollClient:
    """Return who has signed a request. Whoever has not learns nothing else."""
    operator = operator_of(request)
    operator.requests_seen += 1
    headers = request.headers
    client = operator.clients.get(headers.get("x-toll-client", ""))
    at = headers.get("x-toll-time", "")
    is_now = at.isascii() and at.isdigit() and len(at) < 12
    is_now = is_now and abs(world_of(request).clock().timestamp() - int(at)) <= CLOCKS_DIFFER_S
    told = headers.get("x-toll-signature", "")
    body = await request.body()
    path = request.url.path
    if client is None or not is_now or not is_signed(client, at, request.method, path, body, told):
        raise NotSigned("The signature is not right.")
    return client


async def _begin(faults: TollFaults) -> None:
    await asyncio.sleep(faults.slow_ms / 1_000)
    if faults.fault == "error_before":
        raise OutOfOrder(faults.status)


async def _answer(client: TollClient, faults: TollFaults, answer: dict[str, Any]) -> Response:
    if faults.fault == "no_answer":
        await asyncio.sleep(NEVER_S)
    if faults.fault == "error_after":
        raise OutOfOrder(faults.status)
    if faults.fault == "wrong_amount":
        answer = answer | {"amount_vnd": answer.get("amount_vnd", 0) + 1_000}
    text = msgspec.json.encode(answer).decode()
    signature = sign(client, text)
    if faults.fault == "wrong_signature":
        signature = signature[::-1]
    return answer_json({"answer": text, "signature": signature})


def _describe(charge: Charge) -> dict[str, Any]:
    return {
        "request_id": charge.request_id,
        "status": charge.status,
        "amount_vnd": charge.amount_vnd,
        "problem": charge.problem,
        "charge_id": charge.charge_id,
        "charged_at": charge.charged_at,
    }


class NotSigned(BadRequest):
    """The request is not signed by a client, or long ago."""

    status, code = 401, "not_signed"


class OutOfOrder(NotFound):
    """A fault that was set."""

    code = "out_of_order"

    def __init__(self, status: int) -> None:
        super().__init__("The operator is out of order.")
        self.status = status  # type: ignore[misc]  # of this answer


ROUTES: Final = [
    Route("/toll/v1/charges", charge, methods=["POST"]),
    Route("/toll/v1/charges/{id:uuid}", find),
    Route("/toll/v1/charges/{id:uuid}/reversal", reverse, methods=["POST"]),
    Route("/control/toll", show),
    Route("/control/toll/clients", admit, methods=["POST"]),
    Route("/control/toll/wallets", open_wallet, methods=["POST"]),
    Route("/control/toll/faults", set_faults, methods=["POST"]),
    Route("/control/toll/charges/{id:uuid}/decide", decide, methods=["POST"]),
]
