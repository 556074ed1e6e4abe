"""SQL stands in queries: whoever looks for a statement knows where it is."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Functions that PostgreSQL 15 lacks, the oldest that a city may bring.
TOO_NEW = re.compile(
    r"\b(uuidv[47]|uuid_extract_\w+|any_value|array_(?:sort|reverse|shuffle|sample)|casefold|"
    r"random_normal|crc32c?|to_(?:bin|oct)|(?i:json_(?:table|exists|query|value|scalar)))\("
)
# Figures in groups, as Python writes them, came with PostgreSQL 16.
GROUPED_FIGURE = re.compile(r"(?<![\w'\"])(\d{1,3}(?:_\d{3})+)(?!\w)")
STATEMENT = re.compile(r"\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|VALUES)\b")
PACKAGES = ("city", "parking", "payments", "identity")
# Tables state their indexes' conditions; the invariants are SQL from beginning to end.
MAY_HOLD_SQL = ("models.py", "invariants.py")
WRITERS = {"text", "select", "insert", "update", "delete", "InsertMany"}
READERS = {"get", "get_one"}  # of a session


def list_sources() -> list[tuple[str, str]]:
    return [
        (str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if not path.name.startswith("queries") and path.name not in MAY_HOLD_SQL
    ]


def find_sql(name: str, source: str) -> list[str]:
    """Say where a file writes a statement, or reads an object, by itself."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id in WRITERS:
            found.append(f"{name}:{node.lineno} {called.id}(…)")
        elif isinstance(called, ast.Attribute) and called.attr in READERS:
            owner = getattr(called.value, "id", "")
            if owner in ("session", "tx"):
                found.append(f"{name}:{node.lineno} {owner}.{called.attr}(…)")
    return found


def test_statements_stand_in_queries() -> None:
    assert [one for name, source in list_sources() for one in find_sql(name, source)] == []


def test_a_statement_elsewhere_is_seen() -> None:
    for source in (
        'LIST = text("SELECT 1")',
        "query = select(Bill).where(Bill.id == bill_id)",
        "session.execute(insert(Bill))",
        "await session.get(Bill, key)",
        "await tx.get_one(Bill, key)",
    ):
        assert find_sql("payments/bills/service.py", source), source


def find_too_new(name: str, source: str) -> list[str]:
    """Say where a text of a file, other than a docstring, holds what PostgreSQL 15 lacks."""
    if not (TOO_NEW.search(source) or GROUPED_FIGURE.search(source)):
        return []
    tree = ast.parse(source)
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in documents:
            continue
        text = str(node.value)
        found += [f"{name}:{node.lineno} {one[1]}()" for one in TOO_NEW.finditer(text)]
        if STATEMENT.search(text):
            found += [f"{name}:{node.lineno} {one[1]}" for one in GROUPED_FIGURE.finditer(text)]
    return found


def test_no_statement_holds_what_the_oldest_postgresql_lacks() -> None:
    """Tests as well: they run on that version too, and statements in them fail only there."""
    found = [
        one
        for folder in (
            *PACKAGES,
            "core",
            "api",
            "worker",
            "ops",
            "loadtests",
            "migrations",
            "tests",
        )
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path != Path(__file__)
        for one in find_too_new(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_a_call_of_a_newer_function_is_seen() -> None:
    assert find_too_new("x.py", 'text("SELECT uuidv7()")') == ["x.py:1 uuidv7()"]
    assert find_too_new("x.py", '"""About `uuidv7()`."""\nnew_id()') == []
    assert find_too_new("x.py", 'text("UPDATE t SET a = 20_000")') == ["x.py:1 20_000"]
    assert find_too_new("x.py", "BYTES_MAX = 20_000\n'SELECT phopay_20_000'") == []
