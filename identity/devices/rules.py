"""Rules of devices: codes, PINs, what a device may do, and which of its movements count. Pure."""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from core.errors import Violation
from identity.people.rules import Permission, Scope

TOKEN_VALID_FOR: Final = timedelta(minutes=15)
CODE_VALID_FOR: Final = timedelta(minutes=10)
CHALLENGE_VALID_FOR: Final = timedelta(minutes=2)
# A person is named once for a market day, as a sign-in that is not used (sign_in_idle_s).
NAMED_FOR: Final = timedelta(hours=12)
# How long a phone may keep what it could not send.
QUEUE_KEPT_FOR: Final = timedelta(hours=72)
# A movement may be ahead of the hub's time by what a corrected clock is still off.
AHEAD_MAX: Final = timedelta(minutes=5)

# Letters that cannot be taken for another (no 0 O 1 I L U), as references have them.
CODE_ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
CODE_CHARS: Final = 8  # 39 bits, for ten minutes, at a few tries a minute
ORG_CODE_CHARS: Final = 4

# What may be done with a device at most, in the order of the bits of a token: never renumbered.
DEVICE_PERMISSIONS: Final = (
    Permission.PARKING_READ,
    Permission.PARKING_GATE,
    Permission.PARKING_OVERRIDE,
)
# What a device may do while no person is named on it.
UNNAMED_PERMISSIONS: Final = frozenset({Permission.PARKING_READ, Permission.PARKING_GATE})

PIN_DIGITS: Final = 6
PIN_FAILURES_A_LOCK: Final = 5  # then it is locked for a while
PIN_LOCKED_FOR: Final = timedelta(minutes=15)
PIN_FAILURES_MAX: Final = 15  # three locks in a row: a manager sets a new one
# The first that anybody tries, beside runs, repeats and mirrored halves.
_COMMON: Final = """
    112233 123123 121212 123321 159753 147258 147852 258369 789456 159357 131313 520520 520131
    686868 868686 696969 888666 666888 113114 111222 102030 010203 113355 224466 123654 456123"""
COMMON_PINS: Final = frozenset(_COMMON.split())
_DIGITS: Final = "01234567890123456789"


class MovementStanding(StrEnum):
    """What a movement that a device signed is worth."""

    ACCEPTED = "accepted"
    AFTER_REVOCATION = "after_revocation"
    TOO_OLD = "too_old"
    AHEAD = "ahead"


class DeviceFacts(Protocol):
    """What the standing of a movement depends on."""

    @property
    def revoked_at(self) -> datetime | None:
        """When a manager revoked the device."""


def judge_movement(device: DeviceFacts, signed_at: datetime, now: datetime) -> MovementStanding:
    """Say whether a movement counts, or becomes a break and why.

    Args:
        signed_at: when it happened by the device's clock, corrected to the hub's (`correct_time`).
        now: when the hub received it.
    """
    if device.revoked_at is not None and signed_at > device.revoked_at:
        return MovementStanding.AFTER_REVOCATION
    if signed_at < now - QUEUE_KEPT_FOR:
        return MovementStanding.TOO_OLD
    if signed_at > now + AHEAD_MAX:
        return MovementStanding.AHEAD
    return MovementStanding.ACCEPTED


def is_movement_accepted(device: DeviceFacts, signed_at: datetime, now: datetime) -> bool:
    """Whether a movement counts; see `judge_movement`."""
    return judge_movement(device, signed_at, now) is MovementStanding.ACCEPTED


def measure_offset_ms(device_at: datetime, now: datetime) -> int:
    """Return how far a device's clock is behind the hub's, in milliseconds; ahead is negative."""
    return (now - device_at) // timedelta(milliseconds=1)


def correct_time(at: datetime, offset_ms: int) -> datetime:
    """Return a time of a device's clock as the hub's clock would have shown it."""
    return at + timedelta(milliseconds=offset_ms)


def permissions_on_device(held: Iterable[Permission] | None) -> frozenset[Permission]:
    """Return what may be done with a device.

    Args:
        held: what the person named on it may do; None while nobody is named.
    """
    if held is None:
        return UNNAMED_PERMISSIONS
    return frozenset(held) & frozenset(DEVICE_PERMISSIONS)


def can_be_named(held: Collection[Permission], scopes: Collection[Scope], place: Scope) -> bool:
    """Whether a person can be named on a device of a place: they work there, at gates."""
    return Permission.PARKING_GATE in held and (not scopes or place in scopes)


def normalise_code(typed: str) -> str | None:
    """Return an enrolment code as it is stored, however it was typed, or None if it cannot be one.

    "dxa2 7k3m-q9pt" → "DXA27K3MQ9PT": the organisation's code, then the secret part.
    """
    code = "".join(char for char in typed if char not in " -\u2013\u00a0").upper()
    is_whole = len(code) == ORG_CODE_CHARS + CODE_CHARS and code.isascii() and code.isalnum()
    return code if is_whole else None


def format_code(code: str) -> str:
    """Return an enrolment code as it is shown: "DXA2-7K3M-Q9PT"."""
    return "-".join(code[at : at + 4] for at in range(0, len(code), 4))


def check_pin(pin: str) -> list[Violation]:
    """Say what is wrong with a new PIN. It names a person; the device's key proves the device."""
    if len(pin) != PIN_DIGITS or not (pin.isascii() and pin.isdecimal()):
        detail = f"A PIN has {PIN_DIGITS} digits."
        return [Violation(field="pin", code="pin_not_six_digits", detail=detail)]
    if _is_weak(pin):
        detail = "This PIN is one of the first that anybody tries."
        return [Violation(field="pin", code="pin_too_common", detail=detail)]
    return []


def is_pin_locked(failed_attempts: int, locked_until: datetime | None, *, now: datetime) -> bool:
    """Whether no try is left for a PIN now: for a while, or until a manager sets a new one."""
    is_for_a_while = locked_until is not None and now < locked_until
    return is_for_a_while or failed_attempts >= PIN_FAILURES_MAX


def _is_weak(pin: str) -> bool:
    half = PIN_DIGITS // 2
    is_run = pin in _DIGITS or pin[::-1] in _DIGITS
    is_repeated = pin == pin[:half] * 2 or pin == pin[:2] * half
    is_mirrored = pin == pin[::-1]
    return is_run or is_repeated or is_mirrored or len(set(pin)) <= 2 or pin in COMMON_PINS
