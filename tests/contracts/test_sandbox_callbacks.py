"""Each provider's callback, checked with code that shares nothing with the sandbox's own."""

import hashlib
import hmac
import json
from base64 import b64encode
from itertools import pairwise

import httpx
import pytest

from tests.world.receivers import Receiver
from tests.world.sandboxes import (
    SANDBOX_ACCOUNT,
    SANDBOX_ACCOUNT_KEY,
    a_sandbox,
    book_transfer,
    read_callback_log,
    subscribe,
)
from tests.world.waits import wait_until

SECRET = "s3cret-of-the-test"
ACKNOWLEDGED = {
    "error": False,
    "errorReason": "000",
    "toastMessage": "",
    "object": {"reftransactionid": "1"},
}
# A dynamic code for the stall's account: 20,000 ₫, memo PPMOXA234567K.
PAYLOAD = (
    "00020101021238540010A00000072701240006970422011009880001110208QRIBFTTA"
    "53037045405200005802VN62170813PPMOXA234567K6304"
)


def test_a_pasted_code_is_paid_and_sepay_calls_back(
    sandbox: httpx.Client, receiver: Receiver
) -> None:
    subscribe(sandbox, "sepay", receiver.url + "/cb")

    paid = sandbox.post("/api/pay", json={"payload": with_crc(PAYLOAD), "payer": "a"}).json()

    [heard] = receiver.wait_for(1)
    told = heard.json
    assert paid["ft"].startswith("FT")
    assert (told["referenceCode"], told["transferAmount"]) == (paid["ft"], 20_000)
    assert (told["content"], told["code"]) == ("PPMOXA234567K", "PPMOXA234567K")
    assert (told["gateway"], told["accountNumber"]) == ("MBBank", SANDBOX_ACCOUNT["number"])
    stamp = heard.headers["x-sepay-timestamp"]
    signed = hmac.new(SECRET.encode(), stamp.encode() + b"." + heard.body, hashlib.sha256)
    assert heard.headers["x-sepay-signature"] == "sha256=" + signed.hexdigest()
    assert read_callback_log(sandbox)["counts"]["by_state"] == {"delivered": 1}


def test_sepay_apikey_sends_its_key_and_the_virtual_account(
    sandbox: httpx.Client, receiver: Receiver
) -> None:
    virtual = {**SANDBOX_ACCOUNT, "virtual": [{"number": "VQRQAEJCI2814"}]}
    sandbox.post("/control/accounts", json=virtual).raise_for_status()
    subscribe(sandbox, "sepay_apikey", receiver.url)

    line = book_transfer(sandbox, number="VQRQAEJCI2814")

    [heard] = receiver.wait_for(1)
    assert heard.headers["authorization"] == f"Apikey {SECRET}"
    assert (heard.json["id"], heard.json["subAccount"]) == (line["id"], "VQRQAEJCI2814")
    assert heard.json["accountNumber"] == SANDBOX_ACCOUNT["number"]


def test_casso_signs_the_sorted_body_with_sha512(sandbox: httpx.Client, receiver: Receiver) -> None:
    subscribe(sandbox, "casso", receiver.url)

    book_transfer(sandbox, memo="cảm ơn")

    [heard] = receiver.wait_for(1)
    stamp, signature = heard.headers["x-casso-signature"].split(",")
    text = json.dumps(heard.json, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    signed = hmac.new(SECRET.encode(), f"{stamp[2:]}.{text}".encode(), hashlib.sha512)
    assert signature == "v1=" + signed.hexdigest()
    assert (heard.json["error"], heard.json["data"]["amount"]) == (0, 20_000)
    assert heard.json["data"]["accountNumber"] == SANDBOX_ACCOUNT["number"]


def test_casso_tells_outgoing_money_as_negative(sandbox: httpx.Client, receiver: Receiver) -> None:
    subscribe(sandbox, "casso", receiver.url, send="all")
    book_transfer(sandbox)
    book_transfer(sandbox, 5_000, direction="out")
    assert {heard.json["data"]["amount"] for heard in receiver.wait_for(2)} == {20_000, -5_000}


def test_outgoing_money_is_not_sent_to_a_subscription_for_incoming_only(
    sandbox: httpx.Client, receiver: Receiver
) -> None:
    subscribe(sandbox, "sepay", receiver.url)
    book_transfer(sandbox)
    book_transfer(sandbox, 5_000, direction="out")
    log = read_callback_log(sandbox)
    assert (log["counts"]["lines"], len(log["deliveries"])) == (2, 1)


def test_vietqrvn_fetches_a_token_and_pushes_with_it(
    sandbox: httpx.Client, receiver: Receiver
) -> None:
    receiver.answer = ACKNOWLEDGED
    subscribe(sandbox, "vietqrvn", receiver.url + "/cb", username="bank")

    book_transfer(sandbox)

    token, pushed = receiver.wait_for(2)
    assert token.path == "/cb/api/token_generate"
    assert (
        token.headers["authorization"] == "Basic " + b64encode(f"bank:{SECRET}".encode()).decode()
    )
    assert pushed.path == "/cb/bank/api/transaction-sync"
    assert pushed.headers["authorization"] == "Bearer t0ken"
    assert (pushed.json["amount"], pushed.json["transType"]) == (20_000, "C")
    assert (pushed.json["content"], pushed.json["bankaccount"]) == (
        "PPMOXA234567K", SANDBOX_ACCOUNT["number"],
    )  # fmt: skip
    assert read_callback_log(sandbox)["counts"]["by_state"] == {"delivered": 1}


def test_vietqrvn_wants_four_keys_and_takes_400_as_final(
    sandbox: httpx.Client, receiver: Receiver
) -> None:
    subscribe(sandbox, "vietqrvn", receiver.url, username="bank")
    receiver.statuses, receiver.answer = [200, 200, 400], {"error": False}

    book_transfer(sandbox)

    [told] = read_callback_log(sandbox)["deliveries"]
    assert [one["status"] for one in told["attempts"]] == [200, 200, 400]
    assert told["attempts"][0]["error"] == "2xx without the four keys"
    assert told["state"] == "refused"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("provider", "attempts"),
    [("sepay", 8), ("sepay_apikey", 8), ("vietqrvn", 10), ("payos", 5)],
)
def test_a_receiver_that_always_fails_gets_every_attempt_and_no_more(
    sandbox: httpx.Client, receiver: Receiver, provider: str, attempts: int
) -> None:
    receiver.statuses = [500]
    subscribe(sandbox, provider, receiver.url, username="bank")

    book_transfer(sandbox)

    wait_until(lambda: sandbox.get("/control/log").json()["counts"]["by_state"] == {"failed": 1})
    [told] = read_callback_log(sandbox)["deliveries"]
    assert [one["status"] for one in told["attempts"]] == [500] * attempts
    assert told["next_attempt_at"] is None


@pytest.mark.slow
def test_sepays_waits_are_the_published_ones_under_the_scale(receiver: Receiver) -> None:
    receiver.statuses = [500]
    with a_sandbox(time_scale=0.0005) as sandbox:
        subscribe(sandbox, "sepay", receiver.url)
        book_transfer(sandbox)
        heard = receiver.wait_for(8)
    gaps_min = [(b.at - a.at) / 60 / 0.0005 for a, b in pairwise(heard)]
    # No gap is shorter than published; a busy machine may stretch them by some ms.
    for gap_min, published_min in zip(gaps_min, [1, 1, 2, 3, 5, 8, 13], strict=True):
        assert published_min - 0.1 <= gap_min <= published_min + 8


def test_a_retry_ends_with_the_first_2xx(sandbox: httpx.Client, receiver: Receiver) -> None:
    receiver.statuses = [503, 302, 201]
    subscribe(sandbox, "sepay", receiver.url)
    book_transfer(sandbox)
    [told] = read_callback_log(sandbox)["deliveries"]
    assert [one["status"] for one in told["attempts"]] == [503, 302, 201]
    assert (told["state"], len(receiver.received)) == ("delivered", 3)


def test_nobody_listening_is_retried_like_an_error(sandbox: httpx.Client) -> None:
    subscribe(sandbox, "sepay", "http://127.0.0.1:9/")
    book_transfer(sandbox)
    [told] = read_callback_log(sandbox)["deliveries"]
    assert (told["state"], len(told["attempts"])) == ("failed", 8)
    assert "ConnectError" in told["attempts"][0]["error"]


def test_a_failed_delivery_can_be_sent_again_by_hand(
    sandbox: httpx.Client, receiver: Receiver
) -> None:
    receiver.statuses = [500]
    subscribe(sandbox, "payos", receiver.url)
    book_transfer(sandbox)
    [failed] = read_callback_log(sandbox)["deliveries"]
    receiver.statuses = [200]

    sandbox.post(f"/control/deliveries/{failed['id']}/resend").raise_for_status()

    [told] = read_callback_log(sandbox)["deliveries"]
    assert (failed["state"], told["state"], len(told["attempts"])) == ("failed", "delivered", 6)
    assert receiver.received[0].json["data"] == receiver.received[-1].json["data"]


@pytest.mark.parametrize("provider", ["payos", "sepay", "sepay_apikey", "casso", "vietqrvn"])
def test_a_ping_names_no_money_that_moved(
    sandbox: httpx.Client, receiver: Receiver, provider: str
) -> None:
    receiver.answer = ACKNOWLEDGED
    subscribe(sandbox, provider, receiver.url, username="bank")

    sandbox.post("/control/subscriptions/sub-1/ping").raise_for_status()

    log = read_callback_log(sandbox)
    assert (log["counts"]["lines"], log["counts"]["by_kind"]) == (0, {"ping": 1})
    told = receiver.received[-1].json
    marks = {
        "payos": lambda: told["data"]["orderCode"] == 123,
        "casso": lambda: (
            (told["data"]["id"], told["data"]["reference"]) == (0, "MA_GIAO_DICH_THU_NGHIEM")
        ),
        "vietqrvn": lambda: told == {},  # a token was asked for, nothing was pushed
    }
    assert marks.get(provider, lambda: told["subAccount"].startswith("SBSEPAY"))()


def test_only_the_accounts_of_a_subscription_are_reported(
    sandbox: httpx.Client, receiver: Receiver
) -> None:
    other = {"bin": "970436", "number": "777", "holder": "HO KINH DOANH QUAY 8"}
    sandbox.post("/control/accounts", json=other).raise_for_status()
    subscribe(sandbox, "sepay", receiver.url)
    book_transfer(sandbox, bin="970436", number="777")
    assert read_callback_log(sandbox)["deliveries"] == []


def with_crc(text: str) -> str:
    crc = 0xFFFF
    for byte in text.encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
        crc &= 0xFFFF
    return f"{text}{crc:04X}"


def test_registering_the_same_address_again_changes_it_and_does_not_call_twice(
    sandbox: httpx.Client, receiver: Receiver
) -> None:
    first = subscribe(sandbox, "casso", receiver.url)
    wanted = {
        "provider": "casso",
        "url": receiver.url,
        "secret": "new",
        "accounts": [SANDBOX_ACCOUNT_KEY],
    }
    again = sandbox.post("/control/subscriptions", json=wanted)
    assert (again.status_code, again.json()["id"]) == (200, first["id"])
    book_transfer(sandbox)
    assert len(read_callback_log(sandbox)["deliveries"]) == 1
