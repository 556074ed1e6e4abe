"""Refusals of the sandbox, with the HTTP answer each refusal gets.

The sandbox is a program of its own and shares no error base with the hub.
"""

from typing import ClassVar


class SandboxError(Exception):
    """Base of every refusal. The message is for the person or program that sent the request."""

    status: ClassVar[int] = 422
    code: ClassVar[str] = "refused"


class BadRequest(SandboxError):
    """The request cannot be read, or breaks a documented limit."""

    code = "bad_request"


class NotFound(SandboxError):
    """There is no such account, subscription, payment or delivery."""

    status, code = 404, "not_found"


class AccountUnknown(SandboxError):
    """The bank knows no such account, or it is closed: what a bank app says on look-up."""

    status, code = 404, "account_unknown"


class AlreadyThere(SandboxError):
    """The same key is taken by something else."""

    status, code = 409, "already_there"


class NotEnoughMoney(SandboxError):
    """The payer's balance does not cover the amount."""

    code = "not_enough_money"


class OverNapasLimit(SandboxError):
    """NAPAS 247 carries transfers from 1 đồng to below 500,000,000 ₫."""

    code = "over_napas_limit"


class CodeUnreadable(SandboxError):
    """The text or picture holds no VietQR code that a bank app could pay."""

    code = "code_unreadable"


class SandboxFull(SandboxError):
    """A bound of the sandbox is reached; reset it or wait."""

    status, code = 503, "sandbox_full"
