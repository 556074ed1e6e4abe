"""The past of a city: payments of forty days in every table, written by SQL as the hub leaves them.

Half of them were paid in the first market, the others in the markets beside it. A quarter of each
is one payee's that has one price, as a parking lot or a toilet has. Every statement
makes the rows of one table out of the temporary table `past`, one row per payment. A new table of
the hub gets its statement in HISTORY, and nothing else changes.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import psycopg

DAYS: Final = 40

# Ids rise with time, as the hub's do; the kind keeps apart what was made in one millisecond.
_ID: Final = (
    "CAST(lpad(to_hex(CAST(extract(epoch FROM {at}) * 1000 AS bigint)), 12, '0')"
    " || '-7{kind:03x}-8000-' || lpad(to_hex(p.n), 12, '0') AS uuid)"
)


def _id(kind: int, at: str = "p.at") -> str:
    return _ID.format(kind=kind, at=at)


DAY: Final = "CAST(p.at AT TIME ZONE 'Asia/Ho_Chi_Minh' AS date)"
OPENED: Final = "p.at - interval '90 seconds'"
BILL, NOTICE, CREDIT = _id(1, OPENED), _id(2), _id(3)
MATCH, SECOND_MATCH, PAID, SURPLUS, EVENT = _id(4), _id(5), _id(6), _id(7), _id(8)
BREAK, UNPAID_BILL, REPEAT, REJECTION, AUDIT = _id(9), _id(10), _id(11), _id(12), _id(13)
AGAIN, PAYMENT = _id(14), _id(15)

# Of a thousand payments 100 are counter sales, 20 pay too much, 10 a part, 2 name no known bill and
# 3 were taken out of the takings later; the others pay their bill. A hundred bills are not paid.
MAKE_PAST: Final = f"""
    CREATE TEMPORARY TABLE past AS
    SELECT n, s.org_id, s.link_id, s.payee_id, s.account_id, s.endpoint_id, s.place,
           now() - make_interval(days => {DAYS})
               + (n - CAST(%(first)s AS bigint)) * (interval '{DAYS} days' / %(count)s) AS at,
           CASE WHEN s.number = 0 THEN 10000 ELSE 10000 + 1000 * mod(n, 90) END AS amount_vnd,
           CASE WHEN mod(n, 1000) < 100 THEN 'counter_sale' WHEN mod(n, 1000) < 120 THEN 'over'
                WHEN mod(n, 1000) < 130 THEN 'part' WHEN mod(n, 1000) < 132 THEN 'no_bill'
                WHEN mod(n, 1000) < 135 THEN 'not_takings' ELSE 'settle' END AS verdict
    FROM generate_series(%(first)s, %(first)s + %(count)s - 1) AS n
    JOIN past_stalls s ON s.number = CASE
        WHEN mod(n, 4) = 0 THEN 0 ELSE mod(n, (SELECT count(*) FROM past_stalls)) END
"""
HAS_BILL: Final = "p.verdict IN ('settle', 'over', 'part')"
REASON: Final = f"""
    CASE WHEN {HAS_BILL} THEN 'bill_found' WHEN p.verdict = 'no_bill' THEN 'no_such_bill'
         ELSE 'sole_payee' END"""
REASON_FACTS: Final = f"""
    CASE WHEN {HAS_BILL} THEN jsonb_build_object(
             'reference', 'PP' || lpad(CAST(p.n AS text), 11, '0'), 'rule', 'memo_exact',
             'bill_status', 'open')
         WHEN p.verdict = 'no_bill' THEN jsonb_build_object(
             'named', 'PP' || lpad(CAST(p.n AS text), 11, '0'))
         ELSE '{{}}' END"""

# Table → what fills it, in an order of their own: the checks of foreign keys are off.
HISTORY: Final[dict[str, str]] = {
    "ledger_accounts": """
        INSERT INTO ledger_accounts (org_id, code, subject_id, opened_at)
        SELECT s.org_id, k.code,
               CASE WHEN k.code IN ('takings', 'not_takings') THEN s.payee_id ELSE s.account_id END,
               now()
        FROM past_stalls s
        CROSS JOIN unnest(
            ARRAY['bank_clearing', 'takings', 'not_takings', 'unapplied_cash']) AS k (code)
        ON CONFLICT DO NOTHING
    """,
    "bills": f"""
        INSERT INTO bills (
            org_id, id, link_id, payee_id, receiving_account_id, rail, reference, public_token,
            amount_vnd, paid_vnd, received_vnd, purpose, external_id, status, created_by,
            created_at, expires_at, monitor_until, paid_at, cancelled_at)
        SELECT p.org_id, {BILL}, p.link_id, p.payee_id, p.account_id, 'vietqr',
               'PP' || lpad(CAST(p.n AS text), 11, '0'),
               'past-' || lpad(CAST(p.n AS text), 17, '0'),
               CASE p.verdict WHEN 'part' THEN 2 ELSE 1 END * p.amount_vnd, p.amount_vnd,
               p.amount_vnd + CASE p.verdict WHEN 'over' THEN 5000 ELSE 0 END, 'Phở bò',
               CASE WHEN mod(p.n, 2) = 0 THEN 'past-' || p.n END,
               CASE p.verdict WHEN 'settle' THEN 'paid' WHEN 'over' THEN 'over_paid'
                              ELSE 'part_paid' END,
               p.payee_id, {OPENED}, p.at + interval '15 minutes', p.at + interval '1 day',
               CASE WHEN p.verdict <> 'part' THEN p.at END, NULL
        FROM past p WHERE {HAS_BILL}
        UNION ALL
        SELECT p.org_id, {UNPAID_BILL}, p.link_id, p.payee_id, p.account_id, 'vietqr',
               'PPX' || lpad(CAST(p.n AS text), 10, '0'),
               'gone-' || lpad(CAST(p.n AS text), 17, '0'), p.amount_vnd, 0, 0, 'Phở gà', NULL,
               CASE WHEN mod(p.n, 100) = 7 THEN 'cancelled' ELSE 'expired' END, p.payee_id, p.at,
               p.at + interval '15 minutes', p.at + interval '1 day', NULL,
               CASE WHEN mod(p.n, 100) = 7 THEN p.at END
        FROM past p WHERE mod(p.n, 10) = 7
    """,
    "idempotency_keys": f"""
        INSERT INTO idempotency_keys (
            org_id, route, key, body_hash, status, resource_id, created_at)
        SELECT p.org_id, 'bills', 'past-' || p.n,
               sha256(CAST('past-' || p.n AS bytea)), 201, {BILL}, {OPENED}
        FROM past p WHERE {HAS_BILL}
    """,
    "notices": f"""
        INSERT INTO notices (
            org_id, id, endpoint_id, provider, source, body, headers, skew_s, received_at,
            handled_at, outcome, attempts, next_attempt_at)
        SELECT p.org_id, reported.id, p.endpoint_id, 'sepay', 'callback',
               convert_to(repeat('x', 330), 'UTF8'),
               '{{"user-agent": "SePay-Webhook/1.0", "content-type": "application/json"}}', 0,
               p.at, p.at, reported.outcome, 1, p.at
        FROM past p
        CROSS JOIN LATERAL (
            SELECT {NOTICE} AS id, p.verdict AS outcome
            UNION ALL
            SELECT {REPEAT}, 'repeat' WHERE mod(p.n, 33) = 0) AS reported
    """,
    "rejections": f"""
        INSERT INTO rejections (
            org_id, id, endpoint_id, refusal, detail, body_start, received_at)
        SELECT p.org_id, {REJECTION}, p.endpoint_id, 'bad_signature', 'signature_differs', 'x', p.at
        FROM past p WHERE mod(p.n, 200) = 0
    """,
    "bank_transactions": f"""
        INSERT INTO bank_transactions (
            org_id, id, receiving_account_id, direction, bank_reference, is_first_of_reference,
            provider, provider_transaction_id, notice_id, memo, amount_vnd, open_vnd,
            payer_name, is_date_only, occurred_at, received_at)
        SELECT p.org_id, {CREDIT}, p.account_id, 'in', 'PAST' || lpad(CAST(p.n AS text), 12, '0'),
               true, 'sepay', 'past-' || p.n, {NOTICE},
               'PP' || lpad(CAST(p.n AS text), 11, '0') || ' FT26332   Ma giao dich Trace123456',
               p.amount_vnd + CASE p.verdict WHEN 'over' THEN 5000 ELSE 0 END,
               CASE p.verdict WHEN 'over' THEN 5000 WHEN 'no_bill' THEN p.amount_vnd ELSE 0 END,
               NULL, false,
               {OPENED}, p.at
        FROM past p
    """,
    "matches": f"""
        INSERT INTO matches (
            org_id, id, credit_id, bill_id, payee_id, rule, verdict, reason, reason_facts,
            applied_vnd, is_late, matched_by, matched_at, reversed_by, reversed_at)
        SELECT p.org_id, {MATCH}, {CREDIT}, CASE WHEN {HAS_BILL} THEN {BILL} END,
               CASE WHEN p.verdict <> 'no_bill' THEN p.payee_id END,
               CASE WHEN {HAS_BILL} THEN 'memo_exact' ELSE 'sole_payee' END,
               CASE p.verdict WHEN 'not_takings' THEN 'counter_sale' ELSE p.verdict END,
               {REASON}, {REASON_FACTS},
               CASE p.verdict WHEN 'no_bill' THEN 0 ELSE p.amount_vnd END, false, NULL, p.at,
               CASE p.verdict WHEN 'not_takings' THEN p.payee_id END,
               CASE p.verdict WHEN 'not_takings' THEN p.at + interval '1 hour' END
        FROM past p
        UNION ALL
        SELECT p.org_id, {SECOND_MATCH}, {CREDIT}, NULL, p.payee_id, 'not_takings',
               'not_takings', 'not_takings_by', '{{"by": "past"}}', p.amount_vnd, false,
               p.payee_id, p.at + interval '1 hour', NULL, NULL
        FROM past p WHERE p.verdict = 'not_takings'
    """,
    "payments": f"""
        INSERT INTO payments (
            org_id, id, bill_id, rail, source_kind, source_id, amount_vnd, occurred_at, recorded_at,
            refundable_vnd)
        SELECT p.org_id, {PAYMENT}, {BILL}, 'vietqr', 'credit', {CREDIT}, p.amount_vnd, {OPENED},
               p.at, p.amount_vnd
        FROM past p WHERE {HAS_BILL}
    """,
    "match_legs": f"""
        INSERT INTO match_legs (org_id, id, match_id, credit_id, bill_id, applied_vnd)
        SELECT p.org_id, {PAYMENT}, {MATCH}, {CREDIT}, {BILL}, p.amount_vnd
        FROM past p WHERE {HAS_BILL}
    """,
    "postings": f"""
        INSERT INTO postings (
            org_id, id, debit_code, debit_subject_id, credit_code, credit_subject_id, amount_vnd,
            cause_kind, cause_id, step, effective_at, posted_at, day, item_id)
        SELECT p.org_id, {PAID}, 'bank_clearing', p.account_id,
               CASE p.verdict WHEN 'no_bill' THEN 'unapplied_cash' ELSE 'takings' END,
               CASE p.verdict WHEN 'no_bill' THEN p.account_id ELSE p.payee_id END,
               p.amount_vnd, CASE WHEN {HAS_BILL} THEN 'payment' ELSE 'match' END,
               CASE WHEN {HAS_BILL} THEN {PAYMENT} ELSE {MATCH} END, 0, p.at, p.at,
               {DAY}, {CREDIT}
        FROM past p
        UNION ALL
        SELECT p.org_id, {SURPLUS}, 'bank_clearing', p.account_id, 'unapplied_cash', p.account_id,
               5000, 'match', {MATCH}, 0, p.at, p.at, {DAY}, {CREDIT}
        FROM past p WHERE p.verdict = 'over'
        UNION ALL
        SELECT p.org_id, again.id, again.debit_code, again.debit_id, again.credit_code,
               again.credit_id, p.amount_vnd, again.cause_kind, again.cause_id, 0, p.at,
               p.at + interval '1 hour', {DAY}, {CREDIT}
        FROM past p
        CROSS JOIN LATERAL (VALUES
            ({SURPLUS}, 'takings', p.payee_id, 'bank_clearing', p.account_id, 'match_reversal',
             {MATCH}),
            ({AGAIN}, 'bank_clearing', p.account_id, 'not_takings', p.payee_id, 'match',
             {SECOND_MATCH})) AS again (
            id, debit_code, debit_id, credit_code, credit_id, cause_kind, cause_id)
        WHERE p.verdict = 'not_takings'
    """,
    "events": f"""
        INSERT INTO events (
            org_id, id, kind, payee_id, receiving_account_id, bill_id, data, recorded_at)
        SELECT p.org_id, {EVENT},
               CASE WHEN {HAS_BILL} THEN 'bill.paid' ELSE 'counter_sale.received' END, p.payee_id,
               p.account_id, CASE WHEN {HAS_BILL} THEN {BILL} END,
               jsonb_build_object(
                   'rule', 'memo_exact', 'memo', repeat('x', 55), 'credit_id', {CREDIT},
                   'is_late', false, 'verdict', p.verdict, 'paid_vnd', p.amount_vnd,
                   'amount_vnd', p.amount_vnd, 'applied_vnd', p.amount_vnd, 'payer_name', NULL),
               p.at
        FROM past p
    """,
    "breaks": f"""
        INSERT INTO breaks (
            org_id, id, kind, subject_id, credit_id, bill_id, amount_vnd, reason, reason_facts,
            opened_at, closed_at, closed_by, resolution)
        SELECT p.org_id, {BREAK},
               CASE p.verdict WHEN 'over' THEN 'refund_due' ELSE 'unknown_reference' END,
               {CREDIT}, {CREDIT}, CASE p.verdict WHEN 'over' THEN {BILL} END,
               CASE p.verdict WHEN 'over' THEN 5000 ELSE p.amount_vnd END,
               {REASON}, {REASON_FACTS}, p.at,
               CAST(NULL AS timestamptz), CAST(NULL AS uuid), NULL
        FROM past p WHERE p.verdict IN ('over', 'no_bill')
        UNION ALL
        SELECT p.org_id, {BREAK}, 'unknown_account', {NOTICE}, NULL, NULL, NULL,
               'account_not_listed', '{{"account": "…0011"}}', p.at,
               p.at + interval '3 hours', p.payee_id, 'looked'
        FROM past p WHERE mod(p.n, 1000) = 500
    """,
    "audit_log": f"""
        INSERT INTO audit_log (
            org_id, id, actor_kind, actor_id, actor_name, action, object_kind, object_id, before,
            after, reason, request_id, recorded_at)
        SELECT p.org_id, {AUDIT}, 'staff', p.payee_id, 'Người của ' || p.place, 'bill.cancelled',
               'bill', {UNPAID_BILL}, '{{"status": "open"}}', '{{"status": "cancelled"}}', NULL,
               'past', p.at
        FROM past p WHERE mod(p.n, 100) = 7
    """,
}

MAKE_STALLS: Final = """
    CREATE TEMPORARY TABLE past_stalls (
        number bigint, org_id uuid, link_id uuid, payee_id uuid, account_id uuid, endpoint_id uuid,
        place text)
"""
FILL_STALLS: Final = """
    INSERT INTO past_stalls
    SELECT row_number() OVER (ORDER BY l.org_id, l.id) - 1, l.org_id, l.id, l.payee_id,
           l.receiving_account_id, e.id, p.place
    FROM payee_accounts l
    JOIN payees p ON p.org_id = l.org_id AND p.id = l.payee_id
    JOIN callback_endpoints e ON e.org_id = l.org_id
    WHERE l.org_id = ANY(%(org_ids)s) AND l.status = 'active'
"""


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Payments `first` to `first + count - 1`, in these organisations."""

    org_ids: Sequence[UUID]
    first: int
    count: int


def write_history(superuser_url: str, org_ids: Sequence[UUID], payments: int) -> None:
    """Give organisations this many past payments, half of them the first one; analyse it all.

    Args:
        org_ids: each has stalls with accounts in force, and one callback endpoint.
    """
    half = payments // 2
    parts = [
        _Part(org_ids=org_ids[:1], first=1, count=half),
        _Part(org_ids=org_ids[1:], first=half + 1, count=payments - half),
    ]
    with ThreadPoolExecutor(len(parts)) as writers:
        for done in [writers.submit(_write_part, superuser_url, part) for part in parts]:
            done.result()
    with psycopg.connect(superuser_url, autocommit=True) as after:
        after.execute("VACUUM (ANALYZE, PARALLEL 2) " + ", ".join(HISTORY))
        after.execute("CHECKPOINT")  # what was written does not disturb what is measured


def _write_part(superuser_url: str, part: _Part) -> None:
    with psycopg.connect(superuser_url, cursor_factory=psycopg.ClientCursor) as past:
        past.execute("SET session_replication_role = replica")  # foreign keys hold as written
        past.execute("SET LOCAL synchronous_commit = off")
        past.execute(MAKE_STALLS)
        past.execute(FILL_STALLS, {"org_ids": list(part.org_ids)})
        past.execute(MAKE_PAST, {"first": part.first, "count": part.count})
        past.execute("ANALYZE past")
        for statement in HISTORY.values():
            past.execute(statement)
