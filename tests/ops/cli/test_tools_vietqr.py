"""The integrators' tools: a JSON object for each line, whatever the line holds."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.cli.json_lines import LINE_CHARS_MAX
from ops.cli.tools_vietqr import (
    DECODED_KEYS,
    run_memo_find,
    run_reference_make,
    run_vietqr_build,
    run_vietqr_decode,
)
from payments.bills.references import check_reference
from payments.vietqr import build, parse, transfer_code
from tests.payments.vietqr.vietqr_vectors import VALID

ROOT = Path(__file__).parents[3]
PAYLOAD = build(
    transfer_code(
        bin="970422",
        account="0123456789",
        amount_vnd=20_000,
        purpose="PPHNDXCJF3X84",
        is_dynamic=True,
    )
)
FACTS = {"bin": "970422", "account": "0123456789", "amount_vnd": 20_000}


def answers(tool: Callable[..., int], lines: Any) -> list[dict[str, Any]]:
    out = io.StringIO()
    assert tool(lines, out) == 0
    return [json.loads(line) for line in out.getvalue().splitlines()]


def codes_of(lines: list[dict[str, Any]]) -> list[str]:
    return [line["error"]["code"] for line in lines]


def built(facts: Any) -> dict[str, Any]:
    (answer,) = answers(run_vietqr_build, [json.dumps(facts)])
    return answer


def refused(facts: Any) -> str:
    answer = built(facts)
    assert set(answer) == {"error"}, answer
    assert set(answer["error"]) == {"code", "detail"}
    return str(answer["error"]["code"])


def test_decode_prints_exactly_the_documented_keys() -> None:
    (answer,) = answers(run_vietqr_decode, [PAYLOAD])

    assert tuple(answer) == DECODED_KEYS
    assert answer == {
        "point_of_initiation": "12",
        "bin": "970422",
        "account": "0123456789",
        "service": "QRIBFTTA",
        "amount_vnd": 20_000,
        "purpose": "PPHNDXCJF3X84",
        "merchant_name": None,
        "merchant_city": None,
        "additional": {"08": "PPHNDXCJF3X84"},
        "crc": PAYLOAD[-4:],
    }


def test_every_line_has_its_answer_in_its_place() -> None:
    lines = f"{PAYLOAD}\n\nrubbish\r\n{PAYLOAD}\r\n{'0' * 999}\n{PAYLOAD}"
    first, blank, rubbish, second, long, last = answers(run_vietqr_decode, io.StringIO(lines))

    assert first == second == last
    assert codes_of([blank, rubbish, long]) == [
        "vietqr_malformed",
        "vietqr_malformed",
        "vietqr_too_long",
    ]


def test_a_line_without_end_is_dropped_while_it_is_read() -> None:
    lines = io.BytesIO(b"x" * (3 * LINE_CHARS_MAX) + b"\n" + PAYLOAD.encode() + b"\n")

    long, good = answers(run_vietqr_decode, lines)
    assert long["error"]["code"] == "line_too_long"
    assert good["bin"] == "970422"


@pytest.mark.parametrize("surplus", [-1, 0, 1])
def test_lines_about_the_limit_are_counted_right(surplus: int) -> None:
    line = b"x" * (LINE_CHARS_MAX + surplus)
    for end in (b"\n", b""):
        assert len(answers(run_vietqr_decode, io.BytesIO(line + end))) == 1
        assert len(answers(run_vietqr_decode, io.BytesIO(line + b"\n" + line + end))) == 2


def test_bytes_that_are_no_text_stop_nothing() -> None:
    text = io.TextIOWrapper(io.BytesIO(b"\xff\xfe\x00\n" + PAYLOAD.encode()), encoding="ascii")

    bad, good = answers(run_vietqr_decode, text)
    assert "error" in bad
    assert good["bin"] == "970422"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(max_size=80) | st.just(PAYLOAD) | st.just(json.dumps(FACTS)), max_size=5))
def test_any_lines_get_one_object_each(lines: list[str]) -> None:
    for tool in (run_vietqr_decode, run_vietqr_build, run_memo_find):
        assert len(answers(tool, lines)) == len(lines)


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([*DECODED_KEYS, "x"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
            lambda inner: st.dictionaries(st.text(max_size=3), inner, max_size=3),
        ),
    )
)
def test_any_object_gets_a_payload_or_a_typed_error(facts: dict[str, Any]) -> None:
    (answer,) = answers(run_vietqr_build, [json.dumps(facts)])

    assert set(answer) in ({"payload"}, {"error"})


def test_build_takes_what_decode_prints() -> None:
    for payload, _, source in VALID:
        (decoded,) = answers(run_vietqr_decode, [payload])
        answer = built(decoded)
        if "error" in answer:
            assert answer["error"]["code"] == "vietqr_not_writable", source
            continue
        (again,) = answers(run_vietqr_decode, [answer["payload"]])
        assert again | {"crc": ""} == decoded | {"crc": ""}, source


def test_build_needs_a_bank_and_an_account_and_fills_in_the_rest() -> None:
    assert parse(built(FACTS)["payload"]).is_dynamic
    static = parse(built({"bin": "970422", "account": "1", "amount_vnd": None})["payload"])
    assert not static.is_dynamic
    assert refused({"bin": "970422"}) == "vietqr_missing_field"
    assert refused({"account": "1", "bin": None}) == "vietqr_missing_field"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"amount_vnd": 5000.0}, "wrong_type"),
        ({"amount_vnd": "5000"}, "wrong_type"),
        ({"amount_vnd": True}, "wrong_type"),
        ({"amount_vnd": 0}, "vietqr_not_writable"),
        ({"amount_vnd": -1}, "vietqr_not_writable"),
        ({"amount_vnd": 10**30}, "vietqr_not_writable"),
        ({"bin": 970422}, "wrong_type"),
        ({"account": ["1"]}, "wrong_type"),
        ({"account": "\ud800"}, "vietqr_not_writable"),
        ({"purpose": "x" * 20}, "vietqr_not_writable"),
        ({"purpose": "trả"}, "vietqr_not_writable"),
        ({"service": None}, "vietqr_not_writable"),
        ({"service": "QRXXXXXX"}, "vietqr_bad_value"),
        ({"point_of_initiation": "13"}, "vietqr_bad_value"),
        ({"point_of_initiation": "12", "amount_vnd": None}, "vietqr_not_writable"),
        ({"amount": 5000}, "unknown_key"),
        ({"additional": []}, "wrong_type"),
        ({"additional": {"08": 1}}, "wrong_type"),
        ({"additional": {"8": "x"}}, "unknown_key"),
        ({"additional": {"00": "x"}}, "unknown_key"),
        ({"additional": {"٠٨": "x"}}, "unknown_key"),
        ({"additional": {"08": "A"}, "purpose": "B"}, "contradiction"),
    ],
)
def test_build_refuses_with_a_typed_reason(change: dict[str, Any], code: str) -> None:
    assert refused(FACTS | change) == code


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("", "invalid_json"),
        ("nonsense", "invalid_json"),
        ("[]", "invalid_json"),
        ("null", "invalid_json"),
        ('{"bin": "970422", "bin": "970436"}', "repeated_key"),
        ('{"amount_vnd": NaN, "bin": "970422", "account": "1"}', "wrong_type"),
        ('{"amount_vnd": ' + "9" * 5_000 + "}", "invalid_json"),
        ("[" * 60_000, "invalid_json"),
    ],
)
def test_build_refuses_lines_that_are_no_object(line: str, code: str) -> None:
    assert codes_of(answers(run_vietqr_build, [line])) == [code]


def test_memos_name_their_references() -> None:
    lines = ["MBVCB.1.pp hndx cjf3x84.CT tu 1", "", "NGUYEN VAN A chuyen tien", "PPHNDXCJF3X84"]

    assert answers(run_memo_find, lines) == [
        {"references": [{"reference": "PPHNDXCJF3X84", "org": "HNDX", "rule": "memo_normalised"}]},
        {"references": []},
        {"references": []},
        {"references": [{"reference": "PPHNDXCJF3X84", "org": "HNDX", "rule": "memo_exact"}]},
    ]


def test_references_are_made_all_different_and_right() -> None:
    out = io.StringIO()

    assert run_reference_make("HNDX", 500, out) == 0
    made = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len({one["reference"] for one in made}) == 500
    assert all(check_reference(one["reference"]) and one["org"] == "HNDX" for one in made)


@pytest.mark.parametrize(("org", "n"), [("hndx", 1), ("HN0X", 1), ("", 1), ("HNDX", -1)])
def test_wrong_arguments_are_refused_in_one_object(org: str, n: int) -> None:
    out = io.StringIO()

    assert run_reference_make(org, n, out) == 2
    assert set(json.loads(out.getvalue())) == {"error"}


PROGRAM = (
    "import sys; from ops.cli.tools_vietqr import run_vietqr_decode as run; "
    "status = run(sys.stdin, sys.stdout); "
    "sys.exit(9 if {'PIL', 'qrcode'} & set(sys.modules) else status)"
)


def test_as_a_process_it_answers_any_bytes_and_loads_nothing_heavy() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=b"\xff\n" + PAYLOAD.encode() + b"\n\n",
        capture_output=True,
        cwd=ROOT,
        check=False,
        timeout=30,
    )

    assert (ran.returncode, ran.stderr) == (0, b"")
    assert len([json.loads(line) for line in ran.stdout.splitlines()]) == 3


def test_a_reader_that_goes_away_ends_it_quietly() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"},
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(PAYLOAD.encode() + b"\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["bin"] == "970422"  # answered at once
        process.stdout.close()
        process.stdin.write((PAYLOAD.encode() + b"\n") * 3)
        process.stdin.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0
