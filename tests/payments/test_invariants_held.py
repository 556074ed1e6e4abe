"""The table of the twenty invariants: as docs/reliability.md says, and true of the code."""

import re
from pathlib import Path

from ops.cli.__main__ import build_parser
from payments.invariants.queries import CHECKS
from payments.invariants.rules import ALARMS, INVARIANTS_HELD, Proof

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (I\d+) \| (.+) \| (\w+) \| (.+) \|$", re.MULTILINE)


def test_all_twenty_are_named_in_their_order() -> None:
    assert list(INVARIANTS_HELD) == [f"I{number}" for number in range(1, 21)]


def test_the_page_says_what_holds_each() -> None:
    page = (ROOT / "docs/reliability.md").read_text()
    section = page.split("### The twenty invariants")[1].split("\n### ")[0]
    said = {name: (says, proof, by) for name, says, proof, by in ROW.findall(section)}

    assert list(said) == list(INVARIANTS_HELD)
    for name, held in INVARIANTS_HELD.items():
        says, proof, by = said[name]
        assert (says, proof) == (held.says, held.proof.value), name
        if held.checks:
            assert by == ", ".join(f"`{check}`" for check in held.checks), name
        else:
            assert by.strip("`") == held.where.strip("`"), name


def test_each_check_holds_an_invariant_and_each_that_is_named_is_run() -> None:
    named = {check for held in INVARIANTS_HELD.values() for check in held.checks}
    assert named == set(CHECKS)
    assert set(ALARMS) <= set(CHECKS)


def test_what_is_no_live_check_is_a_test_that_is_there_or_still_to_come() -> None:
    for name, held in INVARIANTS_HELD.items():
        assert bool(held.checks) == (held.proof is Proof.LIVE), name
        if held.proof in (Proof.TEST, Proof.DRILL):
            assert (ROOT / held.where).is_file(), name
        if held.proof is Proof.COMMAND:
            words = held.where.removeprefix("./phopay ").split()
            assert build_parser().parse_args(words).run, name
    coming = [name for name, held in INVARIANTS_HELD.items() if held.proof is Proof.COMING]
    assert coming == ["I18"]
