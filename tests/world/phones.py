"""Phones of attendants: a P-256 key, and signatures as WebCrypto makes them."""

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


@dataclass(frozen=True, kw_only=True)
class Phone:
    """A phone with its key."""

    private_key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls) -> "Phone":
        """Return a phone with a new key."""
        return cls(private_key=ec.generate_private_key(ec.SECP256R1()))

    @property
    def public_key(self) -> bytes:
        """The key as WebCrypto exports it ("spki")."""
        return write_public_key(self.private_key.public_key())

    def sign(self, purpose: bytes, message: bytes) -> bytes:
        """Return r and s of 32 bytes each, as `crypto.subtle.sign` does."""
        der = self.private_key.sign(purpose + message, ec.ECDSA(SHA256()))
        r, s = decode_dss_signature(der)
        return r.to_bytes(32) + s.to_bytes(32)


def write_public_key(key: PublicKeyTypes) -> bytes:
    """Return a public key as SubjectPublicKeyInfo in DER."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
