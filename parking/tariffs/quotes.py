"""Signed quotes: a price that a bill or an attendant can be held to, for a short time.

A quote travels through browsers and phones as a token, and what comes back is trusted for its
signature alone: HMAC-SHA256 over everything it says. Its key is derived from PHOPAY_SECRET_KEY for
quotes only (HKDF-SHA256, RFC 5869), so nothing else that the hub signs can pass for a quote.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.money import VND_MAX
from core.settings import Settings
from parking.tariffs.errors import QuoteAmountDiffers, QuoteExpired, QuoteNotAuthentic
from parking.tariffs.pricing import LineCode, PriceLine

TOKEN_CHARS_MAX: Final = 16_384
VALID_FOR_MAX: Final = timedelta(minutes=60)
_VERSION: Final = 1
_SIGNATURE_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a parking session owes at a moment, by one version of a tariff."""

    org_id: UUID
    session_id: UUID
    tariff_version_id: UUID
    amount_vnd: int
    lines: tuple[PriceLine, ...]
    quoted_at: datetime
    valid_until: datetime
    paid_until: datetime | None = None  # it is paid ahead until then; None: until it was quoted


class QuoteSigner:
    """Signs with the present key; verifies with that and, after a change of keys, the last."""

    def __init__(self, secret_key: str, previous_secret_key: str | None = None) -> None:
        keys = [secret_key, previous_secret_key] if previous_secret_key else [secret_key]
        self._keys = [_derive(key) for key in keys if key]

    @classmethod
    def from_settings(cls, settings: Settings) -> "QuoteSigner":
        """Make the process's signer."""
        previous = settings.previous_secret_key
        return cls(
            settings.secret_key.get_secret_value(),
            previous.get_secret_value() if previous else None,
        )

    def sign(self, quote: Quote) -> str:
        """Return the quote as a token of URL-safe characters."""
        assert 0 <= quote.amount_vnd <= VND_MAX
        assert quote.amount_vnd == sum(line.amount_vnd for line in quote.lines)
        assert timedelta(0) < quote.valid_until - quote.quoted_at <= VALID_FOR_MAX
        body = _write(quote)
        token = urlsafe_b64encode(hmac.digest(self._keys[0], body, "sha256") + body).decode()
        assert len(token) <= TOKEN_CHARS_MAX
        return token

    def read(self, token: str, *, now: datetime) -> Quote:
        """Return the quote of a token.

        Raises:
            QuoteNotAuthentic: this hub did not sign it, or not in these words.
            QuoteExpired: its time is over.
        """
        body = self._verify(token)
        quote = _read(body)
        if now >= quote.valid_until:
            raise QuoteExpired
        return quote

    def read_for(
        self, token: str, *, org_id: UUID, session_id: UUID, amount_vnd: int, now: datetime
    ) -> Quote:
        """Return the quote of a token that a bill or a collection names as its reason.

        Raises:
            QuoteNotAuthentic, QuoteExpired: as read.
            QuoteAmountDiffers: it is of another session, or of another amount.
        """
        quote = self.read(token, now=now)
        if (quote.org_id, quote.session_id, quote.amount_vnd) != (org_id, session_id, amount_vnd):
            raise QuoteAmountDiffers
        return quote

    def _verify(self, token: str) -> bytes:
        if len(token) > TOKEN_CHARS_MAX:
            raise QuoteNotAuthentic
        try:
            raw = urlsafe_b64decode(token.encode("ascii"))
        except ValueError as error:
            raise QuoteNotAuthentic from error
        # base64 reads several spellings of the same bytes: only ours is a token.
        if urlsafe_b64encode(raw).decode() != token:
            raise QuoteNotAuthentic
        signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        for key in self._keys:
            if hmac.compare_digest(hmac.digest(key, body, "sha256"), signature):
                return body
        raise QuoteNotAuthentic


def _write(quote: Quote) -> bytes:
    lines = [[line.code, line.amount_vnd, dict(line.facts)] for line in quote.lines]
    return msgspec.json.encode(
        [
            _VERSION,
            quote.org_id,
            quote.session_id,
            quote.tariff_version_id,
            quote.amount_vnd,
            quote.quoted_at.astimezone(UTC),
            quote.valid_until.astimezone(UTC),
            quote.paid_until and quote.paid_until.astimezone(UTC),
            lines,
        ]
    )


_Lines = list[tuple[str, int, dict[str, Any]]]
_Body = tuple[int, UUID, UUID, UUID, int, datetime, datetime, datetime | None, _Lines]
_decoder = msgspec.json.Decoder(_Body)


def _read(body: bytes) -> Quote:
    try:
        version, org_id, session_id, tariff_id, amount, quoted_at, until, ahead, lines = (
            _decoder.decode(body)
        )
        if version != _VERSION:
            raise QuoteNotAuthentic
        return Quote(
            org_id=org_id,
            session_id=session_id,
            tariff_version_id=tariff_id,
            amount_vnd=amount,
            lines=tuple(PriceLine(LineCode(code), vnd, facts) for code, vnd, facts in lines),
            quoted_at=quoted_at,
            valid_until=until,
            paid_until=ahead,
        )
    except (msgspec.DecodeError, ValueError) as error:  # of another release of the hub
        raise QuoteNotAuthentic from error


def _derive(secret_key: str) -> bytes:
    info = b"phopay parking quotes v1"
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret_key.encode())
