"""VietQR codes as they are written: as bank apps know them, and read back the same."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.vietqr import (
    AdditionalData,
    PointOfInitiation,
    Service,
    VietQr,
    VietQrNotWritable,
    VietQrTooLong,
    ascii_text,
    build,
    parse,
)
from payments.vietqr.tlv import read_tlv
from tests.payments.vietqr.test_vietqr_reading import a_transfer, sealed
from tests.payments.vietqr.vietqr_codes import codes


def test_a_bills_code_is_written_as_bank_apps_know_it() -> None:
    payload = build(a_transfer(merchant_name="PHO LAN", merchant_city="HA NOI"))

    assert payload == sealed(
        "000201010212"
        "38540010A00000072701240006970422011001234567890208QRIBFTTA"
        "53037045405200005802VN5907PHO LAN6006HA NOI" + "62170813PPHNDXCJF3X84"
    )


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"bin": "97042"}, "38.01.00"),
        ({"bin": "97O422"}, "38.01.00"),
        ({"account": ""}, "38.01.01"),
        ({"account": "1" * 20}, "38.01.01"),
        ({"account": "0123 456"}, "38.01.01"),
        ({"account": "0123é"}, "38.01.01"),
        ({"account": "0123456789\n"}, "38.01.01"),
        ({"amount_vnd": 0}, "54"),
        ({"amount_vnd": 500_000_000}, "54"),
        ({"amount_vnd": None}, "54"),
        ({"purpose": "x" * 20}, "62.08"),
        ({"purpose": "trả tiền"}, "62.08"),
        ({"purpose": "a\tb"}, "62.08"),
        ({"bill_number": "x" * 26}, "62.01"),
        ({"merchant_name": "Phở Lan"}, "59"),
        ({"merchant_name": "x" * 26}, "59"),
        ({"merchant_city": "x" * 16}, "60"),
        ({"merchant_category": "12"}, "52"),
        (
            {"bill_number": "x" * 25, "store_label": "x" * 25, "terminal_label": "x" * 25},
            "62",
        ),
    ],
)
def test_what_some_apps_do_not_take_is_not_written(facts: dict[str, Any], field: str) -> None:
    with pytest.raises(VietQrNotWritable) as caught:
        build(a_transfer(**facts))

    assert caught.value.field == field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"service": None}, "38.02"),
        ({"currency": None}, "53"),
        ({"country": "US"}, "58"),
        ({"additional": AdditionalData()}, "62"),
        ({"additional": AdditionalData(purpose="")}, "62.08"),
        ({"additional": AdditionalData(consumer_request="AA")}, "62.09"),
        ({"additional": AdditionalData(others=(("08", "x"),))}, "62.08"),
        ({"others": (("38", "x"),)}, "38"),
        ({"others": (("63", "x"),)}, "63"),
        ({"others": (("81", "x"), ("80", "x"))}, "others"),
        ({"others": (("80", "x"), ("80", "x"))}, "others"),
        ({"beneficiary_others": (("02", "QRIBFTTA"),)}, "38"),
        ({"tip_indicator": "02"}, "55"),
        ({"tip_fixed_vnd": 1_000}, "55"),
        ({"tip_indicator": "03", "tip_percent": "0.00"}, "57"),
    ],
)
def test_a_field_outside_the_profile_is_not_written(change: dict[str, Any], field: str) -> None:
    with pytest.raises(VietQrNotWritable) as caught:
        build(dataclasses.replace(a_transfer(), **change))

    assert caught.value.field == field


def test_a_code_longer_than_any_reader_takes_is_not_written() -> None:
    others = tuple((str(tag), "x" * 99) for tag in range(80, 85))

    with pytest.raises(VietQrTooLong):
        build(dataclasses.replace(a_transfer(), others=others))


def test_cash_at_an_atm_may_leave_its_amount_open() -> None:
    code = a_transfer(amount_vnd=None, service=Service.QRCASH)

    assert parse(build(code)).service is Service.QRCASH


def test_objects_stand_in_ascending_order_whatever_they_are() -> None:
    others = (("02", "x"), ("40", "x"), ("65", "x"), ("99", "x"))
    payload = build(dataclasses.replace(a_transfer(merchant_name="PHO"), others=others))

    tags = list(read_tlv(payload))
    assert tags[:-1] == sorted(tags[:-1])
    assert tags[-1] == "63"


def test_a_static_code_may_carry_an_amount() -> None:
    code = parse(build(a_transfer(is_dynamic=False)))

    assert (code.point_of_initiation, code.amount_vnd) == (PointOfInitiation.STATIC, 20_000)


@pytest.mark.parametrize(
    ("vietnamese", "plain"),
    [
        ("Phở Lan Nguyễn Thị Ánh Đường", "Pho Lan Nguyen Thi Anh Du"),
        ("  chợ\u00a0Đồng  Xa\n", "cho Dong Xa"),
        ("20.000 ₫ – “ưu đãi”", '20.000 d - "uu dai"'),
        ("ＰＨＯ　２４", "PHO 24"),
        ("東京", ""),
        ("\u00d0\u01b0\u1eddng \u0189a \u00f0en \u0256o", "Duong Da den do"),
    ],
)
def test_vietnamese_is_written_without_accents(vietnamese: str, plain: str) -> None:
    assert ascii_text(vietnamese, 25) == plain


@given(st.text(max_size=60), st.integers(1, 25))
def test_plain_text_always_fits_its_field(text: str, chars_max: int) -> None:
    plain = ascii_text(text, chars_max)

    assert len(plain) <= chars_max
    assert plain.isascii()
    assert not plain or plain.isprintable()


@settings(max_examples=400, deadline=None)
@given(codes())
def test_what_is_written_is_read_back_the_same(code: VietQr) -> None:
    try:
        payload = build(code)
    except VietQrTooLong:
        return
    assert payload.isascii()
    assert parse(payload) == code
    assert build(parse(payload)) == payload
