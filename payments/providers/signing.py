"""Keys, answers and refusals that the adapters share."""

import hmac
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from payments.providers.errors import UnreadableNotice
from payments.providers.types import (
    KEYS_MAX,
    Acknowledgement,
    EndpointSecrets,
    RawCallback,
    Reading,
    Refusal,
    RefusalDetail,
    Verification,
)

# What a column of four bytes holds, 68 years either way. A signed time may be any number, and a
# notice is never lost for that.
SKEW_S_MAX: Final = 2**31 - 1

STORED: Final = Acknowledgement(status=200, body=b'{"success":true}')
# One answer, so that nobody can distinguish an unknown endpoint from a wrong key or a broken body.
NOT_ACCEPTED: Final = Acknowledgement(status=401, body=b'{"success":false,"error":"not_accepted"}')
TOO_LARGE: Final = Acknowledgement(status=413, body=b'{"success":false,"error":"too_large"}')


def refused(refusal: Refusal, detail: RefusalDetail, *, skew_s: int | None = None) -> Verification:
    """Return a failed verification; the detail is for the notice log."""
    return Verification(is_valid=False, refusal=refusal, detail=detail, skew_s=_bound(skew_s))


def valid(
    key_index: int, read: Callable[[], Reading] | None, *, skew_s: int | None = None
) -> Verification:
    """Return a passed verification.

    Args:
        key_index: 1 for the previous key, still in use at the provider.
        read: reads the notice; None for a token request.
        skew_s: our clock minus the signature's.
    """
    reading = unreadable = None
    if read is not None:
        try:
            reading = read()
        except UnreadableNotice as error:
            unreadable = error
    return Verification(
        is_valid=True,
        refusal=None,
        used_previous_key=key_index > 0,
        skew_s=_bound(skew_s),
        reading=reading,
        unreadable=unreadable,
    )


def _bound(skew_s: int | None) -> int | None:
    return None if skew_s is None else max(-SKEW_S_MAX, min(SKEW_S_MAX, skew_s))


class AnswersPlainly:
    """The answers that payOS, SePay and Casso understand: any status outside 2xx is a failure.

    payOS documents the body, Casso's sample handler sends it, SePay's older page asks for it and
    its newer one for any 2xx.
    """

    def issue_token(
        self, callback: RawCallback, secrets: EndpointSecrets, *, now: datetime
    ) -> Acknowledgement | None:
        """Return None: each of their callbacks is a notice."""
        return None

    def acknowledge(self, *, notice_id: str) -> Acknowledgement:
        """Answer 200 {"success":true}."""
        return STORED

    def acknowledge_unreadable(self, error: UnreadableNotice, *, notice_id: str) -> Acknowledgement:
        """Answer as if it were read: it is stored, and sending it again changes nothing."""
        return STORED

    def refuse(self, refusal: Refusal) -> Acknowledgement:
        """Answer 401, or 413 for a large body; SePay then comes back seven times in 33 minutes."""
        return TOO_LARGE if refusal is Refusal.TOO_LARGE else NOT_ACCEPTED


def check_envelope(callback: RawCallback, body_bytes_max: int) -> Verification | None:
    """Refuse what is too large or below an address where nothing is (None: look further)."""
    if len(callback.body) > body_bytes_max:
        return refused(Refusal.TOO_LARGE, RefusalDetail.BODY_TOO_LARGE)
    if callback.subpath:
        return refused(Refusal.UNKNOWN_SUBPATH, RefusalDetail.PATH_UNKNOWN)
    return None


def usable_keys(secrets: EndpointSecrets) -> Iterator[tuple[int, bytes]]:
    """Yield (0 for the current key or 1 for the previous, key). An empty key signs nothing."""
    for i, key in enumerate(secrets.keys[:KEYS_MAX]):
        if key:
            yield i, key.encode("utf-8", "surrogatepass")


def find_signing_key(
    secrets: EndpointSecrets, sign: Callable[[bytes], str], candidates: list[bytes]
) -> int | None:
    """Return the index of the key under which a candidate is the signature, in constant time.

    Args:
        secrets: the endpoint's keys.
        sign: key → lower-case hexadecimal signature.
        candidates: the signatures that the request carries, as bytes.
    """
    for i, key in usable_keys(secrets):
        expected = sign(key).encode()
        if any([hmac.compare_digest(expected, candidate) for candidate in candidates]):  # noqa: C419
            return i
    return None


def find_equal_key(secrets: EndpointSecrets, offered: bytes) -> int | None:
    """Return the index of the key that equals what was offered, compared in constant time."""
    for i, key in usable_keys(secrets):
        if hmac.compare_digest(key, offered):
            return i
    return None


def split_authorization(callback: RawCallback) -> tuple[str, bytes]:
    """Return (lower-case scheme, credentials) of the Authorization header, or ("", b"")."""
    scheme, _, credentials = callback.headers.get("authorization", "").strip().partition(" ")
    return scheme.lower(), credentials.strip().encode("utf-8", "replace")
