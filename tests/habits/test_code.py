"""Habits of the code that no linter knows."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = (
    *(
        "api",
        "city",
        "core",
        "identity",
        "ops",
        "parking",
        "payments",
        "registry",
        "sandbox",
        "worker",
        "migrations",
        "tests",
    ),
)
DOMAIN = ("city", "parking", "payments", "identity", "core")
NOT_NAMES = {"utils.py", "helpers.py", "common.py", "manager.py", "misc.py", "util.py"}
# The trade's nouns: what core may not know, so that it stays a base for any trade.
TRADE = frozenset(
    {"bill", "payee", "vendor", "stall", "market", "plate", "parking", "tariff", "notice", "credit"}
    | {"ledger", "refund", "vietqr", "napas", "merchant", "cashier", "attendant", "endpoint"}
)


def files_of(*packages: str) -> Iterator[Path]:
    for package in packages:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "node_modules" not in path.parts:
                yield path


def words_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """The names that code gives and uses: identifiers and attributes, split into words."""
    for node in ast.walk(tree):
        for name in ("id", "attr", "name", "arg"):
            value = getattr(node, name, None)
            if isinstance(value, str):
                for word in re.findall(r"[A-Z]?[a-z]+", value):
                    yield getattr(node, "lineno", 0), word.lower()


# Seconds may be broken, money may not: a line about time, and files with a reason.
ABOUT_TIME = re.compile(r"_s\b|_S\b|sleep|timestamp|monotonic|clock", re.ASCII)
NO_MONEY = {
    "core/batching.py": "waits",
    "core/settings.py": "waits",
    "core/ids.py": "instants",
    "core/database_connections.py": "how long an answer is waited for",
    "core/rate_limit.py": "waits and tries",
    "identity/people/callers.py": "how long a cache keeps what it knows",
    "parking/plate_reading": "pixels, and how sure a reading is",
    "payments/callbacks/receiver.py": "when an endpoint was looked up",
    "payments/providers/javascript_json.py": "writes numbers as JavaScript does, to verify",
}


@pytest.mark.parametrize("path", list(files_of(*DOMAIN)), ids=lambda p: str(p.relative_to(ROOT)))
def test_money_is_never_a_float(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    if name in NO_MONEY or str(path.parent.relative_to(ROOT)) in NO_MONEY:
        return
    source = path.read_text()
    lines = source.splitlines()
    for node in ast.walk(ast.parse(source)):
        number = getattr(node, "lineno", 0)
        if number and ABOUT_TIME.search(lines[number - 1]):
            continue
        where = f"{name}:{number}"
        assert not (isinstance(node, ast.Name) and node.id == "float"), f"{where} uses float"
        is_literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
        assert not is_literal, f"{where} has a float literal"
        is_division = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)
        # A path is joined by the same sign.
        assert not is_division or is_path(node), f"{where}: use // and say where the rest goes"


def is_path(node: ast.BinOp) -> bool:
    """Whether a division joins a path: one side is text or __file__."""
    text = ast.unparse(node)
    return '"' in text or "'" in text or "path" in text.lower() or "DIR" in text


def test_no_file_is_named_after_nothing() -> None:
    named = [str(p.relative_to(ROOT)) for p in files_of(*PACKAGES) if p.name in NOT_NAMES]
    assert named == []


def test_core_knows_no_noun_of_the_trade() -> None:
    for path in files_of("core"):
        if path.name == "settings.py":
            continue  # what an operator can set is one list, whatever it is about
        for line, word in words_of(ast.parse(path.read_text())):
            assert word not in TRADE, f"{path.relative_to(ROOT)}:{line} knows the word {word!r}"


def test_only_the_edges_read_the_clock() -> None:
    for path in files_of("city", "parking", "payments"):
        text = path.read_text()
        for call in ("datetime.now(", "datetime.utcnow(", "time.time(", "import read_clock"):
            assert call not in text, f"{path.relative_to(ROOT)} reads the clock: take `now`"


def test_services_leave_the_commit_to_the_edge() -> None:
    for path in files_of("city", "parking", "payments"):
        text = path.read_text()
        for call in (".commit()", ".rollback()"):
            assert call not in text, f"{path.relative_to(ROOT)} ends a transaction itself"


def test_nothing_tells_of_the_machine_it_was_written_on() -> None:
    absolute = re.compile(r"(?<![\w.:/\"'])/(?:work|home|root)/\w")
    registries = re.compile(r"pypi\.org|registry\.npmjs|files\.pythonhosted|deb\.debian\.org")
    for path in [*files_of(*PACKAGES), *(ROOT / "docs").rglob("*.md")]:
        if path == Path(__file__):
            continue
        text = path.read_text()
        assert not absolute.search(text), path
        assert not registries.search(text), path
