"""SQL of the list of breaks, with the filters of people who work it off."""

from functools import cache
from typing import Final

from sqlalchemy import TextClause, text

COLUMNS: Final = """
    k.id, k.kind, k.subject_id, k.credit_id, k.bill_id, k.owner_id, k.amount_vnd, k.reason,
    k.reason_facts, k.opened_at, k.deadline_at, k.held_at, k.closed_at, k.closed_by, k.resolution,
    k.outcome, EXISTS (
        SELECT FROM break_decisions d WHERE d.org_id = k.org_id AND d.break_id = k.id
          AND d.status = 'proposed') AS awaits_approval
"""
# Each filter that is given, and only those: otherwise no plan that serves any values can use the
# index of what is open.
FILTERS: Final = {
    "before_id": "k.id < :before_id",
    "break_id": "k.id = :break_id",
    "is_open": "k.closed_at IS NULL",
    "is_closed": "k.closed_at IS NOT NULL",
    "kinds": "k.kind = ANY(CAST(:kinds AS text[]))",
    "kind": "k.kind = :kind",
    "owner_id": "k.owner_id = :owner_id",
    "is_unowned": "k.owner_id IS NULL",
    "overdue_at": "k.closed_at IS NULL AND k.deadline_at < :overdue_at",
    # Of a family that ages into another: of this kind, and in time or over it.
    "aged": "(k.kind = ANY(CAST(:kinds AS text[])) OR (k.kind = ANY(CAST(:aged AS text[]))"
    " AND k.deadline_at < coalesce(k.closed_at, :now)))",
    "young": "NOT coalesce(k.deadline_at < coalesce(k.closed_at, :now), false)",
    "approval": """EXISTS (
        SELECT FROM break_decisions d WHERE d.org_id = k.org_id AND d.break_id = k.id
          AND d.status = 'proposed')""",
    "review": """EXISTS (
        SELECT FROM break_decisions d WHERE d.org_id = k.org_id AND d.break_id = k.id
          AND d.is_decided_alone AND d.reviewed_at IS NULL)""",
    "account_id": """(
        EXISTS (SELECT FROM bank_transactions c WHERE c.org_id = k.org_id AND c.id = k.credit_id
                  AND c.receiving_account_id = :account_id)
        OR EXISTS (SELECT FROM bills b WHERE b.org_id = k.org_id AND b.id = k.bill_id
                     AND b.receiving_account_id = :account_id))""",
    "find": """(
        k.resolution ILIKE :find OR k.reason_facts::text ILIKE :find
        OR EXISTS (SELECT FROM break_notes n WHERE n.org_id = k.org_id AND n.break_id = k.id
                     AND n.words ILIKE :find)
        OR EXISTS (SELECT FROM bills b WHERE b.org_id = k.org_id AND b.id = k.bill_id
                     AND b.reference ILIKE :find)
        OR EXISTS (SELECT FROM bank_transactions c WHERE c.org_id = k.org_id AND c.id = k.credit_id
                     AND (c.memo ILIKE :find OR c.payer_name ILIKE :find
                          OR c.bank_reference ILIKE :find)))""",
}
# What was opened in some days is read first and put in the order of ids then (OFFSET 0 keeps the
# planner from going through a whole history in that order until it comes to those days).
OF_DAYS: Final = """(
    SELECT * FROM breaks
    WHERE org_id = :org_id AND opened_at >= :since AND opened_at < :until OFFSET 0)"""
COUNT_OPEN: Final = text("""
    SELECT count(*), count(*) FILTER (WHERE deadline_at < :now),
           count(*) FILTER (WHERE owner_id IS NULL), count(*) FILTER (WHERE owner_id = :me)
    FROM breaks WHERE org_id = :org_id AND closed_at IS NULL
""")


@cache
def write_list(given: frozenset[str]) -> TextClause:
    """Write the statement of a list of breaks with these filters, newest first."""
    wanted = [condition for name, condition in FILTERS.items() if name in given]
    source = OF_DAYS if "since" in given else "breaks"
    if "aged" in given:
        wanted.remove(FILTERS["kinds"])
    return text(f"""
        SELECT {COLUMNS} FROM {source} AS k
        WHERE {" AND ".join(["k.org_id = :org_id", *wanted])}
        ORDER BY k.id DESC LIMIT :limit
    """)  # noqa: S608 (our own conditions)
