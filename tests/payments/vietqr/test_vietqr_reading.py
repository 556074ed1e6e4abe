"""VietQR payloads as they are read: published ones, broken ones, and those of other schemes."""

import io
import json
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import Kind
from ops.cli.tools_vietqr import run_vietqr_decode
from payments.vietqr import (
    VietQr,
    VietQrCrcMismatch,
    VietQrError,
    VietQrNotText,
    VietQrNotWritable,
    VietQrOtherScheme,
    build,
    parse,
    transfer_code,
)
from payments.vietqr.crc import crc16
from tests.payments.vietqr.vietqr_vectors import INVALID, VALID, read_shared

MB = "970422"


def sealed(text: str) -> str:
    """Put the right checksum under a text that ends before it."""
    return text + "6304" + crc16((text + "6304").encode())


def a_payload(*, amount: str = "540550000", extra: str = "", account: str = "0123456789") -> str:
    beneficiary = f"0006{MB}01{len(account):02d}{account}"
    template = f"0010A00000072701{len(beneficiary):02d}{beneficiary}0208QRIBFTTA"
    return sealed(f"00020101021238{len(template):02d}{template}5303704{amount}5802VN{extra}")


def a_transfer(**facts: Any) -> VietQr:
    known = {
        "bin": MB,
        "account": "0123456789",
        "amount_vnd": 20_000,
        "purpose": "PPHNDXCJF3X84",
        "is_dynamic": True,
    }
    return transfer_code(**(known | facts))


def decoded(payload: str) -> dict[str, Any]:
    out = io.StringIO()
    run_vietqr_decode([payload], out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


# What the payload says


@pytest.mark.parametrize(("payload", "facts", "source"), VALID)
def test_a_published_payload_is_read_as_its_issuer_meant_it(
    payload: str, facts: dict[str, Any], source: str
) -> None:
    answer = decoded(payload)

    assert {key: answer[key] for key in facts} == facts, source


def test_every_shared_valid_payload_is_read_field_by_field() -> None:
    rows = read_shared("vietqr_valid.json")

    assert len(rows) == 60
    for row in rows:
        row["amount_vnd"] = None if row["amount"] is None else int(row["amount"])
        answer = decoded(row["payload"])
        assert {key: row[key] for key in answer} == answer, row["source"]
        code = parse(row["payload"])
        assert (code.merchant_category, code.currency, code.country) == (
            row["mcc"],
            row["currency"],
            row["country"],
        )


def test_shared_payloads_are_rebuilt_where_our_profile_can_write_them() -> None:
    rebuilt, reasons = 0, Counter[str]()
    for row in read_shared("vietqr_valid.json"):
        payload = row["payload"]
        try:
            written = build(parse(payload))
        except VietQrNotWritable as error:
            reasons[error.field] += 1
            continue
        if written == payload:
            rebuilt += 1
        else:  # only the checksum's case differs
            assert written == payload[:-4] + payload[-4:].upper()
            reasons["63"] += 1

    assert rebuilt == 40
    assert reasons == {
        "62.08": 7,  # six purposes above 19 characters, one of length zero
        "38.02": 7,  # the service stands in the wrong template
        "55": 2,  # tips whose indicator contradicts them
        "54": 1,  # an amount that NAPAS does not carry
        "53": 1,  # no currency
        "58": 1,  # no country
        "63": 1,  # a checksum in lower case
    }


@pytest.mark.parametrize(("payload", "code", "source"), INVALID)
def test_a_broken_payload_is_refused_with_its_reason(payload: str, code: str, source: str) -> None:
    with pytest.raises(VietQrError) as caught:
        parse(payload)

    assert (caught.value.code, caught.value.kind) == (code, Kind.INVALID), source


def test_every_shared_invalid_payload_is_refused_with_the_reason_it_is_there_for() -> None:
    rows = read_shared("vietqr_invalid.json")

    assert len(rows) == 24
    for row in rows:
        with pytest.raises(VietQrError) as caught:
            parse(row["payload"])
        wanted = {"crc": "vietqr_crc_mismatch", "tlv": "vietqr_malformed"}
        assert caught.value.code == wanted.get(row["why"][:3], "vietqr_other_scheme"), row


def test_a_code_of_another_scheme_is_refused_by_its_name() -> None:
    with pytest.raises(VietQrOtherScheme) as caught:
        parse(INVALID[2][0])

    assert caught.value.guid == "A000000775"
    assert "A000000775" in str(caught.value)


NAPAS_IN_26 = (
    "00020101021226540010A00000072701240006970422011001234567890208QRIBFTTA53037045405100005802VN"
    "6304E00A"
)


@pytest.mark.parametrize("tag", ["26", "37", "39", "51"])
def test_data_of_napas_in_another_field_than_38_are_refused_in_so_many_words(tag: str) -> None:
    with pytest.raises(VietQrOtherScheme) as caught:
        parse(sealed(NAPAS_IN_26[:12] + tag + NAPAS_IN_26[14:-8]))

    assert str(caught.value) == (
        f"NAPAS's data (A000000727) stand in field {tag}; a VietQR has them in field 38."
    )


@pytest.mark.parametrize("guid", ["A000000775", "a000000727", "vn.momo"])
def test_data_of_another_scheme_in_38_are_refused_by_their_field_and_name(guid: str) -> None:
    template = f"00{len(guid):02d}{guid}0105x1234"

    with pytest.raises(VietQrOtherScheme) as caught:
        parse(sealed(f"00020101021138{len(template)}{template}53037045802VN"))

    assert caught.value.guid == guid
    assert str(caught.value) == (
        f"Field 38 has data of the scheme {guid!r}; only NAPAS (A000000727) is read."
    )


def test_the_scheme_in_38_is_named_before_its_neighbours() -> None:
    visa, momo = "0004VISA", "0004MOMO"

    with pytest.raises(VietQrOtherScheme) as caught:
        parse(sealed(f"00020101021126{len(visa):02d}{visa}38{len(momo):02d}{momo}5802VN"))

    assert caught.value.guid == "MOMO"


def test_a_38_that_names_no_scheme_is_an_error_that_says_so() -> None:
    with pytest.raises(VietQrOtherScheme, match="Field 38 names no payment scheme"):
        parse(sealed("000201010211380601021253037045802VN"))


def test_a_code_of_two_schemes_is_read_as_vietqr_and_keeps_the_other() -> None:
    vnpay = "0010A00000077501100105313144"
    code = parse(sealed(a_payload()[:12] + f"26{len(vnpay)}{vnpay}" + a_payload()[12:-8]))

    assert code.account == "0123456789"
    assert code.others == (("26", vnpay),)


# Tolerant reading


def test_an_amount_with_a_bare_point_is_whole_dong() -> None:
    assert parse(a_payload(amount="540650000.")).amount_vnd == 50_000


@pytest.mark.parametrize("amount", ["20000.0", "20000.00", "020000.0"])
def test_an_amount_with_no_part_of_a_dong_behind_its_point_is_whole(amount: str) -> None:
    assert parse(a_payload(amount=f"54{len(amount):02d}{amount}")).amount_vnd == 20_000


def test_a_tip_with_no_part_of_a_dong_behind_its_point_is_whole() -> None:
    assert parse(a_payload(extra="5502025607" + "2000.00")).tip_fixed_vnd == 2_000


@pytest.mark.parametrize(
    "amount",
    [
        "20000.50",
        "20000.01",
        "20.000",
        "20.000.0",
        "20000.000",
        "20000,00",
        "20000.0.",
        ".00",
        "0.0",
    ],
)
def test_an_amount_with_a_part_of_a_dong_or_grouping_is_refused(amount: str) -> None:
    with pytest.raises(VietQrError, match="Field 54"):
        parse(a_payload(amount=f"54{len(amount):02d}{amount}"))


@pytest.mark.parametrize("amount", ["50 000", "50,000", "5000.5", "0", "-5000", "5e4", "٥٠٠٠", "."])
def test_an_amount_that_is_not_whole_dong_is_refused(amount: str) -> None:
    with pytest.raises(VietQrError, match="Field 54"):
        parse(a_payload(amount=f"54{len(amount):02d}{amount}"))


def test_an_amount_of_length_zero_is_left_to_the_payer() -> None:
    assert parse(a_payload(amount="5400")).amount_vnd is None


@pytest.mark.parametrize("chars", [0, 1, 25, 36, 95])
def test_purposes_of_any_length_are_read(chars: int) -> None:
    purpose = "x" * chars
    extra = f"62{chars + 4:02d}08{chars:02d}{purpose}"

    assert parse(a_payload(extra=extra)).purpose == purpose


def test_bytes_and_white_space_around_a_pasted_code_are_read() -> None:
    assert parse(f"\ufeff  {a_payload()}\r\n".encode()) == parse(a_payload())


@pytest.mark.parametrize(
    "around",
    [
        *"\u00a0\u200b\ufeff\u3000\u2009\u2028\u0085\x0b\u200e\u202c\u2060\u00ad\u2800\u3164",
        " \u00a0\r\n\ufeff",
    ],
)
def test_what_nobody_sees_around_a_pasted_code_is_dropped(around: str) -> None:
    plain = parse(a_payload())

    assert parse(a_payload() + around) == plain
    assert parse(around + a_payload()) == plain
    assert parse((around + a_payload() + around).encode()) == plain


def test_what_nobody_sees_inside_a_code_is_not_dropped() -> None:
    with pytest.raises(VietQrError):
        parse(a_payload()[:40] + "\u200b" + a_payload()[40:])
    with pytest.raises(VietQrError):
        parse("\x00" + a_payload())


def test_a_checksum_counts_in_either_case_and_nothing_else() -> None:
    payload = a_payload(account="0123456783")
    lower = payload[:-4] + payload[-4:].lower()

    assert parse(lower) == parse(payload)
    with pytest.raises(VietQrCrcMismatch) as caught:
        parse(payload[:-4] + "0000")
    assert (caught.value.found, caught.value.expected) == ("0000", payload[-4:])


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ("", "vietqr_malformed"),
        ("https://example.org/pay", "vietqr_malformed"),
        ("0" * 513, "vietqr_too_long"),
        (b"\xff\xfe", "vietqr_not_text"),
        ("00020101\x0021", "vietqr_not_text"),
        (a_payload()[:-8] + "5904a\u202ebc", "vietqr_not_text"),
        (a_payload()[:-8], "vietqr_malformed"),
        (a_payload()[6:], "vietqr_malformed"),
        (sealed(a_payload()[:-8] + "5802VN"), "vietqr_repeated_field"),
        (sealed(a_payload()[:6] + a_payload()[12:-8]), "vietqr_missing_field"),
        (sealed(a_payload()[:10] + "13" + a_payload()[12:-8]), "vietqr_bad_value"),
        (a_payload(account=""), "vietqr_missing_field"),
        (sealed(a_payload()[:-8].replace("970422", "97042A")), "vietqr_bad_value"),
        (sealed(a_payload()[:-8].replace("QRIBFTTA", "QRXXXXXX")), "vietqr_bad_value"),
        (sealed(a_payload()[:-8].replace("5303704", "5303840")), "vietqr_bad_value"),
        ("000201+1", "vietqr_malformed"),
        (sealed(a_payload()[:-8] + "8X01a"), "vietqr_malformed"),
        (sealed(a_payload()[:-8] + "8²01a"), "vietqr_malformed"),
        (sealed(a_payload()[:-8] + " 801a"), "vietqr_malformed"),
        ("000201²²00", "vietqr_malformed"),
    ],
)
def test_each_reason_has_its_own_code(payload: str | bytes, code: str) -> None:
    with pytest.raises(VietQrError) as caught:
        parse(payload)

    assert caught.value.code == code


# Strict writing


# Both ways


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=700) | st.binary(max_size=700))
def test_no_input_at_all_raises_anything_but_the_documented_error(payload: str | bytes) -> None:
    with suppress(VietQrError):
        parse(payload)


MUTATIONS = st.lists(
    st.tuples(st.integers(0, 200), st.sampled_from("0123456789Aàđ\x00\ud800٣ ")), max_size=6
)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from([row[0] for row in VALID]), MUTATIONS, st.booleans(), st.integers(0, 30))
def test_a_damaged_payload_raises_nothing_but_the_documented_error(
    payload: str, mutations: list[tuple[int, str]], is_sealed: bool, cut: int
) -> None:
    """Sealed with a right checksum, damage reaches every check behind it."""
    chars = list(payload[:-8])
    for at, char in mutations:
        chars[at % len(chars)] = char
    damaged = "".join(chars[: len(chars) - cut])
    try:
        damaged = sealed(damaged) if is_sealed else damaged + payload[-8:]
    except UnicodeEncodeError:
        damaged += "63040000"
    try:
        code = parse(damaged)
    except VietQrError:
        return
    assert isinstance(code, VietQr)


def test_half_a_character_is_refused() -> None:
    with pytest.raises(VietQrNotText):
        parse(a_payload()[:-8] + "5901\udc8063040000")


def test_the_checksum_is_taken_over_everything_with_its_own_tag() -> None:
    assert (
        crc16(
            b"00020101021138600010A00000072701300006970403011697040311012345670208QRIBFTTC"
            b"53037045802VN6304"
        )
        == "4F52"
    )
    with pytest.raises(ValueError, match="must end"):
        crc16(b"123456789")
