"""SQL stands in queries: whoever looks for a statement knows where it is."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
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
