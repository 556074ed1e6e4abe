"""Decoders that others wrote read every code that we write, field by field."""

import json
import random
import string
import subprocess
from typing import Any

import pytest
import qr_pay

from core.money import TRANSFER_VND_MAX
from payments.bills.references import SERIAL_COUNT, make_reference
from payments.vietqr import (
    AdditionalData,
    PointOfInitiation,
    Service,
    VietQr,
    build,
)
from payments.vietqr.banks import list_banks
from tests.contracts.npm_peers import SOURCE, NpmPeers, install_npm_peers

CODES = 600
DECODE_TIMEOUT_S = 30

LABELS = (
    "bill_number",
    "mobile",
    "store_label",
    "loyalty_number",
    "reference_label",
    "customer_label",
    "terminal_label",
)


def some_text(chance: random.Random, chars_max: int) -> str:
    """Printable ASCII; within, spaces too (one of the peers trims)."""
    marks = string.ascii_letters + string.digits + "-_./*&@+,:()'\""
    chars = chance.choices(marks + " ", k=chance.randint(1, chars_max))
    return "".join([chance.choice(marks), *chars[1:-1], chance.choice(marks)])[:chars_max]


def a_random_code(chance: random.Random) -> VietQr:
    """A bill's code as the hub makes them, with more of the profile's fields than it uses."""
    is_dynamic = chance.random() < 0.7
    has_amount = is_dynamic or chance.random() < 0.5
    labels = {name: some_text(chance, 8) for name in chance.sample(LABELS, chance.randint(0, 3))}
    tip = chance.choice([(None, None, None)] * 6 + [("01", None, None), ("02", 5_000, None)])
    return VietQr(
        point_of_initiation=PointOfInitiation.DYNAMIC if is_dynamic else PointOfInitiation.STATIC,
        bin=chance.choice(list_banks()).bin,
        account="".join(
            chance.choices(string.ascii_letters + string.digits, k=chance.randint(1, 19))
        ),
        service=chance.choice(list(Service)),
        amount_vnd=chance.randint(1, TRANSFER_VND_MAX) if has_amount else None,
        additional=AdditionalData(
            purpose=make_reference("HNDX", chance.randrange(SERIAL_COUNT)),
            consumer_request=chance.choice([None, None, "A", "ME"]),
            **labels,
        ),
        merchant_category=chance.choice([None, "5812", "7523"]),
        tip_indicator=tip[0],
        tip_fixed_vnd=tip[1],
        tip_percent=tip[2],
        merchant_name=chance.choice([None, some_text(chance, 25)]),
        merchant_city=chance.choice([None, "HA NOI"]),
        postal_code=chance.choice([None, "100000"]),
    )


def as_text(code: VietQr, payload: str) -> dict[str, str]:
    """What a peer should have read, under our names, without what the code does not say."""
    data = code.additional
    assert data is not None
    facts: dict[str, Any] = {
        "version": "01",
        "guid": "A000000727",
        "point_of_initiation": code.point_of_initiation.value,
        "amount": code.amount_vnd,
        "tip_fixed": code.tip_fixed_vnd,
        "crc": payload[-4:],
    }
    names = ("bin", "account", "service", "merchant_category", "currency", "tip_indicator")
    names += ("tip_percent", "country", "merchant_name", "merchant_city", "postal_code")
    facts |= {name: getattr(code, name) for name in names}
    facts |= {name: getattr(data, name) for name in (*LABELS, "purpose", "consumer_request")}
    return {name: str(value) for name, value in facts.items() if value is not None}


@pytest.fixture(scope="module")
def written() -> list[tuple[VietQr, str]]:
    chance = random.Random(38)
    codes = [a_random_code(chance) for _ in range(CODES)]
    return [(code, build(code)) for code in codes]


# Our name of a field → that of PyPI's napas-qr-python
NAPAS_QR_PYTHON = {
    "version": "payload_format_indicator",
    "guid": "glocal_uuid",
    "point_of_initiation": "point_of_initiation_method",
    "bin": "bin_id",
    "account": "consumer_id",
    "service": "service_code",
    "merchant_category": "merchant_category_code",
    "currency": "transaction_currency",
    "amount": "transaction_amount",
    "tip_indicator": "tip_or_convenience_indicator",
    "tip_fixed": "convenience_fee_fixed",
    "tip_percent": "convenience_fee_percentage",
    "country": "country_code",
    "mobile": "mobile_number",
    "purpose": "purpose_of_transaction",
    "consumer_request": "additional_consumer_data_request",
}


def test_napas_qr_python_reads_every_code_field_by_field(
    written: list[tuple[VietQr, str]],
) -> None:
    assert len(written) >= 500
    for code, payload in written:
        read = {name: value for name, value in qr_pay.decode(payload).items() if value is not None}
        wanted = as_text(code, payload)
        assert read == {NAPAS_QR_PYTHON.get(name, name): value for name, value in wanted.items()}


def test_napas_qr_python_refuses_a_code_with_a_changed_character(
    written: list[tuple[VietQr, str]],
) -> None:
    """The peer does look: what the test above shows is not its kindness."""
    payload = written[0][1]
    with pytest.raises(qr_pay.QRDecodeError):
        qr_pay.decode(payload.replace("A000000727", "A000000728"))


@pytest.fixture(scope="module")
def npm_peers() -> NpmPeers:
    return install_npm_peers()


def read_by_npm(peers: NpmPeers, payloads: list[str]) -> list[dict[str, Any]]:
    ran = subprocess.run(
        peers.command("decode.mjs"),
        input="\n".join(payloads),
        capture_output=True,
        text=True,
        check=True,
        timeout=DECODE_TIMEOUT_S,
    )
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_vietnam_qr_pay_reads_every_code_field_by_field(
    written: list[tuple[VietQr, str]], npm_peers: NpmPeers
) -> None:
    read = read_by_npm(npm_peers, [payload for _, payload in written])

    assert len(read) == len(written) >= 500
    for (code, payload), seen in zip(written, read, strict=True):
        assert seen == {"is_valid": True} | as_text(code, payload)


def test_vietnam_qr_pay_refuses_a_code_with_a_changed_character(
    written: list[tuple[VietQr, str]], npm_peers: NpmPeers
) -> None:
    payload = written[0][1]
    (seen,) = read_by_npm(npm_peers, [payload.replace("A000000727", "A000000728")])

    assert seen["is_valid"] is False


def test_the_npm_lock_names_no_registry() -> None:
    lock = json.loads((SOURCE / "package-lock.json").read_text("utf-8"))

    packages = [package for name, package in lock["packages"].items() if name]
    assert packages
    assert all("resolved" not in package and package["integrity"] for package in packages)
