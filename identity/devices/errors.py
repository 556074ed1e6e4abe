"""Errors of devices, their tokens and their PINs."""

from collections.abc import Sequence

from core.errors import HubError, Kind, Violation


class DeviceTokenNotValid(HubError):
    """The device's token is unknown, over, or names a person who may no longer use it."""

    kind, code, title = Kind.UNAUTHENTICATED, "device_token_not_valid", "Device token not valid"

    def __init__(self) -> None:
        super().__init__("The device's token is not valid. Sign a new challenge for a new one.")


class DeviceRevoked(HubError):
    """A manager revoked this device: it may still send what it recorded before."""

    kind, code, title = Kind.UNAUTHENTICATED, "device_revoked", "Device revoked"

    def __init__(self) -> None:
        super().__init__(
            "This device was revoked. It may still send what it recorded before; a manager enrols"
            " it again with a new code."
        )


class DeviceNotFound(HubError):
    """The organisation has no device with this id at the caller's places."""

    kind, code, title = Kind.NOT_FOUND, "device_not_found", "Device not found"

    def __init__(self) -> None:
        super().__init__("No such device.")


class ProofNotValid(HubError):
    """The device is unknown, its signature is not right, or the challenge is used or too old."""

    kind, code, title = Kind.UNAUTHENTICATED, "proof_not_valid", "Proof not valid"

    def __init__(self) -> None:
        super().__init__(
            "The device is unknown, its signature is not right, or the challenge was used or is"
            " too old. Ask for a new challenge and sign that."
        )


class EnrolmentCodeNotValid(HubError):
    """The enrolment code is unknown, used by another phone, or older than ten minutes."""

    kind, code, title = Kind.INVALID, "enrolment_code_not_valid", "Code not valid"

    def __init__(self) -> None:
        super().__init__(
            "The code is unknown, was used by another phone, or is older than ten minutes. Ask the"
            " manager for a new one."
        )


class PublicKeyNotUsable(HubError):
    """The device's key is not a P-256 key, or it did not sign the code."""

    kind, code, title = Kind.INVALID, "public_key_not_usable", "Key not usable"

    def __init__(self) -> None:
        super().__init__("The key is not a P-256 public key, or it did not sign this code.")


class PinRefused(HubError):
    """The new PIN breaks a rule; `violations` says which."""

    kind, code, title = Kind.INVALID, "pin_refused", "PIN not accepted"

    def __init__(self, violations: Sequence[Violation]) -> None:
        super().__init__(" ".join(v.detail for v in violations), violations=violations)


class PinNotRight(HubError):
    """The PIN is wrong, the person has none, or they do not work at this device's place."""

    kind, code, title = Kind.INVALID, "pin_not_right", "PIN not right"

    def __init__(self) -> None:
        super().__init__("The PIN is not right. After five wrong ones it is locked for a while.")


class PinLocked(HubError):
    """Five wrong PINs were tried for this person, a quarter of an hour ago at most, or fifteen."""

    kind, code, title = Kind.FORBIDDEN, "pin_locked", "PIN locked"

    def __init__(self) -> None:
        super().__init__(
            "Five wrong PINs were tried. Wait a quarter of an hour, or let a manager set a new one."
        )
