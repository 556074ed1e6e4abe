"""Numbers and texts as JavaScript writes them, against a real Node where one is installed."""

import json
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payments.providers.errors import UnreadableNotice
from payments.providers.javascript_json import js_number, js_sorted_keys, js_text

NUMBERS = [
    (0, "0"),
    (-0.0, "0"),
    (1.0, "1"),
    (-5000.0, "-5000"),
    (0.1, "0.1"),
    (0.000001, "0.000001"),
    (1e-7, "1e-7"),
    (1.23e-18, "1.23e-18"),
    (1e16, "10000000000000000"),
    (123456789012345680000.0, "123456789012345680000"),
    (1e21, "1e+21"),
    (-1.5e300, "-1.5e+300"),
    (5e-324, "5e-324"),
    (2**53 - 1, "9007199254740991"),
    (2**53 + 1, "9007199254740992"),
    (10**25, "1e+25"),
    (0.5, "0.5"),
    (100.25, "100.25"),
]


@pytest.mark.parametrize(("number", "text"), NUMBERS)
def test_numbers_are_printed_as_javascript_does(number: Any, text: str) -> None:
    assert js_number(number) == text


@pytest.mark.parametrize("number", [10**400, float("inf"), float("nan")])
def test_a_number_beyond_a_double_is_not_json(number: Any) -> None:
    with pytest.raises(UnreadableNotice):
        js_number(number)


@settings(deadline=None)  # a shared machine may pause
@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70))
def test_a_printed_number_reads_back_as_the_same_double(number: Any) -> None:
    assert float(js_number(number)) == float(number)


def test_keys_are_enumerated_as_javascript_does() -> None:
    keys = ["b", "10", "9", "09", "-1", "4294967295", "4294967294", "\ue000", "😀", ""]
    assert js_sorted_keys(dict.fromkeys(keys)) == [
        *["9", "10", "4294967294", "", "-1", "09", "4294967295", "b"],
        *["😀", "\ue000"],
    ]


def test_a_value_nested_beyond_the_limit_is_refused() -> None:
    value: Any = 1
    for _ in range(16):
        value = [value]
    assert js_text(value).count("[") == 16
    with pytest.raises(UnreadableNotice):
        js_text([value])


NODE = shutil.which("node")
# Sorts as Casso's samples do, then prints with the language itself.
SCRIPT = """
const sorted = v => Array.isArray(v) ? v.map(sorted) : v === null || typeof v !== 'object' ? v :
  Object.fromEntries(Object.keys(v).sort().map(k => [k, sorted(v[k])]));
const cases = JSON.parse(require('fs').readFileSync(0));
process.stdout.write(JSON.stringify(cases.map(c => JSON.stringify(sorted(JSON.parse(c))))));
"""
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=())),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.integers(0, 2**33).map(str), inner, max_size=4)
    ),
    max_leaves=8,
)


@pytest.mark.skipif(NODE is None, reason="needs node")
@settings(max_examples=25, deadline=None)  # each starts a Node
@given(st.lists(values, min_size=1, max_size=150))
@pytest.mark.slow
def test_a_real_node_prints_the_same(cases: list[Any]) -> None:
    written = [json.dumps(case) for case in cases]
    assert NODE is not None
    done = subprocess.run(
        [NODE, "-e", SCRIPT], input=json.dumps(written).encode(), capture_output=True, check=True
    )
    assert [js_text(json.loads(text)) for text in written] == json.loads(done.stdout)
