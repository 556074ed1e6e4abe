"""Invariant I13: each settled posting is in exactly one statement, which says what they sum to.

Postings lie in a statement by their day; what was posted before the books lies in none.
"""

from typing import Final

# A statement that is not discarded owns its period, and nothing else does. A payee's periods follow
# one another without a gap or an overlap, and each ends on a closed day.
SETTLEMENTS_OWN_THEIR_DAYS: Final = """
    SELECT s.org_id, s.id AS settlement_id, s.status, NULL::date AS last_day
    FROM settlements s
    LEFT JOIN settlement_periods p ON (p.org_id, p.settlement_id) = (s.org_id, s.id)
    WHERE (s.status = 'discarded') <> (p.settlement_id IS NULL)
    UNION ALL
    SELECT one.org_id, one.settlement_id, 'does not follow', one.last_day
    FROM (
        SELECT p.*, lag(p.last_day) OVER w AS before_day
        FROM settlement_periods p
        WINDOW w AS (PARTITION BY p.org_id, p.payee_id ORDER BY p.last_day)) AS one
    LEFT JOIN ledger_books b ON b.org_id = one.org_id
    WHERE one.before_day IS DISTINCT FROM one.previous_last_day
       OR one.first_day <= one.before_day OR one.first_day <> one.before_day + 1
       OR b.closed_through IS NULL OR one.last_day > b.closed_through
"""
# The postings of each payee's takings are summed by day once, then by the periods that hold them.
# What was written off is on takings, too, and beside the gross amount.
SETTLEMENTS_FOLLOW_FROM_POSTINGS: Final = """
    WITH days AS (
        SELECT leg.org_id, leg.payee_id, leg.day, leg.is_refund,
               sum(leg.credited_vnd) AS credited_vnd, sum(leg.debited_vnd) AS debited_vnd,
               count(*) AS postings
        FROM (
            SELECT org_id, credit_subject_id AS payee_id, day,
                   cause_kind IN ('refund', 'refund_reversal') AS is_refund,
                   amount_vnd AS credited_vnd, 0 AS debited_vnd
            FROM postings WHERE credit_code = 'takings'
            UNION ALL
            SELECT org_id, debit_subject_id, day, cause_kind IN ('refund', 'refund_reversal'),
                   0, amount_vnd
            FROM postings WHERE debit_code = 'takings') AS leg
        WHERE EXISTS (SELECT FROM settlement_periods)
        GROUP BY leg.org_id, leg.payee_id, leg.day, leg.is_refund
    ), posted AS (
        SELECT p.org_id, p.settlement_id, d.is_refund, sum(d.credited_vnd) AS credited_vnd,
               sum(d.debited_vnd) AS debited_vnd, sum(d.postings) AS postings
        FROM settlement_periods p
        JOIN days d ON (d.org_id, d.payee_id) = (p.org_id, p.payee_id)
         AND d.day >= p.first_day AND d.day <= p.last_day
        GROUP BY p.org_id, p.settlement_id, d.is_refund
    ), said AS (
        SELECT l.org_id, l.settlement_id, l.line = 'refund' AS is_refund,
               sum(l.credited_vnd) AS credited_vnd, sum(l.debited_vnd) AS debited_vnd,
               sum(l.credited_vnd - l.debited_vnd)
                   FILTER (WHERE l.line = 'written_off') AS given_up_vnd,
               sum(l.postings) AS postings
        FROM settlement_lines l
        JOIN settlements s ON (s.org_id, s.id) = (l.org_id, l.settlement_id)
        WHERE s.status <> 'discarded' AND s.drafted_at IS NOT NULL
        GROUP BY l.org_id, l.settlement_id, l.line = 'refund'
    )
    SELECT s.org_id, s.id AS settlement_id, s.number, kind.is_refund,
           coalesce(posted.credited_vnd, 0) - coalesce(posted.debited_vnd, 0) AS posted_vnd,
           coalesce(said.credited_vnd, 0) - coalesce(said.debited_vnd, 0) AS said_vnd,
           coalesce(posted.postings, 0) AS postings, coalesce(said.postings, 0) AS said_postings
    FROM settlements s
    CROSS JOIN (VALUES (false), (true)) AS kind (is_refund)
    LEFT JOIN posted ON (posted.org_id, posted.settlement_id, posted.is_refund)
                      = (s.org_id, s.id, kind.is_refund)
    LEFT JOIN said ON (said.org_id, said.settlement_id, said.is_refund)
                    = (s.org_id, s.id, kind.is_refund)
    WHERE s.status <> 'discarded' AND s.drafted_at IS NOT NULL
      AND ((coalesce(posted.credited_vnd, 0), coalesce(posted.debited_vnd, 0),
            coalesce(posted.postings, 0))
           <> (coalesce(said.credited_vnd, 0), coalesce(said.debited_vnd, 0),
               coalesce(said.postings, 0))
           OR coalesce(said.credited_vnd, 0) - coalesce(said.debited_vnd, 0)
              <> CASE WHEN kind.is_refund THEN -s.refunds_vnd
                      ELSE s.gross_vnd + coalesce(said.given_up_vnd, 0) END)
"""
# What is left is somebody's to the đồng.
SETTLEMENTS_ARE_DIVIDED_WHOLE: Final = """
    SELECT s.org_id, s.id AS settlement_id, s.net_vnd, s.payee_vnd
    FROM settlements s
    WHERE s.drafted_at IS NOT NULL
      AND (s.net_vnd <> s.payee_vnd + coalesce((
               SELECT sum(CAST(one->>'amount_vnd' AS bigint))
               FROM jsonb_array_elements(s.shares) AS one), 0)
           OR s.charges_vnd <> coalesce((
               SELECT sum(CAST(one->>'amount_vnd' AS bigint))
               FROM jsonb_array_elements(s.charges) AS one), 0))
"""

SETTLEMENT_INVARIANTS: Final[dict[str, str]] = {
    "settlements_own_their_days": SETTLEMENTS_OWN_THEIR_DAYS,
    "settlements_follow_from_postings": SETTLEMENTS_FOLLOW_FROM_POSTINGS,
    "settlements_are_divided_whole": SETTLEMENTS_ARE_DIVIDED_WHOLE,
}
