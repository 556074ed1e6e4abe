"""SQL of sales.py: what a stall took."""

from sqlalchemy import text

_SELECT = """
    SELECT c.id, c.receiving_account_id, c.amount_vnd, c.payer_name, c.memo, c.occurred_at,
           c.received_at, m.verdict, m.rule, {applied_vnd}, m.is_late, m.payee_id, m.bill_id,
           b.reference, b.status, b.amount_vnd, b.paid_vnd, b.received_vnd, b.purpose,
           CASE WHEN s.status IN ('open', 'part_paid') THEN s.id END, s.reference, s.purpose
    FROM matches m
    JOIN bank_transactions c ON c.org_id = m.org_id AND c.id = m.credit_id
    {join_share}
    LEFT JOIN bills b ON b.org_id = m.org_id AND b.id = {bill_id}
    LEFT JOIN bills s ON s.org_id = m.org_id AND s.id = m.suggested_bill_id
    WHERE m.org_id = :org_id AND m.reversed_at IS NULL AND m.verdict <> 'account_test'
"""
_SALES = _SELECT.format(applied_vnd="m.applied_vnd", bill_id="m.bill_id", join_share="")
# A stall sees what is its own, and what nobody was given yet on the accounts that it shares.
_IS_OWN = " AND m.payee_id = :payee_id"
_IS_ANYONES = """
      AND m.payee_id IS NULL AND c.receiving_account_id IN (
          SELECT receiving_account_id FROM payee_accounts
          WHERE org_id = :org_id AND payee_id = :payee_id AND status IN ('active', 'former'))
"""
# A day of one stall is found by when its payments were matched (ix_matches_payee): nothing older is
# read. Each half by itself, since an OR of the two would read everybody's.
_OF_DAY = """
      AND m.matched_at >= :matched_since
      AND c.received_at >= :since AND c.received_at < :until
    ORDER BY c.received_at DESC, c.id DESC LIMIT :limit
"""
LIST_SALES = text(
    f"({_SALES} {_IS_OWN} {_OF_DAY}) UNION ALL ({_SALES} {_IS_ANYONES} {_OF_DAY})"
    " ORDER BY received_at DESC, id DESC LIMIT :limit"
)
# Also what is spread over several bills, this one among them: their match names none, and what is
# applied is this bill's share.
_SALES_OF_BILL = _SELECT.format(
    applied_vnd="coalesce(l.applied_vnd, m.applied_vnd)",
    bill_id="coalesce(m.bill_id, l.bill_id)",
    join_share="""LEFT JOIN match_legs l ON l.org_id = m.org_id AND l.match_id = m.id
        AND l.bill_id = :bill_id AND l.reversed_at IS NULL""",
)
_IS_FOR_BILL = """
      AND m.id IN (
          SELECT id FROM matches WHERE org_id = :org_id AND bill_id = :bill_id
          UNION
          SELECT match_id FROM match_legs WHERE org_id = :org_id AND bill_id = :bill_id)
"""
LIST_OF_BILL = text(_SALES_OF_BILL + _IS_FOR_BILL + " ORDER BY m.matched_at, m.id LIMIT :limit")
FIND_SALE = text(
    f"{_SALES} {_IS_OWN} AND m.credit_id = :credit_id"
    f" UNION ALL {_SALES} {_IS_ANYONES} AND m.credit_id = :credit_id"
)
_COUNT_SALES = """
    SELECT count(*) FROM matches m
    JOIN bank_transactions c ON c.org_id = m.org_id AND c.id = m.credit_id
    WHERE m.org_id = :org_id AND m.reversed_at IS NULL
      AND m.verdict IN ('settle', 'part', 'over', 'split', 'counter_sale')
      AND c.received_at >= :since AND c.received_at < :until
"""
COUNT_SALES = text(f"{_COUNT_SALES} AND m.payee_id = :payee_id AND m.matched_at >= :matched_since")
COUNT_ALL_SALES = text(_COUNT_SALES)  # by ix_bank_transactions_received
