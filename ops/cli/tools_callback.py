"""`./phopay callback verify`: what the hub would make of one callback, for whoever integrates."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final, TextIO

from core.clock import read_clock
from payments.providers import (
    PROVIDERS,
    Direction,
    EndpointSecrets,
    RawCallback,
    Refusal,
    ReportedTransaction,
    Verification,
    Webhook,
)

ANSWERED: Final = 0  # also for an invalid callback: the answer says so
MISUSED: Final = 2

ALIASES: Final = {"vietqr.vn": "vietqrvn", "vietqr": "vietqrvn"}


def run_callback_verify(
    provider: str,
    secret: str,
    headers: list[str],
    at_unix_s: int | None,
    raw: bytes,
    out: TextIO,
) -> int:
    """Write {"is_valid", "reason", "credits"} for one callback as one line of JSON.

    Args:
        provider: payos, sepay (the header tells HMAC or Apikey), sepay_apikey, casso, or vietqrvn
            (also written vietqr.vn).
        secret: the endpoint's key; "user:password" for vietqrvn.
        headers: lines of "Name: value".
        at_unix_s: the hub's clock at arrival; None is now. It matters where a time is signed.
        raw: the body exactly as it was sent. A single newline at the end, which shells add, is
            taken off if the body does not hold with it.
        out: where the line goes.

    Returns:
        0 when the callback was judged, valid or not; 2 when the command cannot be understood.
        `reason` is null for money in, "test_ping", "outgoing_money" or "token_request" for other
        valid callbacks, else a refusal (docs/callbacks.md) or "unreadable_notice: …".
    """
    try:
        named = _split_headers(headers)
        adapter = _choose_adapter(provider, named)
        now = read_clock() if at_unix_s is None else datetime.fromtimestamp(at_unix_s, UTC)
    except (ValueError, OverflowError, OSError) as error:
        _answer(out, is_valid=False, reason=f"misused: {error}")
        return MISUSED
    secrets = _split_secret(adapter, secret)
    verified = _verify(adapter, secrets, named, raw, now)
    if not verified.is_valid and raw.endswith(b"\n"):
        second = _verify(adapter, secrets, named, raw[:-1], now)
        if second.is_valid or second.skew_s is not None:  # the signature holds, the time may not
            verified = second
    _present(verified, out)
    return ANSWERED


def _verify(
    adapter: Webhook,
    secrets: EndpointSecrets,
    headers: dict[str, str],
    body: bytes,
    now: datetime,
) -> Verification:
    """Verify a callback at the address that it fits, where a provider calls several."""
    found = [
        adapter.verify(RawCallback(headers=headers, body=body, subpath=subpath), secrets, now=now)
        for subpath in adapter.capabilities.subpaths
    ]
    fitting = [one for one in found if one.refusal is not Refusal.MISSING_SIGNATURE]
    return (fitting or found)[0]


def _present(verified: Verification, out: TextIO) -> None:
    if verified.refusal is not None:
        return _answer(out, is_valid=False, reason=verified.refusal.value)
    if verified.unreadable is not None:
        error = verified.unreadable
        return _answer(out, is_valid=False, reason=f"{error.code}: {error}")
    if verified.reading is None:
        return _answer(out, is_valid=True, reason="token_request")
    if verified.reading.is_ping:
        return _answer(out, is_valid=True, reason="test_ping")
    credited = [one for one in verified.reading.transactions if one.direction is Direction.IN]
    reason = None if credited else "outgoing_money"
    return _answer(out, is_valid=True, reason=reason, credited=credited)


def _answer(
    out: TextIO,
    *,
    is_valid: bool,
    reason: str | None,
    credited: list[ReportedTransaction] | None = None,
) -> None:
    facts = [asdict(one) | {"occurred_at": one.occurred_at.isoformat()} for one in credited or []]
    out.write(json.dumps({"is_valid": is_valid, "reason": reason, "credits": facts}) + "\n")


def _choose_adapter(provider: str, headers: dict[str, str]) -> Webhook:
    name = ALIASES.get(provider.lower(), provider.lower())
    if name == "sepay" and "x-sepay-signature" not in headers and "authorization" in headers:
        name = "sepay_apikey"
    if name not in PROVIDERS:
        raise ValueError(f"no provider {provider!r}, known are {', '.join(PROVIDERS)}")
    return PROVIDERS[name]


def _split_secret(adapter: Webhook, secret: str) -> EndpointSecrets:
    if not adapter.capabilities.needs_username:
        return EndpointSecrets(keys=(secret,))
    username, _, password = secret.partition(":")
    return EndpointSecrets(keys=(password,), username=username)


def _split_headers(lines: list[str]) -> dict[str, str]:
    named: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise ValueError(f"a header is written 'Name: value', not {line!r}")
        named[name.strip().lower()] = value.strip()
    return named
