"""Invariants of closed days: what each account carries is its bank clearing, item by item.

Plain SQL, as in queries.py beside this file. They read the last closed day of each organisation,
what is carried, and nothing older: `./phopay ledger verify` goes through all days.
"""

from typing import Final

# I12: an account's clearing, as the ledger has it at the end of the day, is what its row says, and
# what its items come to where it carries them one by one.
CLOSED_CLEARING_IS_CARRIED: Final = """
    SELECT a.org_id, a.day, a.receiving_account_id, a.clearing_vnd, a.carried_vnd,
           -coalesce(c.balance_vnd, 0) AS posted_vnd, a.carried_count, i.items, i.items_vnd
    FROM ledger_books b
    JOIN ledger_day_accounts a ON (a.org_id, a.day) = (b.org_id, b.closed_through)
    LEFT JOIN LATERAL (
        SELECT balance_vnd FROM ledger_checkpoints
        WHERE org_id = a.org_id AND code = 'bank_clearing'
          AND subject_id = a.receiving_account_id AND day <= a.day
        ORDER BY day DESC LIMIT 1) c ON true
    CROSS JOIN LATERAL (
        SELECT count(*) AS items, CAST(coalesce(sum(amount_vnd), 0) AS bigint) AS items_vnd
        FROM carried_items
        WHERE org_id = a.org_id AND receiving_account_id = a.receiving_account_id
          AND cleared_day IS NULL) i
    WHERE a.clearing_vnd <> -coalesce(c.balance_vnd, 0) OR a.carried_vnd <> a.clearing_vnd
       OR i.items <> coalesce(a.carried_count, 0)
       OR (a.carried_count IS NOT NULL AND i.items_vnd <> a.carried_vnd)
"""
# I12, one by one: what an item was before the last closed day, and what moved in that day, is what
# it is carried with. A go-live's leg for the past is in no item.
CARRIED_ITEMS_FOLLOW_FROM_THEIR_DAY: Final = """
    WITH closed AS (
        SELECT a.org_id, a.day, a.receiving_account_id
        FROM ledger_books b
        JOIN ledger_day_accounts a ON (a.org_id, a.day) = (b.org_id, b.closed_through)
        WHERE a.carried_count IS NOT NULL)
    SELECT org_id, credit_id, sum(carried_vnd) AS carried_vnd, sum(posted_vnd) AS posted_vnd
    FROM (
        SELECT i.org_id, i.credit_id, i.amount_vnd AS carried_vnd, 0 AS posted_vnd
        FROM closed d JOIN carried_items i ON i.org_id = d.org_id
         AND i.receiving_account_id = d.receiving_account_id AND i.cleared_day IS NULL
        WHERE i.first_day = d.day
        UNION ALL
        SELECT i.org_id, i.credit_id, 0, i.amount_vnd
        FROM closed d JOIN carried_items i ON i.org_id = d.org_id AND i.cleared_day = d.day
         AND i.receiving_account_id = d.receiving_account_id
        UNION ALL
        SELECT p.org_id, p.item_id, 0,
               CASE p.debit_code WHEN 'bank_clearing' THEN p.amount_vnd ELSE -p.amount_vnd END
        FROM ledger_books b
        JOIN postings p ON (p.org_id, p.day) = (b.org_id, b.closed_through)
        JOIN closed d ON d.org_id = p.org_id AND d.receiving_account_id
           = CASE p.debit_code WHEN 'bank_clearing' THEN p.debit_subject_id
             ELSE p.credit_subject_id END
        WHERE 'bank_clearing' IN (p.debit_code, p.credit_code)
          AND NOT (p.item_id = p.cause_id
                   AND p.cause_kind IN ('opening_balance', 'opening_balance_reversal'))
    ) AS both_sides
    GROUP BY org_id, credit_id HAVING sum(carried_vnd) <> sum(posted_vnd)
"""
# Who may lock the row of the books may also change it: it names the newest day.
BOOKS_ARE_CLOSED_THROUGH_THEIR_LAST_DAY: Final = """
    SELECT b.org_id, b.closed_through, d.day AS last_day
    FROM ledger_books b
    LEFT JOIN LATERAL (
        SELECT day FROM ledger_days WHERE org_id = b.org_id ORDER BY day DESC LIMIT 1) d ON true
    WHERE b.closed_through IS DISTINCT FROM d.day
"""

CLOSING_INVARIANTS: Final[dict[str, str]] = {
    "closed_clearing_is_carried": CLOSED_CLEARING_IS_CARRIED,
    "carried_items_follow_from_their_day": CARRIED_ITEMS_FOLLOW_FROM_THEIR_DAY,
    "books_are_closed_through_their_last_day": BOOKS_ARE_CLOSED_THROUGH_THEIR_LAST_DAY,
}
