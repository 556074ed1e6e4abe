"""Tokens of devices: what they say, how long, and every way to forge or outlive one."""

import base64
from datetime import timedelta
from uuid import UUID

import pytest

from core.errors import HubError
from identity.devices.errors import DeviceRevoked, DeviceTokenNotValid
from identity.devices.rules import UNNAMED_PERMISSIONS
from identity.devices.tokens import TOKEN_PREFIX, DeviceTokens
from identity.people.rules import Permission
from tests.world.constants import NOON

ORG, OTHER_ORG = UUID(int=1), UUID(int=2)
DEVICE, LOT, SHIFT, PERSON = UUID(int=11), UUID(int=12), UUID(int=13), UUID(int=14)
QUARTER = timedelta(minutes=15)
MOMENT = timedelta(milliseconds=1)
SECRET = "k" * 43


@pytest.fixture
def tokens() -> DeviceTokens:
    return DeviceTokens(SECRET)


def a_token(tokens: DeviceTokens, org_id: UUID = ORG, **facts: object) -> str:
    given = {"device_id": DEVICE, "lot_id": LOT, "permissions": UNNAMED_PERMISSIONS, "now": NOON}
    return tokens.make_token(org_id=org_id, org_code="HKXM", **{**given, **facts})  # type: ignore[arg-type]


def error_of(tokens: DeviceTokens, token: str, **at: object) -> type[HubError] | None:
    try:
        tokens.verify_device_token(token, **{"now": NOON, **at})  # type: ignore[arg-type]
    except HubError as error:
        return type(error)
    return None


def test_a_token_says_whose_device_it_is_and_what_it_may_do(tokens: DeviceTokens) -> None:
    all_three = frozenset(
        {Permission.PARKING_READ, Permission.PARKING_GATE, Permission.PARKING_OVERRIDE}
    )
    token = a_token(tokens, shift_id=SHIFT, staff_id=PERSON, permissions=all_three)

    caller = tokens.verify_device_token(token, NOON)

    assert token.startswith("dt_")
    assert token.isascii()
    assert (caller.org_id, caller.org_code, caller.device_id) == (ORG, "HKXM", DEVICE)
    assert (caller.lot_id, caller.shift_id, caller.staff_id) == (LOT, SHIFT, PERSON)
    assert caller.permissions == all_three
    assert caller.expires_at == NOON + QUARTER
    assert not caller.is_queue_only


def test_a_token_without_a_person_names_none(tokens: DeviceTokens) -> None:
    caller = tokens.verify_device_token(a_token(tokens), NOON)

    assert (caller.shift_id, caller.staff_id) == (None, None)
    assert caller.permissions == UNNAMED_PERMISSIONS


def test_a_token_holds_a_quarter_of_an_hour_and_not_a_moment_longer(tokens: DeviceTokens) -> None:
    token = a_token(tokens)

    assert error_of(tokens, token, now=NOON + QUARTER - MOMENT) is None
    assert error_of(tokens, token, now=NOON + QUARTER) is DeviceTokenNotValid


def test_no_bit_of_a_token_can_be_changed(tokens: DeviceTokens) -> None:
    """Another organisation, another lot, more permissions, a later end: all are in these bytes."""
    whole = base64.urlsafe_b64decode(a_token(tokens)[len(TOKEN_PREFIX) :])
    for at in range(len(whole) * 8):
        forged = bytearray(whole)
        forged[at // 8] ^= 1 << at % 8
        token = TOKEN_PREFIX + base64.urlsafe_b64encode(forged).decode()
        assert error_of(tokens, token) is DeviceTokenNotValid, at


def test_a_token_signed_by_another_installation_is_refused(tokens: DeviceTokens) -> None:
    assert error_of(DeviceTokens("x" * 43), a_token(tokens)) is DeviceTokenNotValid


def test_a_challenge_signed_by_the_hub_is_no_token(tokens: DeviceTokens) -> None:
    assert error_of(tokens, TOKEN_PREFIX + tokens.make_challenge(DEVICE, now=NOON)) is (
        DeviceTokenNotValid
    )


@pytest.mark.parametrize(
    "written",
    ["", "dt_", "dt_!", "dt_" + "A" * 184, "dt_" + "é" * 184, "dt_" + "A" * 183, "x" * 187],
)
def test_what_is_no_token_is_refused(tokens: DeviceTokens, written: str) -> None:
    assert error_of(tokens, written) is DeviceTokenNotValid


def test_a_token_of_before_a_change_of_the_secret_key_holds(tokens: DeviceTokens) -> None:
    token = a_token(tokens)

    assert error_of(DeviceTokens("n" * 43, SECRET), token) is None
    assert error_of(DeviceTokens("n" * 43), token) is DeviceTokenNotValid


def test_a_revoked_device_may_send_its_queue_and_nothing_else(tokens: DeviceTokens) -> None:
    token = a_token(tokens, staff_id=PERSON)
    tokens.revocations.add_device(ORG, DEVICE)

    assert error_of(tokens, token) is DeviceRevoked
    caller = tokens.verify_device_token(token, NOON, for_queue=True)
    assert caller.is_queue_only
    assert caller.permissions == frozenset()
    assert caller.staff_id is None


def test_a_device_of_another_organisation_with_the_same_id_is_not_revoked(
    tokens: DeviceTokens,
) -> None:
    tokens.revocations.add_device(OTHER_ORG, DEVICE)

    assert error_of(tokens, a_token(tokens)) is None


def test_a_token_for_the_queue_opens_nothing_else(tokens: DeviceTokens) -> None:
    token = a_token(tokens, permissions=frozenset(), is_queue_only=True)

    assert error_of(tokens, token) is DeviceRevoked
    assert tokens.verify_device_token(token, NOON, for_queue=True).is_queue_only


def test_a_token_ends_with_what_its_person_may_do(tokens: DeviceTokens) -> None:
    before, after = a_token(tokens, staff_id=PERSON), NOON + timedelta(seconds=1)
    tokens.revocations.add_person(ORG, PERSON, now=NOON)

    assert error_of(tokens, before) is DeviceTokenNotValid
    assert error_of(tokens, a_token(tokens, staff_id=PERSON, now=after), now=after) is None
    assert error_of(tokens, a_token(tokens)) is None  # nobody is named
    assert tokens.verify_device_token(before, NOON, for_queue=True).staff_id is None


def test_a_challenge_is_for_one_device_and_two_minutes(tokens: DeviceTokens) -> None:
    challenge = tokens.make_challenge(DEVICE, now=NOON)
    later = NOON + timedelta(minutes=2)

    assert tokens.read_challenge(challenge, DEVICE, now=NOON) == NOON
    assert tokens.read_challenge(challenge, DEVICE, now=later - MOMENT) == NOON
    assert tokens.read_challenge(challenge, DEVICE, now=later) is None
    assert tokens.read_challenge(challenge, UUID(int=99), now=NOON) is None
    assert DeviceTokens("x" * 43).read_challenge(challenge, DEVICE, now=NOON) is None


@pytest.mark.parametrize("written", ["", "A" * 76, "é", "A", "Ā" * 76])
def test_what_is_no_challenge_is_none(tokens: DeviceTokens, written: str) -> None:
    assert tokens.read_challenge(written, DEVICE, now=NOON) is None
