"""Signatures of devices: ECDSA over P-256 with SHA-256, as WebCrypto makes them.

Every kind of message begins with its own purpose, so that what was signed for one can never be
taken for another.
"""

from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from identity.devices.errors import PublicKeyNotUsable

ENROLMENT: Final = b"phopay device enrolment v1\n"
CHALLENGE: Final = b"phopay device challenge v1\n"
MOVEMENT: Final = b"phopay device movement v1\n"
SIGNATURE_BYTES: Final = 64  # r and s, 32 bytes each: IEEE P1363, which WebCrypto gives
PUBLIC_KEY_BYTES_MAX: Final = 200  # a P-256 key has 91
# Reading a key costs as much as verifying with it, and a batch has a thousand of one device.
_KEYS_KEPT: Final = 4_096
_ALGORITHM: Final = ECDSA(SHA256())


def check_public_key(public_key: bytes) -> None:
    """Refuse what is no P-256 public key.

    Args:
        public_key: SubjectPublicKeyInfo in DER, as WebCrypto exports "spki".

    Raises:
        PublicKeyNotUsable
    """
    _load_key(public_key)


def verify_enrolment(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a device signed this code with this key."""
    return _verify(public_key, ENROLMENT + message, signature)


def verify_challenge(public_key: bytes, challenge: str, signature: bytes) -> bool:
    """Whether a device signed this challenge."""
    return _verify(public_key, CHALLENGE + challenge.encode(), signature)


def verify_movement(device_public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether a device signed a movement.

    Args:
        device_public_key: of the device's row.
        message: the movement's bytes, exactly as the device sent them; `device.js` signs them
            behind MOVEMENT.
        signature: 64 bytes.
    """
    return _verify(device_public_key, MOVEMENT + message, signature)


def _verify(public_key: bytes, signed: bytes, signature: bytes) -> bool:
    if len(signature) != SIGNATURE_BYTES:
        return False
    half = SIGNATURE_BYTES // 2
    r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
    try:
        _load_key(public_key).verify(encode_dss_signature(r, s), signed, _ALGORITHM)
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=_KEYS_KEPT)
def _load_key(public_key: bytes) -> EllipticCurvePublicKey:
    if len(public_key) > PUBLIC_KEY_BYTES_MAX:
        raise PublicKeyNotUsable
    try:
        key = load_der_public_key(public_key)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise PublicKeyNotUsable from error
    if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
        raise PublicKeyNotUsable
    return key
