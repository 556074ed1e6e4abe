"""Counting afterwards: what was acknowledged to the sender, held against what the database holds.

Read as the owner, past row-level security, from bills, credits, matches and postings. What counts
is the sender's own log: an acknowledged callback whose money is not on its bill is lost, whatever
the hub believes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

import psycopg

from loadtests.flood import Payment

MAKE_SENT = """
CREATE TEMPORARY TABLE sent (
    org_id uuid, account_id uuid, bank_reference text, bill_id uuid, amount_vnd bigint,
    is_acknowledged bool)
"""

# One row per payment that was sent at least once.
JUDGE = """
SELECT count(*) FILTER (WHERE s.is_acknowledged AND (
           coalesce(c.credits, 0) = 0
           OR coalesce(m.matches, 0) = 0
           OR coalesce(t.posted_vnd, 0) < s.amount_vnd
           OR b.paid_vnd < s.amount_vnd OR b.status NOT IN ('paid', 'over_paid'))),
       count(*) FILTER (WHERE
           c.credits > 1 OR m.matches > 1
           OR t.posted_vnd > s.amount_vnd OR t.postings > 1
           OR b.received_vnd > s.amount_vnd OR b.status = 'over_paid'),
       count(*) FILTER (WHERE s.is_acknowledged)
FROM sent s
JOIN bills b ON b.org_id = s.org_id AND b.id = s.bill_id
LEFT JOIN LATERAL (
    SELECT count(*) AS credits FROM bank_transactions c
    WHERE c.org_id = s.org_id AND c.receiving_account_id = s.account_id
      AND c.bank_reference = s.bank_reference AND c.amount_vnd = s.amount_vnd) c ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS matches FROM matches m JOIN bank_transactions c USING (org_id)
    WHERE m.org_id = s.org_id AND m.credit_id = c.id AND m.bill_id = s.bill_id
      AND m.reversed_at IS NULL AND c.receiving_account_id = s.account_id
      AND c.bank_reference = s.bank_reference) m ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS postings, sum(t.amount_vnd) AS posted_vnd
    FROM postings t
    JOIN payments p ON p.org_id = t.org_id AND p.id = t.cause_id
    WHERE t.org_id = s.org_id AND t.cause_kind = 'payment' AND p.bill_id = s.bill_id
      AND t.credit_code = 'takings' AND t.debit_code = 'bank_clearing') t ON true
"""


@dataclass(frozen=True, kw_only=True)
class Account:
    """What became of what was sent."""

    lost: int
    doubled: int
    acknowledged: int  # distinct payments, or bills


def count_payments(
    owner_url: str, payments: Sequence[Payment], good_calls: Iterable[int]
) -> Account:
    """Hold payments against the database.

    Args:
        payments: what each call reported; repeats name the same payment.
        good_calls: positions of the calls that the sender saw acknowledged.
    """
    acknowledged = {payments[call].bank_reference for call in good_calls}
    distinct = {payment.bank_reference: payment for payment in payments}
    with psycopg.connect(owner_url) as owner:
        owner.execute(MAKE_SENT)
        with owner.cursor().copy("COPY sent FROM STDIN") as copy:
            for name, payment in distinct.items():
                copy.write_row(
                    (
                        payment.org_id,
                        payment.account_id,
                        name,
                        payment.bill_id,
                        payment.amount_vnd,
                        name in acknowledged,
                    )
                )
        owner.execute("ANALYZE sent")
        row = owner.execute(JUDGE).fetchone()
    assert row is not None
    return Account(lost=row[0], doubled=row[1], acknowledged=row[2])


def count_bills(owner_url: str, org_ids: Sequence[UUID], acknowledged: set[str]) -> Account:
    """Hold bills that were answered 201 against the table, by the caller's own number for them."""
    with psycopg.connect(owner_url) as owner:
        rows = owner.execute(
            "SELECT external_id, count(*) FROM bills"
            " WHERE org_id = ANY(%s) AND external_id IS NOT NULL GROUP BY external_id",
            [list(org_ids)],
        ).fetchall()
    stored = {str(name): int(number) for name, number in rows}
    return Account(
        lost=len(acknowledged - stored.keys()),
        doubled=sum(number - 1 for number in stored.values()),
        acknowledged=len(acknowledged),
    )


def count_unhandled(owner: psycopg.Connection, org_ids: Sequence[UUID]) -> int:
    """Count the notices of these organisations that are not settled yet."""
    row = owner.execute(
        "SELECT count(*) FROM notices WHERE org_id = ANY(%s) AND handled_at IS NULL",
        [list(org_ids)],
    ).fetchone()
    assert row is not None
    return int(row[0])
