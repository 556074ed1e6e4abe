"""Secrets at rest: encrypted with a key that lives outside the database, bound to their row.

A stolen backup holds no usable secret, and a row copied to another tenant does not open.
AES-256-GCM; the key is derived from PHOPAY_SECRET_KEY by HKDF-SHA256 (RFC 5869).
"""

import os
from hashlib import sha256
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.errors import HubError, Kind
from core.settings import Settings

# What is sealed: version (1 byte), key id (4), nonce (12), ciphertext with its tag (16 more).
VERSION: Final = b"\x01"
KEY_ID_BYTES: Final = 4
NONCE_BYTES: Final = 12
_HEAD: Final = len(VERSION) + KEY_ID_BYTES
SEALING: Final = "sealing v1"


def derive_key(secret_key: str, purpose: str) -> bytes:
    """Return the 32-byte key of one purpose: whoever learns it learns no other.

    Args:
        secret_key: PHOPAY_SECRET_KEY, or the one before it.
        purpose: ASCII, with a version, never reused for another thing.
    """
    info = f"phopay {purpose}".encode("ascii")
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret_key.encode())


class SecretNotReadable(HubError):
    """A stored secret does not open: PHOPAY_SECRET_KEY is another, or the row was tampered with."""

    kind, code, title = Kind.UNAVAILABLE, "secret_not_readable", "A stored secret cannot be read"

    def __init__(self) -> None:
        super().__init__("A stored secret cannot be read; the operator must look at the keys.")


class Sealer:
    """Seals with the present key; opens with that and, after a change of keys, the one before."""

    def __init__(self, secret_key: str, previous_secret_key: str | None = None) -> None:
        keys = [derive_key(secret_key, SEALING)]
        if previous_secret_key:
            keys.append(derive_key(previous_secret_key, SEALING))
        self._current_id = _key_id(keys[0])
        self._ciphers = {_key_id(key): AESGCM(key) for key in reversed(keys)}

    @classmethod
    def from_settings(cls, settings: Settings) -> "Sealer":
        """Make the process's sealer."""
        previous = settings.previous_secret_key
        return cls(
            settings.secret_key.get_secret_value(),
            previous.get_secret_value() if previous else None,
        )

    def seal(self, plain: bytes, *, org_id: UUID, object_id: UUID) -> bytes:
        """Encrypt a secret for one row of one tenant; the same secret never looks the same."""
        nonce = os.urandom(NONCE_BYTES)
        cipher = self._ciphers[self._current_id]
        return (
            VERSION
            + self._current_id
            + nonce
            + cipher.encrypt(nonce, plain, _bind(org_id, object_id))
        )

    def unseal(self, sealed: bytes, *, org_id: UUID, object_id: UUID) -> bytes:
        """Decrypt a secret of this very row.

        Raises:
            SecretNotReadable: sealed with an unknown key, for another row, or changed since.
        """
        cipher = self._ciphers.get(sealed[len(VERSION) : _HEAD])
        if cipher is None or sealed[: len(VERSION)] != VERSION:
            raise SecretNotReadable
        nonce, body = sealed[_HEAD : _HEAD + NONCE_BYTES], sealed[_HEAD + NONCE_BYTES :]
        try:
            return cipher.decrypt(nonce, body, _bind(org_id, object_id))
        except (InvalidTag, ValueError) as error:
            raise SecretNotReadable from error


def _key_id(key: bytes) -> bytes:
    return sha256(b"phopay key id" + key).digest()[:KEY_ID_BYTES]


def _bind(org_id: UUID, object_id: UUID) -> bytes:
    return org_id.bytes + object_id.bytes
