"""Tables of the size that a market has after weeks, where PostgreSQL plans otherwise.

What waits for a lock is checked again by the plan that found it, so a race on a few dozen rows
shows nothing of the same race on thousands.
"""

from typing import Final

import psycopg

from tests.world.constants import NOON
from tests.world.stalls import PayableStall

ROWS: Final = 24_000
# Written as the hub writes them, but for their check characters: nobody names these bills.
GROW_BILLS = """
    INSERT INTO bills (
        org_id, id, link_id, payee_id, receiving_account_id, rail, provider_order_id, reference,
        public_token, amount_vnd, purpose, status, created_by, created_at, expires_at,
        monitor_until)
    SELECT l.org_id, gen_random_uuid(), l.id, l.payee_id, l.receiving_account_id,
           CASE n %% 4 WHEN 0 THEN 'payos' ELSE 'vietqr' END,
           CASE n %% 4 WHEN 0 THEN CAST(n AS text) END,
           'XX' || lpad(CAST(n AS text), 11, '0'), lpad(CAST(n AS text), 22, '0'),
           coalesce(CAST(%(price_vnd)s AS bigint), 1000 + n), 'Phở bò', 'open', l.payee_id,
           %(now)s, %(now)s, %(now)s
    FROM payee_accounts l CROSS JOIN generate_series(1, %(rows)s) AS n
    WHERE l.org_id = %(org_id)s AND l.payee_id = %(payee_id)s
"""


# A credit each half minute, from four days before to four days after: all of one price.
GROW_CREDITS = """
    INSERT INTO bank_transactions (
        org_id, id, receiving_account_id, direction, bank_reference, is_first_of_reference,
        provider, provider_transaction_id, notice_id, memo, amount_vnd, is_date_only, occurred_at,
        received_at)
    SELECT a.org_id, gen_random_uuid(), a.id, 'in', 'FT26' || 324000000 + n, true, 'sepay',
           'past-' || n, a.id, 've xe', 10000, false,
           CAST(%(now)s AS timestamptz) + (n - %(rows)s / 2) * interval '28 seconds', %(now)s
    FROM receiving_accounts a CROSS JOIN generate_series(1, %(rows)s) AS n
    WHERE a.org_id = %(org_id)s AND a.id = %(account_id)s
"""


# Each came and was handled in two transactions, as the hub does it.
GROW_NOTICES = (
    """
    INSERT INTO notices (
        org_id, id, endpoint_id, provider, source, body, headers, received_at, next_attempt_at)
    SELECT %(org_id)s, CAST(lpad(to_hex(n), 12, '0') || left(md5(CAST(n AS text)), 20) AS uuid),
           %(endpoint_id)s, 'sepay', 'callback', decode(repeat('00', 300), 'hex'), '{}', %(now)s,
           %(now)s
    FROM generate_series(1, %(rows)s) AS n
    """,
    """
    UPDATE notices SET handled_at = %(now)s, outcome = 'settle', attempts = 1
    WHERE org_id = %(org_id)s AND handled_at IS NULL
    """,
)

GROW_CHANGES = (
    """
    INSERT INTO bill_changes (
        org_id, id, subject_kind, subject_id, seq, owner_kind, owner_id, to_status, created_at,
        next_attempt_at)
    SELECT %(org_id)s, gen_random_uuid(), 'bill', gen_random_uuid(), 1, %(owner_kind)s,
           gen_random_uuid(), 'paid', %(now)s, %(now)s - n * interval '1 second'
    FROM generate_series(1, %(rows)s) AS n
    """,
    """
    UPDATE bill_changes SET handled_at = %(now)s, attempts = 1
    WHERE org_id = %(org_id)s AND handled_at IS NULL
    """,
)

GROW_REQUESTS = (
    """
    INSERT INTO rail_requests (
        org_id, bill_id, rail, endpoint_id, order_id, orders, status, attempts, next_attempt_at,
        created_at)
    SELECT b.org_id, b.id, 'payos', %(endpoint_id)s, b.provider_order_id, 1, 'pending', 1, now(),
           now()
    FROM bills b WHERE b.org_id = %(org_id)s AND b.provider_order_id IS NOT NULL
    """,
    """
    UPDATE rail_requests SET status = 'open', payload = 'x', next_attempt_at = now()
    WHERE org_id = %(org_id)s
    """,
    "UPDATE rail_requests SET status = 'closed' WHERE org_id = %(org_id)s",
)


def grow_bills(
    owner_url: str, stall: PayableStall, *, rows: int = ROWS, price_vnd: int | None = None
) -> None:
    """Give a stall this many old bills, of one price or of many; let the planner know."""
    values = {
        "org_id": stall.org.id,
        "payee_id": stall.payee_id,
        "rows": rows,
        "price_vnd": price_vnd,
        "now": NOON,
    }
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute(GROW_BILLS, values)
        owner.execute("ANALYZE bills")


def grow_credits(owner_url: str, stall: PayableStall, *, rows: int = ROWS) -> None:
    """Give a stall's account this many credits of one price in eight days around NOON."""
    values = {"org_id": stall.org.id, "account_id": stall.account_id, "rows": rows, "now": NOON}
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute(GROW_CREDITS, values)
        owner.execute("ANALYZE bank_transactions")


def grow_notices(owner_url: str, stall: PayableStall, *, rows: int = ROWS) -> None:
    """Give a stall this many handled notices, before all that have come by themselves."""
    values = {
        "org_id": stall.org.id,
        "endpoint_id": stall.endpoint_id,
        "rows": rows,
        "now": NOON,
    }
    with psycopg.connect(owner_url, autocommit=True) as owner:
        for statement in GROW_NOTICES:
            owner.execute(statement, values)
        owner.execute("VACUUM ANALYZE notices")


def grow_changes(owner_url: str, stall: PayableStall, *, owner_kind: str, rows: int = ROWS) -> None:
    """Give an owner this many changes of its bills, all handled."""
    values = {"org_id": stall.org.id, "owner_kind": owner_kind, "rows": rows, "now": NOON}
    with psycopg.connect(owner_url, autocommit=True) as owner:
        for statement in GROW_CHANGES:
            owner.execute(statement, values)
        owner.execute("VACUUM ANALYZE bill_changes")


def grow_requests(owner_url: str, stall: PayableStall) -> None:
    """Give all bills with a provider's order the request of it, closed by now."""
    values = {"org_id": stall.org.id, "endpoint_id": stall.endpoint_id}
    with psycopg.connect(owner_url, autocommit=True) as owner:
        for statement in GROW_REQUESTS:
            owner.execute(statement, values)
        owner.execute("VACUUM ANALYZE rail_requests")
