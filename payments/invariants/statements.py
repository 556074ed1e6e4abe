"""Invariants of statements: lines and what explains them, days that chain, items of bank clearing.

Plain SQL, as in queries.py beside this file.
"""

from typing import Final

# I8: what explains a line, and what of it is open, is its amount.
LINES_AGREE_WITH_THEIR_PROOFS: Final = """
    SELECT org_id, line_id, sum(vnd) AS wrong_by_vnd FROM (
        SELECT org_id, id AS line_id, amount_vnd - open_vnd AS vnd FROM statement_lines
        WHERE open_vnd < amount_vnd
        UNION ALL
        SELECT org_id, line_id, -amount_vnd FROM proofs WHERE reversed_at IS NULL) AS both_sides
    GROUP BY org_id, line_id HAVING sum(vnd) <> 0
"""
# I8: a proof posts its amount once, and once the other way round if it was taken back.
A_PROOF_POSTS_ONCE: Final = """
    SELECT org_id, proof_id, sum(said_vnd) AS said_vnd, sum(posted_vnd) AS posted_vnd FROM (
        SELECT org_id, id AS proof_id,
               CASE WHEN reversed_at IS NULL THEN amount_vnd ELSE 0 END AS said_vnd, 0 AS posted_vnd
        FROM proofs
        UNION ALL
        SELECT org_id, cause_id, 0,
               CASE cause_kind WHEN 'proof' THEN amount_vnd ELSE -amount_vnd END
        FROM postings WHERE cause_kind IN ('proof', 'proof_reversal')) AS both_sides
    GROUP BY org_id, proof_id HAVING sum(said_vnd) <> sum(posted_vnd)
"""
# I8: a line is proved by credits of its own account; money in by credits, money out by refunds.
PROOFS_ARE_OF_ONE_ACCOUNT: Final = """
    SELECT p.org_id, p.id AS proof_id, p.line_id, p.credit_id, p.refund_id
    FROM proofs p
    JOIN statement_lines l ON (l.org_id, l.id) = (p.org_id, p.line_id)
    LEFT JOIN bank_transactions c ON (c.org_id, c.id) = (p.org_id, p.credit_id)
    LEFT JOIN refunds r ON (r.org_id, r.id) = (p.org_id, p.refund_id)
    WHERE p.reversed_at IS NULL
      AND (coalesce(c.receiving_account_id, r.receiving_account_id, l.receiving_account_id)
               <> l.receiving_account_id
           OR coalesce(c.amount_vnd, r.amount_vnd, p.amount_vnd) <> p.amount_vnd
           OR c.direction <> 'in'
           OR (l.direction = 'out' AND p.explanation IN ('credit', 'refund_back'))
           OR (l.direction = 'in' AND p.explanation = 'refund'))
"""
# I11: where a day of an account and the day after it have their closings, the second is the first
# and what moved; a day's lines are what it says. Lines of accepted statements are being written.
STATEMENTS_CHAIN: Final = """
    WITH being_written AS (
        SELECT DISTINCT org_id, receiving_account_id FROM statements WHERE status = 'accepted'
    )
    SELECT org_id, receiving_account_id, day, said_vnd, found_vnd FROM (
        SELECT org_id, receiving_account_id, day, closing_vnd AS said_vnd,
               lag(closing_vnd) OVER account + in_vnd - out_vnd AS found_vnd,
               lag(day) OVER account AS before
        FROM statement_days
        WINDOW account AS (PARTITION BY org_id, receiving_account_id ORDER BY day)) AS chained
    WHERE before = day - 1 AND said_vnd <> found_vnd
    UNION ALL
    SELECT d.org_id, d.receiving_account_id, d.day, d.in_vnd - d.out_vnd, coalesce(l.net_vnd, 0)
    FROM statement_days d
    LEFT JOIN (
        SELECT org_id, receiving_account_id, booked_on, count(*) AS line_count,
               sum(CASE direction WHEN 'in' THEN amount_vnd ELSE -amount_vnd END) AS net_vnd
        FROM statement_lines GROUP BY 1, 2, 3) AS l
      ON (l.org_id, l.receiving_account_id, l.booked_on)
         = (d.org_id, d.receiving_account_id, d.day)
    WHERE (coalesce(l.net_vnd, 0) <> d.in_vnd - d.out_vnd
           OR coalesce(l.line_count, 0) <> d.line_count)
      AND NOT EXISTS (SELECT FROM being_written w WHERE w.org_id = d.org_id
                      AND w.receiving_account_id = d.receiving_account_id)
"""
# I12: what a credit has in bank clearing is its amount while no line proves it, then nothing. Of
# money from before the books no posting names the credit. A go-live takes clearing away and puts
# it back beside the credits' own postings.
CLEARING_IS_WHAT_NO_LINE_PROVES: Final = """
    SELECT org_id, item_id AS credit_id, sum(posted_vnd) AS posted_vnd, sum(said_vnd) AS said_vnd
    FROM (
        SELECT org_id, item_id, 1 AS in_books, amount_vnd AS posted_vnd, 0 AS said_vnd
        FROM postings WHERE item_id IS NOT NULL AND debit_code = 'bank_clearing'
          AND cause_kind NOT IN ('proof_reversal', 'opening_balance', 'opening_balance_reversal')
        UNION ALL
        SELECT org_id, item_id, 0, amount_vnd, 0
        FROM postings WHERE item_id IS NOT NULL AND debit_code = 'bank_clearing'
          AND cause_kind = 'proof_reversal'
        UNION ALL
        SELECT org_id, item_id, 0, -amount_vnd, 0
        FROM postings WHERE item_id IS NOT NULL AND credit_code = 'bank_clearing'
          AND cause_kind NOT IN ('opening_balance', 'opening_balance_reversal')
        UNION ALL
        SELECT org_id, id, 0, 0, amount_vnd FROM bank_transactions WHERE direction = 'in'
        UNION ALL
        SELECT org_id, credit_id, 0, 0, -amount_vnd FROM proofs
        WHERE reversed_at IS NULL AND credit_id IS NOT NULL
        UNION ALL
        SELECT c.org_id, c.id, 0, 0, -c.amount_vnd
        FROM matches m JOIN bank_transactions c ON (c.org_id, c.id) = (m.org_id, m.credit_id)
        WHERE m.reversed_at IS NULL AND m.verdict = 'same_money') AS all_of_it
    GROUP BY org_id, item_id
    HAVING sum(in_books) > 0 AND sum(posted_vnd) <> sum(said_vnd)
"""

STATEMENT_INVARIANTS: Final[dict[str, str]] = {
    "lines_agree_with_their_proofs": LINES_AGREE_WITH_THEIR_PROOFS,
    "a_proof_posts_once": A_PROOF_POSTS_ONCE,
    "proofs_are_of_one_account": PROOFS_ARE_OF_ONE_ACCOUNT,
    "statements_chain": STATEMENTS_CHAIN,
    "clearing_is_what_no_line_proves": CLEARING_IS_WHAT_NO_LINE_PROVES,
}
