"""Quotes: what was signed comes back, and nothing else does."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.sealing import Sealer
from parking.tariffs.errors import QuoteAmountDiffers, QuoteExpired, QuoteNotAuthentic
from parking.tariffs.pricing import price_stay
from parking.tariffs.quotes import Quote, QuoteSigner
from parking.tariffs.reading import read_sample
from tests.parking.tariffs.stays import a_stay, at

NOON = datetime(2026, 11, 20, 5, tzinfo=UTC)
ORG, SESSION, TARIFF = UUID(int=1), UUID(int=2), UUID(int=3)
SIGNER = QuoteSigner("a" * 32)
PRICE = price_stay(read_sample("hn-dong-da-cars"), a_stay("20 08:00"), left_at=at("20 12:00"))
QUOTE = Quote(
    org_id=ORG,
    session_id=SESSION,
    tariff_version_id=TARIFF,
    amount_vnd=PRICE.amount_vnd,
    lines=PRICE.lines,
    quoted_at=NOON,
    valid_until=NOON + timedelta(minutes=15),
)
TOKEN = SIGNER.sign(QUOTE)


def test_what_was_signed_comes_back() -> None:
    assert SIGNER.read(TOKEN, now=NOON) == QUOTE
    assert (
        SIGNER.read_for(TOKEN, org_id=ORG, session_id=SESSION, amount_vnd=120_000, now=NOON)
        == QUOTE
    )


@pytest.mark.parametrize(
    "wrong", [{"amount_vnd": 119_999}, {"session_id": UUID(int=9)}, {"org_id": UUID(int=9)}]
)
def test_another_amount_or_session_is_refused(wrong: dict[str, object]) -> None:
    asked = {"org_id": ORG, "session_id": SESSION, "amount_vnd": 120_000, **wrong}

    with pytest.raises(QuoteAmountDiffers):
        SIGNER.read_for(TOKEN, now=NOON, **asked)  # type: ignore[arg-type]


def test_an_expired_quote_is_refused_to_the_second() -> None:
    assert SIGNER.read(TOKEN, now=QUOTE.valid_until - timedelta(seconds=1))
    with pytest.raises(QuoteExpired):
        SIGNER.read(TOKEN, now=QUOTE.valid_until)


def test_after_a_change_of_keys_the_last_key_still_verifies() -> None:
    after = QuoteSigner("b" * 32, "a" * 32)

    assert after.read(TOKEN, now=NOON) == QUOTE
    with pytest.raises(QuoteNotAuthentic):
        QuoteSigner("b" * 32).read(TOKEN, now=NOON)


def test_a_quote_that_does_not_add_up_is_never_signed() -> None:
    with pytest.raises(AssertionError):
        SIGNER.sign(replace(QUOTE, amount_vnd=1))


def test_the_key_of_quotes_seals_nothing_else() -> None:
    """The master key is the same; the keys that are derived from it are not."""
    sealer = Sealer("a" * 32)

    assert urlsafe_b64decode(TOKEN)[:32] not in sealer.seal(b"x", org_id=ORG, object_id=SESSION)
    assert SIGNER._keys[0] not in (b"a" * 32,)


raw_token = urlsafe_b64decode(TOKEN)


@given(st.integers(0, len(raw_token) - 1), st.integers(1, 255))
def test_one_changed_byte_is_refused(place: int, change: int) -> None:
    changed = bytearray(raw_token)
    changed[place] ^= change

    with pytest.raises(QuoteNotAuthentic):
        SIGNER.read(urlsafe_b64encode(changed).decode(), now=NOON)


@given(st.integers(0, len(TOKEN) - 1), st.characters())
def test_one_changed_character_is_refused(place: int, other: str) -> None:
    changed = TOKEN[:place] + other + TOKEN[place + 1 :]
    if changed == TOKEN:
        return

    with pytest.raises(QuoteNotAuthentic):
        SIGNER.read(changed, now=NOON)


@given(st.text() | st.integers(0, len(TOKEN) - 1).map(lambda end: TOKEN[:end]))
def test_no_other_text_is_a_quote(token: str) -> None:
    with pytest.raises(QuoteNotAuthentic):
        SIGNER.read(token, now=NOON)


@pytest.mark.parametrize("added", ["\n", " ", "!", "="])
@pytest.mark.parametrize("place", [0, 40, len(TOKEN)])
def test_a_token_has_one_spelling(place: int, added: str) -> None:
    """Decoders of base64 pass over what is no letter of theirs; a token is what was given out."""
    with pytest.raises(QuoteNotAuthentic):
        SIGNER.read(TOKEN[:place] + added + TOKEN[place:], now=NOON)


def test_a_token_as_long_as_a_book_is_refused_unread() -> None:
    with pytest.raises(QuoteNotAuthentic):
        SIGNER.read("A" * 1_000_000, now=NOON)
