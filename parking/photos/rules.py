"""Photos: limits, names of their files, and links that end. Pure."""

import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

PHOTO_BYTES_MAX: Final = 4 * 1024 * 1024  # as a phone sends it; a crop has some 40 KB
PIXELS_MAX: Final = 25_000_000  # what is decoded has at most 75 MB
SCANS_MAX: Final = 64  # of a JPEG; encoders write one, or ten where it appears by degrees
SIDE_PX_MAX: Final = 1_280  # a plate across a fifth of the picture is still readable
SIDE_PX_MIN: Final = 32
JPEG_QUALITY: Final = 80
HASH_BYTES: Final = 32
LINK_VALID_FOR: Final = timedelta(minutes=5)
LINK_KEY: Final = "photo links v1"  # purpose of the key that signs links
SIGNATURE_CHARS: Final = 32


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A photo as it is stored: upright, without what the camera wrote beside it."""

    jpeg: bytes
    hash: bytes  # SHA-256 of `jpeg`: its name
    width: int
    height: int


def sign_link(key: bytes, org_id: UUID, hash_: bytes, until: datetime) -> str:
    """Return what makes a link to a photo good until an instant, as hexadecimal digits."""
    facts = b"".join((org_id.bytes, hash_, int(until.timestamp()).to_bytes(8, "big")))
    return hmac.digest(key, facts, "sha256").hex()[:SIGNATURE_CHARS]


def is_link_good(
    key: bytes, org_id: UUID, hash_: bytes, *, until_s: int, signature: str, now: datetime
) -> bool:
    """Whether a link was signed here and has not ended.

    Args:
        until_s: Unix seconds, as in the link.
    """
    # 10 digits last until the year 2286; more than 64 bits are no instant.
    if not now.timestamp() <= until_s < 10**10:
        return False
    facts = b"".join((org_id.bytes, hash_, until_s.to_bytes(8, "big")))
    signed = hmac.digest(key, facts, "sha256").hex()[:SIGNATURE_CHARS]
    return hmac.compare_digest(signed.encode(), signature.encode())


def read_hash(text: str) -> bytes | None:
    """Return the hash that a text names in 64 hexadecimal digits of small letters, or None."""
    if len(text) != 2 * HASH_BYTES or not text.isascii() or text != text.lower():
        return None
    try:
        return bytes.fromhex(text)
    except ValueError:
        return None
