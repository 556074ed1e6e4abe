"""Books with a long past: millions of payments written by SQL, as the hub would have left them."""

import psycopg

from tests.world.constants import NOON
from tests.world.stalls import PayableStall

# Written in bulk past triggers and foreign keys, which hold by construction. Of every ten payments
# one is a counter sale, one pays a bill too much, and the others pay a bill exactly. Ids rise with
# time, as the hub's do.
AN_ID = "CAST(lpad(to_hex(n), 8, '0') || '-0000-7000-8000-{:012d}' AS uuid)"
BILL, NOTICE, CREDIT, MATCH, PAID, OVER, BREAK, PAYMENT = (AN_ID.format(kind) for kind in range(8))
AT = "CAST(%(noon)s AS timestamptz) - (%(count)s - n) * interval '1 second'"
GROW = f"""
    CREATE TEMPORARY TABLE past AS
    SELECT n, {BILL} AS bill_id, {NOTICE} AS notice_id, {CREDIT} AS credit_id,
           {MATCH} AS match_id, {PAYMENT} AS payment_id, {AT} AS at,
           mod(n, 10) = 0 AS is_sale, mod(n, 10) = 1 AS is_over,
           1000 + mod(n, 9000) AS amount_vnd
    FROM generate_series(1, %(count)s) AS n;

    INSERT INTO ledger_accounts
    SELECT %(org)s, code,
           CASE code WHEN 'takings' THEN CAST(%(payee)s AS uuid) ELSE %(account)s END, %(noon)s
    FROM unnest(ARRAY['bank_clearing', 'takings', 'unapplied_cash']) AS code
    ON CONFLICT DO NOTHING;

    INSERT INTO bills (
        org_id, id, link_id, payee_id, receiving_account_id, rail, reference, public_token,
        amount_vnd, paid_vnd, received_vnd, purpose, status, created_by, created_at, expires_at,
        monitor_until, paid_at)
    SELECT %(org)s, bill_id,
           (SELECT id FROM payee_accounts WHERE (org_id, payee_id) = (%(org)s, %(payee)s)),
           %(payee)s, %(account)s, 'vietqr',
           'PP' || lpad(CAST(n AS text), 11, '0'), lpad(CAST(n AS text), 22, '0'),
           amount_vnd, amount_vnd, amount_vnd + CASE WHEN is_over THEN 500 ELSE 0 END, 'past',
           CASE WHEN is_over THEN 'over_paid' ELSE 'paid' END, %(payee)s, at, at, at, at
    FROM past WHERE NOT is_sale;

    INSERT INTO bank_transactions (
        org_id, id, receiving_account_id, direction, bank_reference, provider,
        provider_transaction_id, notice_id, memo, amount_vnd, open_vnd, is_date_only, occurred_at,
        received_at)
    SELECT %(org)s, credit_id, %(account)s, 'in', 'PAST' || n, 'sepay', 'past-' || n, notice_id,
           'past', amount_vnd + CASE WHEN is_over THEN 500 ELSE 0 END,
           CASE WHEN is_over THEN 500 ELSE 0 END, false, at, at
    FROM past;

    INSERT INTO notices (
        org_id, id, endpoint_id, provider, source, body, headers, received_at, handled_at, outcome,
        next_attempt_at)
    SELECT %(org)s, notice_id, %(endpoint)s, 'sepay', 'callback',
           convert_to(repeat('past', 50), 'UTF8'), '{{}}', at, at,
           CASE WHEN is_sale THEN 'counter_sale' WHEN is_over THEN 'over' ELSE 'settle' END, at
    FROM past;

    INSERT INTO payments (
        org_id, id, bill_id, rail, source_kind, source_id, amount_vnd, refundable_vnd, occurred_at,
        recorded_at)
    SELECT %(org)s, payment_id, bill_id, 'vietqr', 'credit', credit_id, amount_vnd, amount_vnd, at,
           at
    FROM past WHERE NOT is_sale;

    INSERT INTO matches (
        org_id, id, credit_id, bill_id, payee_id, rule, verdict, reason, reason_facts,
        applied_vnd, is_late, matched_at)
    SELECT %(org)s, match_id, credit_id, CASE WHEN NOT is_sale THEN bill_id END, %(payee)s,
           CASE WHEN is_sale THEN 'sole_payee' ELSE 'memo_exact' END,
           CASE WHEN is_sale THEN 'counter_sale' WHEN is_over THEN 'over' ELSE 'settle' END,
           CASE WHEN is_sale THEN 'sole_payee' ELSE 'bill_found' END, '{{}}', amount_vnd, false, at
    FROM past;

    INSERT INTO match_legs (org_id, id, match_id, credit_id, bill_id, applied_vnd)
    SELECT %(org)s, payment_id, match_id, credit_id, bill_id, amount_vnd
    FROM past WHERE NOT is_sale;

    INSERT INTO postings (
        org_id, id, debit_code, debit_subject_id, credit_code, credit_subject_id, amount_vnd,
        cause_kind, cause_id, step, effective_at, posted_at, day, item_id)
    SELECT %(org)s, {PAID}, 'bank_clearing', CAST(%(account)s AS uuid), 'takings',
           CAST(%(payee)s AS uuid), amount_vnd, CASE WHEN is_sale THEN 'match' ELSE 'payment' END,
           CASE WHEN is_sale THEN match_id ELSE payment_id END, 0, at, at,
           CAST(at AT TIME ZONE 'Asia/Ho_Chi_Minh' AS date), credit_id
    FROM past
    UNION ALL
    SELECT %(org)s, {OVER}, 'bank_clearing', %(account)s, 'unapplied_cash', %(account)s, 500,
           'match', match_id, 0, at, at, CAST(at AT TIME ZONE 'Asia/Ho_Chi_Minh' AS date), credit_id
    FROM past WHERE is_over;

    INSERT INTO breaks (
        org_id, id, kind, subject_id, credit_id, bill_id, amount_vnd, reason, reason_facts,
        opened_at)
    SELECT %(org)s, {BREAK}, 'refund_due', credit_id, credit_id, bill_id, 500, 'bill_found', '{{}}',
           at
    FROM past WHERE is_over;
"""
TABLES = (
    "bills",
    "notices",
    "bank_transactions",
    "matches",
    "match_legs",
    "payments",
    "postings",
    "breaks",
    "ledger_accounts",
)


def grow_books(superuser_url: str, stall: PayableStall, count: int) -> None:
    """Give a stall so many past payments, a second apart, and analyse the tables."""
    values = {
        "org": stall.org.id,
        "payee": stall.payee_id,
        "account": stall.account_id,
        "endpoint": stall.endpoint_id,
        "count": count,
        "noon": NOON,
    }
    with psycopg.connect(superuser_url, cursor_factory=psycopg.ClientCursor) as past:
        past.execute("SET session_replication_role = replica")
        past.execute(GROW, values)
    with psycopg.connect(superuser_url, autocommit=True) as after:
        after.execute("VACUUM ANALYZE " + ", ".join(TABLES))
