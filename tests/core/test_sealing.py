"""Sealed secrets: they open for their own row, with a key that is still known, and nowhere else."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.sealing import Sealer, SecretNotReadable

OLD, NEW = "o" * 43, "n" * 43
ORG, ENDPOINT = uuid4(), uuid4()


@given(st.binary(max_size=500))
def test_a_sealed_secret_opens_again(secret: bytes) -> None:
    sealer = Sealer(NEW)
    sealed = sealer.seal(secret, org_id=ORG, object_id=ENDPOINT)
    assert sealer.unseal(sealed, org_id=ORG, object_id=ENDPOINT) == secret


def test_the_same_secret_never_looks_the_same() -> None:
    sealer = Sealer(NEW)
    first, second = (sealer.seal(b"key", org_id=ORG, object_id=ENDPOINT) for _ in range(2))
    assert first != second
    assert b"key" not in first


def test_a_row_that_was_copied_elsewhere_does_not_open() -> None:
    sealer = Sealer(NEW)
    sealed = sealer.seal(b"key", org_id=ORG, object_id=ENDPOINT)
    for org_id, object_id in ((uuid4(), ENDPOINT), (ORG, uuid4()), (ENDPOINT, ORG)):
        with pytest.raises(SecretNotReadable):
            sealer.unseal(sealed, org_id=org_id, object_id=object_id)


@given(st.data())
def test_any_changed_bit_is_noticed(data: st.DataObject) -> None:
    sealer = Sealer(NEW)
    sealed = bytearray(sealer.seal(b"a key", org_id=ORG, object_id=ENDPOINT))
    at = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[at // 8] ^= 1 << at % 8
    with pytest.raises(SecretNotReadable):
        sealer.unseal(bytes(sealed), org_id=ORG, object_id=ENDPOINT)


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything_else(sealed: bytes) -> None:
    with pytest.raises(SecretNotReadable):
        Sealer(NEW).unseal(sealed, org_id=ORG, object_id=ENDPOINT)


def test_after_a_change_of_keys_old_secrets_open_until_the_old_key_is_gone() -> None:
    sealed = Sealer(OLD).seal(b"key", org_id=ORG, object_id=ENDPOINT)
    between, after = Sealer(NEW, OLD), Sealer(NEW)

    assert between.unseal(sealed, org_id=ORG, object_id=ENDPOINT) == b"key"
    again = between.seal(b"key", org_id=ORG, object_id=ENDPOINT)
    assert after.unseal(again, org_id=ORG, object_id=ENDPOINT) == b"key"
    with pytest.raises(SecretNotReadable):
        after.unseal(sealed, org_id=ORG, object_id=ENDPOINT)
