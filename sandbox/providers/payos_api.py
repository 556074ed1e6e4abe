"""payOS's merchant API: payment requests and the confirmation of a webhook.

Compatible with the official SDKs, which verify the envelope's signature of every answer. Answers
carry payOS's own codes in the body; where payOS documents no HTTP status, the sandbox answers 200
with a code other than "00", which the SDKs turn into an APIError as well.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.bank import BANKS, Line
from sandbox.errors import AlreadyThere, NotFound, SandboxError
from sandbox.ft_numbers import VIETNAM
from sandbox.payment_requests import PaymentRequest
from sandbox.providers.contract import Subscription
from sandbox.providers.payos import sign, sign_create
from sandbox.wire import answer_json, world_of

SILENT_S_MAX: Final = 60.0
Serve = Callable[[Request], Awaitable[Response]]


class PayOsError(SandboxError):
    """A refusal in payOS's own form: {"code", "desc"} under an HTTP status."""

    def __init__(self, code: str, desc: str, status: int = 200) -> None:
        super().__init__(desc)
        self.payos_code = code
        self.http_status = status

    code: ClassVar[str] = "payos"


class _Create(msgspec.Struct, kw_only=True):
    """What a create request must have; further fields are taken and not used."""

    orderCode: Annotated[int, msgspec.Meta(ge=1, le=2**53 - 1)]  # noqa: N815
    amount: Annotated[int, msgspec.Meta(ge=1, le=499_999_999)]
    description: Annotated[str, msgspec.Meta(max_length=256)]
    cancelUrl: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]  # noqa: N815
    returnUrl: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]  # noqa: N815
    signature: str
    expiredAt: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)] | None = None  # noqa: N815


class _Confirm(msgspec.Struct, kw_only=True):
    webhookUrl: Annotated[str, msgspec.Meta(min_length=8, max_length=2048)]  # noqa: N815


async def create(request: Request) -> Response:
    """Open a payment request with a virtual account and a VietQR of its own."""
    merchant = _merchant(request)
    body = await _read_object(request)
    try:
        wanted = msgspec.convert(body, _Create)
    except msgspec.ValidationError as error:
        raise PayOsError("20", f"Thông tin truyền lên không đúng: {error}", 400) from error
    if wanted.signature != sign_create(merchant.secret, body):
        raise PayOsError("201", "Mã kiểm tra(signature) không hợp lệ")
    if len(wanted.description) > (25 if merchant.is_linked else 9):
        raise PayOsError("20", "description: Mô tả quá dài", 400)
    world = world_of(request)
    expires_at = datetime.fromtimestamp(wanted.expiredAt, UTC) if wanted.expiredAt else None
    try:
        made = world.requests.create(
            merchant,
            order_code=wanted.orderCode,
            amount_vnd=wanted.amount,
            description=wanted.description,
            expires_at=expires_at,
            return_url=wanted.returnUrl,
            cancel_url=wanted.cancelUrl,
            now=world.clock(),
        )
    except AlreadyThere as error:
        raise PayOsError("231", "Đơn thanh toán đã tồn tại") from error
    world.is_changed = True
    return _answer(
        merchant,
        {
            "bin": made.bin,
            "accountNumber": made.number,
            "accountName": made.holder,
            "amount": made.amount_vnd,
            "description": made.description,
            "orderCode": made.order_code,
            "currency": "VND",
            "paymentLinkId": made.id,
            "status": made.status(world.clock()),
            "expiredAt": wanted.expiredAt,
            "checkoutUrl": world.requests.checkout_url(made),
            "qrCode": made.qr_code,
        },
    )


async def show(request: Request) -> Response:
    """Show a payment request by its id or order code."""
    merchant, found = _find(request)
    return _answer(merchant, _link(found, world_of(request).clock()))


async def cancel(request: Request) -> Response:
    """Cancel a payment request that is still open; a paid one stays paid.

    payOS's Python SDK signs the reason, its Node SDK does not: what is signed must be signed right.
    """
    merchant, found = _find(request)
    body = await _read_object(request)
    given = body.pop("signature", None)
    if given is not None and given != sign(merchant.secret, body):
        raise PayOsError("201", "Mã kiểm tra(signature) không hợp lệ")
    now = world_of(request).clock()
    if found.status(now) not in ("PENDING", "UNDERPAID"):
        raise PayOsError("24", f"Đơn thanh toán đang ở trạng thái {found.status(now)}")
    found.cancelled_at = now
    reason = body.get("cancellationReason")
    found.cancellation_reason = str(reason)[:500] if reason is not None else None
    world_of(request).is_changed = True
    return _answer(merchant, _link(found, now))


async def invoices(request: Request) -> Response:
    """List the invoices of a payment request: the sandbox issues none."""
    merchant, _ = _find(request)
    return _answer(merchant, {"invoices": []})


async def confirm_webhook(request: Request) -> Response:
    """Send the test delivery to the address, and keep the address if it answers 2xx."""
    merchant = _merchant(request)
    try:
        wanted = msgspec.convert(await _read_object(request), _Confirm)
    except msgspec.ValidationError as error:
        raise PayOsError("20", f"Webhook url invalid: {error}", 400) from error
    world = world_of(request)
    probe = msgspec.structs.replace(merchant, url=wanted.webhookUrl)
    answer = await world.dispatcher.try_once(probe, world.ping_message(merchant))
    if not 200 <= answer.status < 300:
        detail = answer.error or f"HTTP {answer.status}"
        raise PayOsError("20", f"Webhook url invalid: {detail}", 400)
    merchant.url = wanted.webhookUrl
    world.is_changed = True
    bin_, number = merchant.accounts[0] if merchant.accounts else ("970422", "")
    account = world.bank.find(bin_, number)
    return _answer(
        merchant,
        {
            "webhookUrl": merchant.url,
            "accountName": account.holder if account else "",
            "accountNumber": number,
            "name": BANKS[bin_].name,
            "shortName": BANKS[bin_].gateway,
        },
    )


async def answer_payos_error(request: Request, error: Exception) -> Response:
    """Answer a refusal as payOS does."""
    assert isinstance(error, PayOsError)
    return answer_json({"code": error.payos_code, "desc": str(error)}, error.http_status)


def _merchant(request: Request) -> Subscription:
    client_id = request.headers.get("x-client-id", "")
    api_key = request.headers.get("x-api-key", "")
    for subscription in world_of(request).subscriptions.values():
        is_payos = subscription.provider == "payos"
        if is_payos and (subscription.client_id, subscription.api_key) == (client_id, api_key):
            return subscription
    raise PayOsError("401", "Thông tin xác thực không hợp lệ", 401)


def _find(request: Request) -> tuple[Subscription, PaymentRequest]:
    merchant = _merchant(request)
    try:
        return merchant, world_of(request).requests.get(merchant, request.path_params["id"])
    except NotFound as error:
        raise PayOsError("101", "Không tìm thấy đơn thanh toán", 404) from error


async def _read_object(request: Request) -> dict[str, Any]:
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise PayOsError("20", f"JSON: {error}", 400) from error


def _answer(merchant: Subscription, data: dict[str, Any]) -> Response:
    signature = sign(merchant.secret, data)
    return answer_json({"code": "00", "desc": "success", "data": data, "signature": signature})


def _link(found: PaymentRequest, now: datetime) -> dict[str, Any]:
    return {
        "id": found.id,
        "orderCode": found.order_code,
        "amount": found.amount_vnd,
        "amountPaid": found.paid_vnd,
        "amountRemaining": max(found.amount_vnd - found.paid_vnd, 0),
        "status": found.status(now),
        "createdAt": found.created_at.astimezone(VIETNAM).isoformat(timespec="seconds"),
        "transactions": [_transaction(line) for line in found.lines],
        "cancellationReason": found.cancellation_reason,
        "canceledAt": found.cancelled_at.astimezone(VIETNAM).isoformat(timespec="seconds")
        if found.cancelled_at
        else None,
    }


def _transaction(line: Line) -> dict[str, Any]:
    counter = BANKS.get(line.counter_bin)
    return {
        "reference": line.reference,
        "amount": line.amount_vnd,
        "accountNumber": line.number,
        "description": line.memo,
        "transactionDateTime": line.occurred_at.astimezone(VIETNAM).isoformat(timespec="seconds"),
        "virtualAccountName": None,
        "virtualAccountNumber": line.virtual_number,
        "counterAccountBankId": line.counter_bin,
        "counterAccountBankName": counter.name if counter else None,
        "counterAccountName": line.counter_name,
        "counterAccountNumber": line.counter_number,
    }


async def _gone(request: Request) -> None:
    """Wait until the caller has hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _with_faults(kind: str, serve: Serve) -> Serve:
    """Let a call go wrong as its merchant's profile says: before it is carried out, or after."""

    async def serve_with_faults(request: Request) -> Response:
        profile = world_of(request).subscription_faults.get(_merchant(request).id)
        if profile is None or profile.api_on != kind or profile.api_calls_left == 0:
            return await serve(request)
        if profile.api_calls_left is not None:
            profile.api_calls_left -= 1
        await asyncio.sleep(profile.api_slow_ms / 1_000)
        if profile.api_fault == "error_before":
            return Response(status_code=502)
        response = await serve(request)
        if profile.api_fault == "error_after":
            return Response(status_code=502)
        if profile.api_fault == "no_answer":
            with suppress(TimeoutError):  # the caller gives up long before
                async with asyncio.timeout(SILENT_S_MAX):
                    await _gone(request)
        return response

    return serve_with_faults


ROUTES: Final = [
    Route("/v2/payment-requests", _with_faults("create", create), methods=["POST"]),
    Route("/v2/payment-requests/{id}", _with_faults("show", show)),
    Route("/v2/payment-requests/{id}/cancel", _with_faults("cancel", cancel), methods=["POST"]),
    Route("/v2/payment-requests/{id}/invoices", invoices),
    Route("/confirm-webhook", confirm_webhook, methods=["POST"]),
]
