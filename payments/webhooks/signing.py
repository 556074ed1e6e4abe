"""Secrets and signatures of Standard Webhooks. Pure.

Source: standard-webhooks/spec: `webhook-signature: v1,<base64 of HMAC-SHA256>` over
"id.timestamp.body", several separated by spaces; a secret is `whsec_` and 24 to 64 bytes in base64.
"""

import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Final

SECRET_PREFIX: Final = "whsec_"  # noqa: S105 (no password)
SECRET_BYTES: Final = 32


def make_secret() -> str:
    """Make a new secret."""
    return SECRET_PREFIX + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def sign_headers(
    body: bytes, *, event_id: str, signing_secrets: Sequence[str], at: datetime
) -> dict[str, str]:
    """Return the three headers of one attempt.

    Args:
        body: exactly as it is sent.
        signing_secrets: the newest first; each of them signs.
        at: when this attempt is sent: receivers refuse what is older than five minutes.
    """
    timestamp = str(int(at.timestamp()))
    signed = f"{event_id}.{timestamp}.".encode() + body
    signatures = [
        "v1," + b64encode(hmac.digest(_key(one), signed, "sha256")).decode()
        for one in signing_secrets
    ]
    return {
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(signatures),
    }


def _key(secret: str) -> bytes:
    return b64decode(secret.removeprefix(SECRET_PREFIX))
