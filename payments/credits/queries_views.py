"""SQL of views.py: credits with what explains them, in lists that find their rows by an index."""

from functools import lru_cache
from typing import Final

from sqlalchemy import TextClause, text

from payments.credits.rules import Verdict

CREDIT_COLUMNS = """
    c.id, c.receiving_account_id, c.virtual_account, m.payee_id, m.bill_id, m.suggested_bill_id,
    c.amount_vnd, m.applied_vnd, m.verdict, m.rule, m.reason, m.reason_facts, m.is_late, c.memo,
    c.payer_name, c.payer_account, c.payer_bank, c.provider, c.bank_reference, c.occurred_at,
    c.is_date_only, c.received_at, m.matched_at, m.matched_by, m.id
"""

FROM_CREDITS = """
    FROM bank_transactions c
    JOIN matches m ON m.org_id = c.org_id AND m.credit_id = c.id AND m.reversed_at IS NULL
"""

# The payments of some days, and then the match of each (OFFSET 0 keeps the planner from going
# through all matches in the order of ids, until it comes to those days).
FROM_CREDITS_OF_DAYS = """
    FROM (SELECT * FROM bank_transactions c
          WHERE c.org_id = :org_id AND {days} ORDER BY c.id DESC OFFSET 0) AS c
    CROSS JOIN LATERAL (
        SELECT * FROM matches m
        WHERE m.org_id = c.org_id AND m.credit_id = c.id AND m.reversed_at IS NULL
        OFFSET 0) AS m
"""

# What nobody of an account was given yet concerns all who trade on it.
IS_ANYONES = """
    m.payee_id IS NULL AND EXISTS (
        SELECT 1 FROM payee_accounts l
        WHERE l.org_id = c.org_id AND l.receiving_account_id = c.receiving_account_id
          AND l.payee_id = :payee_id AND l.status IN ('active', 'former'))
"""

# Each filter that is given, and only those: `:since IS NULL OR …` keeps a plan that serves any
# values from every index.
FILTERS: Final = {"before_id": "c.id < :before_id AND m.credit_id < :before_id"}

DAYS: Final = {"since": "c.received_at >= :since", "until": "c.received_at < :until"}

FIND_CREDIT = text(f"""
    SELECT {CREDIT_COLUMNS} {FROM_CREDITS}
    WHERE c.org_id = :org_id AND c.id = :credit_id
      AND (CAST(:payee_id AS uuid) IS NULL OR m.payee_id = :payee_id OR ({IS_ANYONES}))
""")

LIST_BILL_CREDITS = text(f"""
    SELECT {CREDIT_COLUMNS} {FROM_CREDITS}
    WHERE c.org_id = :org_id AND m.bill_id = :bill_id
    ORDER BY c.id LIMIT :limit
""")

COUNT_VERDICTS = text("""
    SELECT m.verdict, count(*), coalesce(sum(c.amount_vnd), 0)::bigint
    FROM matches m
    JOIN bank_transactions c ON c.org_id = m.org_id AND c.id = m.credit_id
    WHERE m.org_id = :org_id AND m.payee_id = :payee_id AND m.reversed_at IS NULL
      AND m.matched_at >= :since AND m.matched_at < :until
    GROUP BY m.verdict
""")


@lru_cache(maxsize=256)
def write_lists(given: frozenset[str], verdicts: tuple[Verdict, ...] | None) -> list[TextClause]:
    """Write the statements of a list of credits: a payee's are its own, and what is anyone's."""
    wanted = [condition for name, condition in FILTERS.items() if name in given]
    days = " AND ".join(DAYS[name] for name in DAYS if name in given)
    source = FROM_CREDITS_OF_DAYS.format(days=days) if days else FROM_CREDITS
    if verdicts is not None:
        # Constants, so that the planner sees which index serves them.
        names = ", ".join(f"'{verdict.value}'" for verdict in verdicts) or "NULL"
        wanted.append(f"m.verdict IN ({names})")
    halves = ["m.payee_id = :payee_id", IS_ANYONES] if "payee_id" in given else ["true"]
    return [
        text(f"""
            SELECT {CREDIT_COLUMNS} {source}
            WHERE c.org_id = :org_id AND {" AND ".join([*wanted, half])}
            ORDER BY c.id DESC LIMIT :limit
        """)
        for half in halves
    ]
