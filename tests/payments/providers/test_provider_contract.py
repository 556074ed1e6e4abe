"""The contract of every provider: rotation, limits, answers, and no bytes that break an adapter."""

import hashlib
import hmac
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.money import VND_MAX
from payments.providers import (
    BODY_BYTES_MAX,
    PROVIDERS,
    EndpointSecrets,
    RawCallback,
    Reading,
    Refusal,
    UnreadableNotice,
    Webhook,
    find_provider,
)
from payments.providers.types import RefusalDetail
from payments.providers.vietqrvn.webhook import VietQRvn
from tests.world import callbacks as notices
from tests.world.callbacks import CALLBACKS, KEY, SECRETS
from tests.world.constants import NOON

BOM = b"\xef\xbb\xbf"
SIGNING = ("payos", "sepay", "casso")

any_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["C", "in", "VND", "00", "2026-11-20", "\ud800", "a\0b", "1" * 5_000]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=6),
    max_leaves=12,
)
known_fields = sorted(
    {
        *notices.PAYOS_DATA,
        *notices.SEPAY_NOTICE,
        *notices.CASSO_NOTICE["data"],
        *notices.VIETQRVN_PUSH,
    }
)
likely_json = st.fixed_dictionaries(
    {},
    optional={"data": st.dictionaries(st.sampled_from(known_fields), any_json), "error": any_json},
) | st.dictionaries(st.sampled_from(known_fields), any_json)
any_body = (
    st.binary(max_size=200)
    | any_json.map(lambda value: json.dumps(value).encode())
    | likely_json.map(lambda value: json.dumps(value).encode())
    | st.sampled_from([b"[" * 9_000, b'{"a":' * 3_000, b'{"data":{"amount":' + b"9" * 5_000])
)
any_headers = st.dictionaries(
    st.sampled_from(
        ["authorization", "x-sepay-signature", "x-sepay-timestamp", "x-casso-signature"]
    ),
    st.text()
    | st.sampled_from(
        [
            "Basic ====",
            "Basic \xff",
            "Bearer 1.2",
            "Apikey é",
            "t=1,v1=é",
            "sha256=é",
            "12",
            "t=,v1=",
        ]
    ),
)


def reads_or_says_why(provider: Webhook, body: bytes) -> Reading | None:
    try:
        return provider.read(body)
    except UnreadableNotice as error:
        told = provider.acknowledge_unreadable(error, notice_id="n1")
    assert told.status == (400 if provider.name == "vietqrvn" else 200)
    return None


@settings(deadline=None)  # a shared machine may pause
@given(
    any_body, any_headers, st.sampled_from(["", "api/token_generate", "bank/api/transaction-sync"])
)
def test_no_bytes_raise_anything_but_unreadable_notice(
    body: bytes, headers: dict[str, str], subpath: str
) -> None:
    callback = RawCallback(headers=headers, body=body, subpath=subpath)
    for provider in PROVIDERS.values():
        verified = provider.verify(callback, SECRETS, now=NOON)
        assert not verified.is_valid
        assert verified.refusal is not None
        assert isinstance(verified.detail, RefusalDetail)  # a code: no secret, no sentence
        reads_or_says_why(provider, body)


@pytest.mark.slow
@settings(deadline=None)  # a shared machine may pause
@given(st.dictionaries(st.sampled_from(known_fields), any_json), st.sampled_from(sorted(CALLBACKS)))
def test_a_reading_keeps_every_limit(changed: dict[str, object], name: str) -> None:
    provider, deliver = PROVIDERS[name], CALLBACKS[name][0]
    notice = json.loads(deliver().body)
    notice.get("data", notice).update(changed)

    reading = reads_or_says_why(provider, json.dumps(notice).encode())

    for told in reading.transactions if reading else ():
        assert 1 <= told.amount_vnd <= VND_MAX
        assert len(told.memo) <= 1_000
        assert 1 <= len(told.provider_transaction_id) <= 100
        assert told.occurred_at.utcoffset() is not None
        for text in (told.memo, told.account_number, told.payer_name or "", told.payer_bank or ""):
            assert "\0" not in text
            text.encode()


@pytest.mark.parametrize("name", sorted(CALLBACKS))
def test_an_honest_notice_is_valid_and_credits_once(name: str) -> None:
    deliver, secrets = CALLBACKS[name]
    callback, provider = deliver(), PROVIDERS[name]

    verified = provider.verify(callback, secrets, now=NOON)

    assert verified.is_valid
    assert not verified.used_previous_key
    assert len(provider.read(callback.body).transactions) == 1


@pytest.mark.parametrize("name", sorted(CALLBACKS))
def test_the_previous_key_still_works_and_is_flagged(name: str) -> None:
    deliver, secrets = CALLBACKS[name]
    callback = deliver()
    rotated = replace(secrets, keys=("a-newer-key", *secrets.keys))

    verified = PROVIDERS[name].verify(callback, rotated, now=NOON)

    assert verified.is_valid
    assert verified.used_previous_key


@pytest.mark.parametrize("name", sorted(CALLBACKS))
def test_a_third_key_an_empty_key_and_no_key_open_nothing(name: str) -> None:
    deliver, secrets = CALLBACKS[name]
    callback = deliver()
    for keys in (("x", "y", secrets.keys[0]), ("",), ()):
        verified = PROVIDERS[name].verify(callback, replace(secrets, keys=keys), now=NOON)
        assert verified.refusal is Refusal.BAD_SIGNATURE


@pytest.mark.parametrize(
    ("name", "forged"),
    [
        ("payos", notices.payos_callback(key="")),
        ("sepay", notices.sepay_callback(key="")),
        ("casso", notices.casso_callback(key="")),
    ],
)
def test_nobody_signs_with_an_empty_key(name: str, forged: RawCallback) -> None:
    assert not PROVIDERS[name].verify(forged, EndpointSecrets(keys=("",)), now=NOON).is_valid


@pytest.mark.parametrize("name", SIGNING)
def test_one_flipped_bit_in_the_body_is_refused_or_changes_no_fact(name: str) -> None:
    """payOS signs `data` only, and JSON may write one text in two ways: facts are what counts."""
    deliver, secrets = CALLBACKS[name]
    callback, provider = deliver(), PROVIDERS[name]
    honest, still_valid = provider.read(callback.body), 0
    for i in range(len(callback.body) * 8):
        body = bytearray(callback.body)
        body[i // 8] ^= 1 << i % 8
        flipped = replace(callback, body=bytes(body))
        if provider.verify(flipped, secrets, now=NOON).is_valid:
            still_valid += 1
            assert provider.read(flipped.body) == honest
    unsigned_bytes = 0
    if name == "payos":
        unsigned_bytes = len(callback.body) - len(notices.to_json(notices.PAYOS_DATA))
    assert still_valid <= unsigned_bytes * 8


@pytest.mark.parametrize("name", sorted(CALLBACKS))
def test_a_body_over_the_limit_is_refused_unread(name: str) -> None:
    deliver, secrets = CALLBACKS[name]
    large = replace(deliver(), body=b" " * (BODY_BYTES_MAX + 1))
    assert PROVIDERS[name].verify(large, secrets, now=NOON).refusal is Refusal.TOO_LARGE


@pytest.mark.parametrize("name", sorted(CALLBACKS))
def test_an_address_below_the_endpoint_is_refused(name: str) -> None:
    deliver, secrets = CALLBACKS[name]
    elsewhere = replace(deliver(), subpath="bank/api/else")
    assert PROVIDERS[name].verify(elsewhere, secrets, now=NOON).refusal is Refusal.UNKNOWN_SUBPATH


@pytest.mark.parametrize("name", sorted(CALLBACKS))
def test_an_unknown_endpoint_looks_like_a_bad_signature(name: str) -> None:
    """The caller answers unknown endpoints as BAD_SIGNATURE: nothing else may look different."""
    provider = PROVIDERS[name]
    before_reading = set(Refusal) - {Refusal.TOO_LARGE, Refusal.MALFORMED}
    assert len({provider.refuse(refusal) for refusal in before_reading}) == 1
    assert provider.refuse(Refusal.BAD_SIGNATURE).status == 401
    if name != "vietqrvn":  # there a body is looked at only after the token
        assert provider.refuse(Refusal.MALFORMED) == provider.refuse(Refusal.BAD_SIGNATURE)


@pytest.mark.parametrize("name", sorted(CALLBACKS))
def test_repeats_are_acknowledged_like_the_first_time(name: str) -> None:
    provider = PROVIDERS[name]
    first, repeat = (provider.acknowledge(notice_id="01J") for _ in range(2))
    assert first == repeat
    assert first.status == 200
    assert isinstance(json.loads(first.body), dict)


def test_secrets_do_not_show_in_logs() -> None:
    assert KEY not in repr(SECRETS)
    assert KEY not in f"{SECRETS}"


def test_providers_are_found_by_name() -> None:
    assert isinstance(find_provider("vietqrvn"), VietQRvn)
    assert find_provider("momo") is None
    assert all(provider.name == name for name, provider in PROVIDERS.items())


@pytest.mark.parametrize("name", CALLBACKS)
def test_a_body_that_begins_with_a_byte_order_mark_is_read_as_without_it(name: str) -> None:
    make, secrets = CALLBACKS[name]
    sign = {"sepay": notices.sepay_callback, "sepay_apikey": notices.sepay_apikey_callback}.get(
        name
    )
    plain = make()
    marked = replace(plain, body=BOM + plain.body)
    if sign is not None:  # the signature is over the bytes as they are sent
        marked = sign(BOM + plain.body)

    provider = PROVIDERS[name]

    assert provider.verify(marked, secrets, now=NOON).is_valid
    assert provider.read(marked.body) == provider.read(plain.body)


def test_a_casso_body_with_a_mark_may_be_signed_over_its_bytes() -> None:
    body = BOM + b'{"error": 0,  "data": {"id": 0}}'
    t = int(NOON.timestamp() * 1_000)
    v1 = hmac.new(KEY.encode(), f"{t}.".encode() + body, hashlib.sha512).hexdigest()
    callback = RawCallback(headers={"x-casso-signature": f"t={t},v1={v1}"}, body=body)

    assert PROVIDERS["casso"].verify(callback, SECRETS, now=NOON).is_valid


def test_a_mark_that_the_signature_does_not_cover_is_refused() -> None:
    plain = notices.sepay_callback()
    marked = replace(plain, body=BOM + plain.body)

    assert not PROVIDERS["sepay"].verify(marked, SECRETS, now=NOON).is_valid


@pytest.mark.parametrize("name", CALLBACKS)
@pytest.mark.parametrize("body", [BOM, BOM + BOM + b"{}", BOM + b" x", b"{" + BOM + b"}"])
def test_marks_alone_twice_or_inside_are_no_json(name: str, body: bytes) -> None:
    with pytest.raises(UnreadableNotice):
        PROVIDERS[name].read(body)


@pytest.mark.parametrize("t", ["0", "1", "17958628521204", "99999999999999"])
def test_the_clock_of_a_casso_notice_is_kept_within_what_can_be_stored(t: str) -> None:
    message = json.dumps(
        notices.CASSO_NOTICE, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    v1 = hmac.new(KEY.encode(), f"{t}.{message}".encode(), hashlib.sha512).hexdigest()
    callback = replace(notices.casso_callback(), headers={"x-casso-signature": f"t={t},v1={v1}"})

    judged = PROVIDERS["casso"].verify(callback, SECRETS, now=NOON)

    assert judged.is_valid
    assert judged.skew_s is not None
    assert -(2**31) <= judged.skew_s < 2**31


@pytest.mark.parametrize("at", ["0", "1", "99999999999"])
def test_the_clock_of_a_refused_sepay_notice_is_kept_within_what_can_be_stored(at: str) -> None:
    plain = notices.sepay_callback()
    message = at.encode() + b"." + plain.body
    signature = hmac.new(KEY.encode(), message, hashlib.sha256).hexdigest()
    headers = {"x-sepay-timestamp": at, "x-sepay-signature": f"sha256={signature}"}

    judged = PROVIDERS["sepay"].verify(replace(plain, headers=headers), SECRETS, now=NOON)

    assert judged.refusal is Refusal.STALE_TIMESTAMP
    assert judged.skew_s is not None
    assert -(2**31) <= judged.skew_s < 2**31
