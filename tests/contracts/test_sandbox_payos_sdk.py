"""payOS's own Python SDK drives the sandbox and verifies what it emits."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from payos import PayOS
from payos._core.exceptions import (
    APIError,
    BadRequestError,
    InvalidSignatureError,
    NotFoundError,
    PayOSError,
    UnauthorizedError,
    WebhookError,
)
from payos.types.v2 import CreatePaymentLinkRequest, CreatePaymentLinkResponse

from payments.vietqr.parse import parse
from tests.world.constants import ACB
from tests.world.receivers import Receiver
from tests.world.sandboxes import a_sandbox, read_callback_log, subscribe

SECRET = "s3cret-of-the-test"
CREDENTIALS = {"client_id": "shop-1", "api_key": "key-1"}


@pytest.fixture
def sandbox() -> Iterator[httpx.Client]:
    with a_sandbox() as client:
        subscribe(client, "payos", "", **CREDENTIALS)
        yield client


@pytest.fixture
def payos(sandbox: httpx.Client) -> Iterator[PayOS]:
    with an_sdk(sandbox) as sdk:
        yield sdk


def an_sdk(sandbox: httpx.Client, **facts: str) -> PayOS:
    keys = {**CREDENTIALS, "checksum_key": SECRET, **facts}
    return PayOS(**keys, base_url=str(sandbox.base_url), max_retries=0)


def an_order(payos: PayOS, order_code: int = 7, **facts: object) -> CreatePaymentLinkResponse:
    wanted = {
        "order_code": order_code, "amount": 20_000, "description": "AWP-TEST01",
        "cancel_url": "http://shop/cancel", "return_url": "http://shop/return?a=1&b=2", **facts,
    }  # fmt: skip
    return payos.payment_requests.create(CreatePaymentLinkRequest(**wanted))


def pay(sandbox: httpx.Client, order: CreatePaymentLinkResponse, amount_vnd: int) -> str:
    paid = sandbox.post("/api/pay", json={"payload": order.qr_code, "amount_vnd": amount_vnd})
    assert paid.status_code == 201, paid.text
    return str(paid.json()["ft"])


def test_a_created_order_has_a_virtual_account_and_a_readable_code(payos: PayOS) -> None:
    order = an_order(payos)

    code = parse(order.qr_code)
    assert (code.bin, code.account, code.amount_vnd) == (order.bin, order.account_number, 20_000)
    assert code.purpose == order.description
    assert order.description.endswith(" AWPTEST01")
    assert order.status == "PENDING"


def test_an_order_is_paid_in_two_parts_and_its_webhooks_verify(
    payos: PayOS, sandbox: httpx.Client, receiver: Receiver
) -> None:
    confirmed = payos.webhooks.confirm(receiver.url + "/payos")
    order = an_order(payos)

    first_ft = pay(sandbox, order, 15_000)
    part = payos.payment_requests.get(7)
    pay(sandbox, order, 5_000)
    whole = payos.payment_requests.get(order.payment_link_id)

    assert (part.status, part.amount_paid, part.amount_remaining) == ("UNDERPAID", 15_000, 5_000)
    assert (whole.status, whole.amount_paid, whole.amount_remaining) == ("PAID", 20_000, 0)
    assert confirmed.webhook_url == receiver.url + "/payos"
    test_post, first, _ = receiver.wait_for(3)
    assert payos.webhooks.verify(test_post.body).order_code == 123
    told = payos.webhooks.verify(first.body)
    assert (told.order_code, told.amount, told.reference) == (7, 15_000, first_ft)
    assert told.payment_link_id == order.payment_link_id
    assert told.virtual_account_number == order.account_number
    assert len(first.json["data"]) == 16


def test_acb_gets_its_own_form_of_virtual_account(sandbox: httpx.Client) -> None:
    account = {"bin": ACB, "number": "5551234", "holder": "HO KINH DOANH QUAY 8"}
    sandbox.post("/control/accounts", json=account).raise_for_status()
    keys = {"client_id": "shop-2", "api_key": "key-2"}
    subscribe(sandbox, "payos", "", accounts=[{"bin": ACB, "number": "5551234"}], **keys)

    with an_sdk(sandbox, **keys) as sdk:
        assert an_order(sdk).account_number.startswith("LOCCASS")


def test_a_cancelled_order_says_why_and_cannot_be_cancelled_again(payos: PayOS) -> None:
    order = an_order(payos)

    cancelled = payos.payment_requests.cancel(order.payment_link_id, "khách đổi ý")

    assert (cancelled.status, cancelled.cancellation_reason) == ("CANCELLED", "khách đổi ý")
    assert cancelled.canceled_at is not None
    with pytest.raises(APIError, match="CANCELLED"):
        payos.payment_requests.cancel(7)


def test_a_cancellation_signed_with_another_key_is_refused(
    payos: PayOS, sandbox: httpx.Client
) -> None:
    """No signature is what the Node SDK sends; a wrong one is another matter."""
    an_order(payos)
    with an_sdk(sandbox, checksum_key="another") as sdk, pytest.raises(APIError) as refused:
        sdk.payment_requests.cancel(7, "khách đổi ý")
    assert refused.value.error_code == "201"
    assert payos.payment_requests.get(7).status == "PENDING"


def test_an_order_expires_and_late_money_is_still_reported(
    payos: PayOS, sandbox: httpx.Client, receiver: Receiver
) -> None:
    payos.webhooks.confirm(receiver.url)
    past = int((datetime.now(UTC) - timedelta(seconds=5)).timestamp())
    order = an_order(payos, expired_at=past)

    pay(sandbox, order, 20_000)

    assert payos.payment_requests.get(7).status == "EXPIRED"
    assert payos.payment_requests.get(7).amount_paid == 20_000
    assert payos.webhooks.verify(receiver.wait_for(2)[1].body).order_code == 7


def test_the_same_order_code_twice_is_refused(payos: PayOS) -> None:
    an_order(payos)
    with pytest.raises(APIError) as refused:
        an_order(payos)
    assert refused.value.error_code == "231"


def test_a_wrong_checksum_key_is_refused_when_creating(sandbox: httpx.Client) -> None:
    with an_sdk(sandbox, checksum_key="another") as sdk, pytest.raises(APIError) as refused:
        an_order(sdk)
    assert refused.value.error_code == "201"


def test_an_answer_signed_with_another_key_is_refused_by_the_sdk(
    payos: PayOS, sandbox: httpx.Client
) -> None:
    an_order(payos)
    with an_sdk(sandbox, checksum_key="another") as sdk, pytest.raises(InvalidSignatureError):
        sdk.payment_requests.get(7)


def test_a_wrong_api_key_is_unauthorized(sandbox: httpx.Client) -> None:
    with an_sdk(sandbox, api_key="wrong") as sdk, pytest.raises(UnauthorizedError):
        sdk.payment_requests.get(7)


def test_an_unknown_order_is_not_found(payos: PayOS) -> None:
    with pytest.raises(NotFoundError):
        payos.payment_requests.get("nothing")
    with pytest.raises(NotFoundError):
        payos.payment_requests.invoices.get(99)


def test_an_amount_of_nothing_is_a_bad_request(payos: PayOS) -> None:
    with pytest.raises(BadRequestError):
        an_order(payos, amount=0)


def test_an_order_has_no_invoices(payos: PayOS) -> None:
    order = an_order(payos)
    assert payos.payment_requests.invoices.get(order.payment_link_id).invoices == []


def test_a_webhook_that_answers_500_is_not_confirmed(
    payos: PayOS, sandbox: httpx.Client, receiver: Receiver
) -> None:
    receiver.statuses = [500]
    with pytest.raises(WebhookError, match="500"):
        payos.webhooks.confirm(receiver.url)
    assert sandbox.get("/control/subscriptions").json()["subscriptions"][0]["url"] == ""


def test_a_webhook_with_a_wrong_signature_is_refused_by_the_sdk(
    payos: PayOS, sandbox: httpx.Client, receiver: Receiver
) -> None:
    payos.webhooks.confirm(receiver.url)
    faults = {"subscription": "sub-1", "profile": {"wrong_signature_percent": 100}}
    sandbox.post("/control/faults", json=faults).raise_for_status()

    pay(sandbox, an_order(payos), 20_000)

    spoiled = receiver.wait_for(2)[1]
    with pytest.raises(PayOSError, match="integrity"):
        payos.webhooks.verify(spoiled.body)
    assert read_callback_log(sandbox)["deliveries"][1]["faults"] == ["wrong_signature"]
    assert json.loads(spoiled.body)["data"]["amount"] == 20_000
