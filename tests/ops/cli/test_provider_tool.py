"""`callback verify`: one line of JSON for one callback, on the adapters that the hub runs."""

import io
import json
from dataclasses import replace
from typing import Any

import pytest

from core.clock import read_clock
from ops.cli.tools_callback import run_callback_verify
from payments.providers import RawCallback
from tests.payments.providers.test_provider_payos import DOCS_DATA, DOCS_KEY, DOCS_SIGNATURE
from tests.world.callbacks import (
    KEY,
    SEPAY_NOTICE,
    USER,
    casso_callback,
    payos_callback,
    sepay_apikey_callback,
    sepay_callback,
    to_json,
    vietqrvn_callback,
    vietqrvn_token_request,
)
from tests.world.constants import NOON

AT = int(NOON.timestamp())
LOGIN = f"{USER}:{KEY}"


def verify(
    provider: str, callback: RawCallback, secret: str = KEY, at_unix_s: int | None = AT
) -> dict[str, Any]:
    out = io.StringIO()
    headers = [f"{name.title()}: {value}" for name, value in callback.headers.items()]
    assert run_callback_verify(provider, secret, headers, at_unix_s, callback.body, out) == 0
    (line,) = out.getvalue().splitlines()
    answer: dict[str, Any] = json.loads(line)
    assert list(answer) == ["is_valid", "reason", "credits"]
    return answer


@pytest.mark.parametrize(
    ("provider", "callback", "secret", "amount_vnd"),
    [
        ("payos", payos_callback(), KEY, 20_000),
        ("sepay", sepay_callback(), KEY, 2_277_000),
        ("sepay", sepay_apikey_callback(), "ascii-key", 2_277_000),
        ("casso", casso_callback(), KEY, 599_000),
        ("vietqrvn", vietqrvn_callback(), LOGIN, 20_000),
        ("VietQR.vn", vietqrvn_callback(), LOGIN, 20_000),
    ],
)
def test_money_in_is_listed_with_its_facts(
    provider: str, callback: RawCallback, secret: str, amount_vnd: int
) -> None:
    answer = verify(provider, callback, secret)
    assert answer["is_valid"] is True
    assert answer["reason"] is None
    (credit,) = answer["credits"]
    assert credit["direction"] == "in"
    assert credit["amount_vnd"] == amount_vnd
    assert credit["occurred_at"] == "2026-11-20T04:59:58+00:00"
    assert "PPHKM2ABCDEFX" in credit["memo"]


@pytest.mark.parametrize(
    ("provider", "callback", "reason"),
    [
        ("payos", payos_callback(key="x"), "bad_signature"),
        ("payos", RawCallback(headers={}, body=b"\xff"), "malformed"),
        ("sepay", RawCallback(headers={}, body=b"{}"), "missing_signature"),
        ("casso", replace(casso_callback(), body=b"{}"), "bad_signature"),
        (
            "vietqrvn",
            replace(vietqrvn_callback(), headers={"authorization": "Bearer x"}),
            "bad_signature",
        ),
        (
            "sepay",
            sepay_callback({**SEPAY_NOTICE, "transferAmount": 0.5}),
            "unreadable_notice: amount: not a whole JSON number",
        ),
    ],
)
def test_what_is_not_valid_credits_nothing(
    provider: str, callback: RawCallback, reason: str
) -> None:
    secret = LOGIN if provider == "vietqrvn" else KEY
    assert verify(provider, callback, secret) == {
        "is_valid": False,
        "reason": reason,
        "credits": [],
    }


def test_a_ping_is_valid_and_credits_nothing() -> None:
    body = to_json({"data": DOCS_DATA, "signature": DOCS_SIGNATURE})
    ping = RawCallback(headers={}, body=body)
    expected = {"is_valid": True, "reason": "test_ping", "credits": []}
    assert verify("payos", ping, DOCS_KEY) == expected


def test_money_out_is_valid_and_credits_nothing() -> None:
    answer = verify("sepay", sepay_callback({**SEPAY_NOTICE, "transferType": "out"}))
    assert answer == {"is_valid": True, "reason": "outgoing_money", "credits": []}


def test_a_login_is_described_as_a_token_request() -> None:
    answer = verify("vietqrvn", vietqrvn_token_request(), LOGIN)
    assert answer == {"is_valid": True, "reason": "token_request", "credits": []}


def test_the_clock_is_the_one_that_was_given() -> None:
    assert verify("sepay", sepay_callback(), at_unix_s=AT + 301)["reason"] == "stale_timestamp"
    just_now = sepay_callback(at=read_clock())
    assert verify("sepay", just_now, at_unix_s=None)["is_valid"]


@pytest.mark.parametrize(
    ("provider", "callback"),
    [("sepay", sepay_callback()), ("payos", payos_callback()), ("casso", casso_callback())],
)
def test_the_newline_that_a_shell_adds_is_taken_off(provider: str, callback: RawCallback) -> None:
    assert verify(provider, replace(callback, body=callback.body + b"\n"))["is_valid"]


def test_a_stale_callback_with_a_shells_newline_is_stale_and_not_forged() -> None:
    late = replace(sepay_callback(), body=sepay_callback().body + b"\n")
    assert verify("sepay", late, at_unix_s=AT + 3_600)["reason"] == "stale_timestamp"


def test_a_signed_newline_is_kept() -> None:
    assert verify("sepay", sepay_callback(to_json(SEPAY_NOTICE) + b"\n"))["is_valid"]


@pytest.mark.parametrize(
    ("provider", "headers", "at_unix_s"),
    [("momo", [], AT), ("sepay", ["no colon"], AT), ("sepay", [": x"], AT), ("sepay", [], 10**18)],
)
def test_a_command_that_cannot_be_understood_says_so(
    provider: str, headers: list[str], at_unix_s: int
) -> None:
    out = io.StringIO()
    assert run_callback_verify(provider, KEY, headers, at_unix_s, b"{}", out) == 2
    answer = json.loads(out.getvalue())
    assert answer["is_valid"] is False
    assert answer["reason"].startswith("misused: ")
