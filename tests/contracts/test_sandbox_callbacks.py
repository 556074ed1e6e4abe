"""Each provider's callback, checked with code that shares nothing with the sandbox's own."""

import hashlib
import hmac
from collections.abc import Iterator

import httpx
import pytest

from tests.contracts.sandbox_world import (
    STALL,
    Receiver,
    a_receiver,
    a_sandbox,
    log_of,
    subscribe,
)

SECRET = "s3cret-of-the-test"
# A dynamic code for the stall's account: 20,000 ₫, memo PPMOXA234567K.
PAYLOAD = (
    "00020101021238540010A00000072701240006970422011009880001110208QRIBFTTA"
    "53037045405200005802VN62170813PPMOXA234567K6304"
)


@pytest.fixture
def sandbox() -> Iterator[httpx.Client]:
    with a_sandbox() as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as receiver:
        yield receiver


def test_a_pasted_code_is_paid_and_sepay_calls_back(
    sandbox: httpx.Client, receiver: Receiver
) -> None:
    subscribe(sandbox, "sepay_hmac", receiver.url + "/cb")

    paid = sandbox.post("/api/pay", json={"payload": with_crc(PAYLOAD), "payer": "a"}).json()

    [heard] = receiver.wait_for(1)
    told = heard.json
    assert paid["ft"].startswith("FT")
    assert (told["referenceCode"], told["transferAmount"]) == (paid["ft"], 20_000)
    assert (told["content"], told["code"]) == ("PPMOXA234567K", "PPMOXA234567K")
    assert (told["gateway"], told["accountNumber"]) == ("MBBank", STALL["number"])
    stamp = heard.headers["x-sepay-timestamp"]
    signed = hmac.new(SECRET.encode(), stamp.encode() + b"." + heard.body, hashlib.sha256)
    assert heard.headers["x-sepay-signature"] == "sha256=" + signed.hexdigest()
    assert log_of(sandbox)["counts"]["by_state"] == {"delivered": 1}


def with_crc(text: str) -> str:
    crc = 0xFFFF
    for byte in text.encode():
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1
        crc &= 0xFFFF
    return f"{text}{crc:04X}"
