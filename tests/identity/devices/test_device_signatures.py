"""Signatures of devices, as WebCrypto makes them."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from identity.devices.errors import PublicKeyNotUsable
from identity.devices.signatures import (
    CHALLENGE,
    MOVEMENT,
    check_public_key,
    verify_challenge,
    verify_enrolment,
    verify_movement,
)
from tests.world.phones import Phone, write_public_key


def test_a_movement_is_verified_by_the_key_that_signed_it() -> None:
    phone, other = Phone.make(), Phone.make()
    signature = phone.sign(MOVEMENT, b"29A1-234.56 in")

    assert verify_movement(phone.public_key, b"29A1-234.56 in", signature)
    assert not verify_movement(other.public_key, b"29A1-234.56 in", signature)
    assert not verify_movement(phone.public_key, b"29A1-234.57 in", signature)


def test_a_signed_challenge_is_no_movement_and_no_enrolment() -> None:
    phone = Phone.make()
    signature = phone.sign(CHALLENGE, b"text")

    assert verify_challenge(phone.public_key, "text", signature)
    assert not verify_movement(phone.public_key, b"text", signature)
    assert not verify_enrolment(phone.public_key, b"text", signature)


@pytest.mark.parametrize("signature", [b"", bytes(64), b"\xff" * 64, bytes(63), bytes(65)])
def test_what_is_no_signature_verifies_nothing(signature: bytes) -> None:
    assert not verify_movement(Phone.make().public_key, b"text", signature)


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()).public_key(),
        ec.generate_private_key(ec.SECP256K1()).public_key(),
        rsa.generate_private_key(65537, 2048).public_key(),
    ],
)
def test_only_a_p256_key_is_taken(key: ec.EllipticCurvePublicKey) -> None:
    with pytest.raises(PublicKeyNotUsable):
        check_public_key(write_public_key(key))


@pytest.mark.parametrize("key", [b"", b"text", bytes(91), bytes(10_000)])
def test_what_is_no_key_is_refused(key: bytes) -> None:
    with pytest.raises(PublicKeyNotUsable):
        check_public_key(key)
