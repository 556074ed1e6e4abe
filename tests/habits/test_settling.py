"""One writer of what a bill has been paid: payments/bills/settling.py, by queries_settling.py."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "city", "core", "identity", "ops", "parking", "payments", "registry", "worker")
WRITES = re.compile(
    r"UPDATE\s+bills\b[^;]*?\bSET\b[^;]*?\b(paid_vnd|received_vnd|paid_at)\s*=", re.IGNORECASE
)
WRITES_PAYMENTS = re.compile(r"(INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+payments\b", re.IGNORECASE)
MAY_WRITE_BILLS = {"payments/bills/queries_settling.py"}
MAY_WRITE_PAYMENTS = {"payments/bills/queries_payments.py"}
# What writes by these statements is called by settling alone.
WRITERS = {"update_bills", "insert_payments", "reverse_payments"}
MAY_CALL = {"payments/bills/settling.py"}
FIELDS = {"paid_vnd", "received_vnd", "paid_at"}
MAY_MOVE = {"payments/bills/payment_rules.py"}  # the decision, on a locked bill


def list_sources() -> list[tuple[str, str]]:
    return [
        (str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if "node_modules" not in path.parts
    ]


def find_writers(name: str, source: str) -> list[str]:
    """Say by what a file writes what a bill has been paid."""
    found = []
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if WRITES.search(node.value) and name not in MAY_WRITE_BILLS:
                found.append(f"{name}:{node.lineno} updates bills")
            if WRITES_PAYMENTS.search(node.value) and name not in MAY_WRITE_PAYMENTS:
                found.append(f"{name}:{node.lineno} writes payments")
        elif isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", None))
            if called in WRITERS and name not in MAY_CALL:
                found.append(f"{name}:{node.lineno} calls {called}")
        elif isinstance(node, (ast.Assign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                is_field = isinstance(target, ast.Attribute) and target.attr in FIELDS
                if is_field and name not in MAY_MOVE:
                    found.append(f"{name}:{node.lineno} sets {ast.unparse(target)}")
    return found


def test_only_settling_writes_what_a_bill_has_been_paid() -> None:
    assert [one for name, source in list_sources() for one in find_writers(name, source)] == []


def test_another_writer_is_seen() -> None:
    for source in (
        'X = "UPDATE bills b SET status = 1, paid_vnd = 3"',
        'X = "INSERT INTO payments (org_id) VALUES (1)"',
        "await queries.update_bills(session, org_id, [])",
        "bill.received_vnd -= 5",
    ):
        assert find_writers("payments/credits/corrections.py", source), source
