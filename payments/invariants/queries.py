"""Invariants: what must always hold in the books, checked in plain SQL (docs/reliability.md).

They know nothing of the code that wrote the rows. The worker checks them in the running hub, a
restore in what it restored, and the tests after every step.

Each statement returns a row per violation: the organisation first (NULL where the schema itself is
wrong), then the evidence. Each reads whole tables once and compares sums, so that its time grows
with the rows and not with their square.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime
from itertools import product
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import day_bounds, hanoi_day
from core.database_connections import patient
from core.ids import first_id_at, instant_of
from payments.breaks.rules import BreakKind
from payments.invariants.closing import CLOSING_INVARIANTS
from payments.invariants.parking import BY_DAY, PARKING_INVARIANTS
from payments.invariants.rules import ALARM_KINDS
from payments.invariants.settlements import SETTLEMENT_INVARIANTS
from payments.invariants.statements import STATEMENT_INVARIANTS
from payments.invariants.timed import TIMED_INVARIANTS

# Per account: what the credits report, and no statement line has proved, is in bank clearing, to
# the đồng. What a person confirmed to be the same money as another credit posts nothing. A go-live
# takes all clearing away that was before it; what it puts back is still the credit's.
BANK_CLEARING_EQUALS_UNPROVED_CREDITS: Final = """
    SELECT org_id, account_id, sum(reported_vnd) AS reported_vnd, sum(posted_vnd) AS posted_vnd
    FROM (
        SELECT org_id, receiving_account_id AS account_id, amount_vnd AS reported_vnd,
               0 AS posted_vnd
        FROM bank_transactions WHERE direction = 'in'
        UNION ALL
        SELECT c.org_id, c.receiving_account_id, -c.amount_vnd, 0
        FROM matches m JOIN bank_transactions c ON (c.org_id, c.id) = (m.org_id, m.credit_id)
        WHERE m.reversed_at IS NULL AND m.verdict = 'same_money'
        UNION ALL
        SELECT l.org_id, l.receiving_account_id, -p.amount_vnd, 0
        FROM proofs p JOIN statement_lines l ON (l.org_id, l.id) = (p.org_id, p.line_id)
        WHERE p.reversed_at IS NULL AND p.credit_id IS NOT NULL
        UNION ALL
        SELECT org_id, debit_subject_id, 0, amount_vnd
        FROM postings WHERE debit_code = 'bank_clearing'
          AND cause_kind NOT IN ('opening_balance', 'opening_balance_reversal')
        UNION ALL
        SELECT org_id, credit_subject_id, 0, -amount_vnd
        FROM postings WHERE credit_code = 'bank_clearing'
          AND cause_kind NOT IN ('opening_balance', 'opening_balance_reversal')) AS both_sides
    GROUP BY org_id, account_id HAVING sum(reported_vnd) <> sum(posted_vnd)
"""
# I1, I2: per organisation all balances together are zero, and every leg has its account.
ALL_BALANCES_ARE_ZERO: Final = """
    SELECT org_id, sum(net_vnd) AS net_vnd FROM (
        SELECT t.org_id, t.amount_vnd AS net_vnd FROM postings t JOIN ledger_accounts l
          ON (l.org_id, l.code, l.subject_id) = (t.org_id, t.credit_code, t.credit_subject_id)
        UNION ALL
        SELECT t.org_id, -t.amount_vnd FROM postings t JOIN ledger_accounts l
          ON (l.org_id, l.code, l.subject_id) = (t.org_id, t.debit_code, t.debit_subject_id)
    ) AS legs GROUP BY org_id HAVING sum(net_vnd) <> 0
"""
# Money in has one explanation in force; money out has none.
ONE_EXPLANATION_IN_FORCE: Final = """
    SELECT org_id, credit_id, sum(wanted) AS wanted, sum(found) AS found FROM (
        SELECT org_id, id AS credit_id, CASE direction WHEN 'in' THEN 1 ELSE 0 END AS wanted,
               0 AS found
        FROM bank_transactions
        UNION ALL
        SELECT org_id, credit_id, 0, 1 FROM matches WHERE reversed_at IS NULL) AS both_sides
    GROUP BY org_id, credit_id HAVING sum(wanted) <> sum(found)
"""
# I7: a credit posts its amount once, corrections taken off; nothing posts for a missing credit.
A_CREDIT_POSTS_ONCE: Final = """
    SELECT org_id, credit_id, sum(reported_vnd) AS reported_vnd, sum(posted_vnd) AS posted_vnd
    FROM (
        SELECT org_id, id AS credit_id,
               CASE direction WHEN 'in' THEN amount_vnd ELSE 0 END AS reported_vnd, 0 AS posted_vnd
        FROM bank_transactions
        UNION ALL
        SELECT m.org_id, m.credit_id, -c.amount_vnd, 0
        FROM matches m JOIN bank_transactions c ON (c.org_id, c.id) = (m.org_id, m.credit_id)
        WHERE m.reversed_at IS NULL AND m.verdict = 'same_money'
        UNION ALL
        SELECT t.org_id, m.credit_id, 0,
               CASE t.cause_kind WHEN 'match' THEN t.amount_vnd ELSE -t.amount_vnd END
        FROM postings t LEFT JOIN matches m ON (m.org_id, m.id) = (t.org_id, t.cause_id)
        WHERE t.cause_kind IN ('match', 'match_reversal')
        UNION ALL
        SELECT t.org_id, p.source_id, 0,
               CASE t.cause_kind WHEN 'payment' THEN t.amount_vnd ELSE -t.amount_vnd END
        FROM postings t LEFT JOIN payments p ON (p.org_id, p.id) = (t.org_id, t.cause_id)
        WHERE t.cause_kind IN ('payment', 'payment_reversal')
          AND (p.id IS NULL OR p.source_kind = 'credit')) AS both_sides
    GROUP BY org_id, credit_id HAVING sum(reported_vnd) <> sum(posted_vnd)
"""
# I7: what a provider calls one transaction is one credit; a report that a person admitted as
# another transfer is one more.
A_TRANSACTION_IS_ONE_CREDIT: Final = """
    SELECT org_id, receiving_account_id, provider, provider_transaction_id, admitted_from,
           count(*) AS credits
    FROM bank_transactions GROUP BY 1, 2, 3, 4, 5 HAVING count(*) > 1
"""
# I10: what a bill was paid is what its payments say, and its status follows from that; what it
# received is that, with what its credits brought and it did not take.
BILLS_AGREE_WITH_THEIR_PAYMENTS: Final = """
    WITH got AS (
        SELECT org_id, bill_id, sum(paid_vnd) AS paid_vnd, sum(rest_vnd) AS rest_vnd FROM (
            SELECT org_id, bill_id, amount_vnd AS paid_vnd, 0 AS rest_vnd
            FROM payments WHERE reversed_at IS NULL
            UNION ALL
            SELECT m.org_id, m.bill_id, 0, c.amount_vnd - m.applied_vnd
            FROM matches m JOIN bank_transactions c ON (c.org_id, c.id) = (m.org_id, m.credit_id)
            WHERE m.bill_id IS NOT NULL AND m.reversed_at IS NULL) AS both_kinds
        GROUP BY org_id, bill_id
    ), compared AS (
        SELECT b.org_id, b.id, b.reference, b.status, b.amount_vnd, b.paid_vnd, b.received_vnd,
               b.paid_at, coalesce(got.paid_vnd, 0) AS said_vnd,
               coalesce(got.paid_vnd + got.rest_vnd, 0) AS brought_vnd,
               b.status IN ('paid', 'over_paid', 'part_refunded', 'refunded') AS is_paid
        FROM bills b LEFT JOIN got ON (got.org_id, got.bill_id) = (b.org_id, b.id)
    )
    SELECT org_id, reference, status, amount_vnd, paid_vnd, received_vnd, said_vnd, brought_vnd
    FROM compared
    WHERE paid_vnd <> said_vnd OR received_vnd <> brought_vnd OR paid_vnd > amount_vnd
       OR (status = 'over_paid' AND received_vnd <= paid_vnd)
       OR (is_paid AND (paid_vnd = 0 OR paid_vnd <> coalesce(amount_vnd, paid_vnd)))
       OR (status = 'part_paid' AND NOT paid_vnd BETWEEN 1 AND amount_vnd - 1)
       OR (status = 'open' AND paid_vnd <> 0)
       OR (status = 'expired' AND paid_vnd >= coalesce(amount_vnd, 1))
       OR is_paid <> (paid_at IS NOT NULL)
"""
# A payment that came of a credit has its leg, and the leg its match in force.
LEGS_AGREE_WITH_PAYMENTS: Final = """
    SELECT org_id, credit_id, bill_id, sum(paid_vnd) AS paid_vnd, sum(leg_vnd) AS leg_vnd FROM (
        SELECT org_id, source_id AS credit_id, bill_id, amount_vnd AS paid_vnd, 0 AS leg_vnd
        FROM payments WHERE source_kind = 'credit' AND reversed_at IS NULL
        UNION ALL
        SELECT l.org_id, m.credit_id, l.bill_id, 0, l.applied_vnd
        FROM match_legs l
        LEFT JOIN matches m ON (m.org_id, m.id, m.credit_id) = (l.org_id, l.match_id, l.credit_id)
         AND m.reversed_at IS NULL
        WHERE l.reversed_at IS NULL) AS both_sides
    GROUP BY org_id, credit_id, bill_id HAVING sum(paid_vnd) <> sum(leg_vnd)
"""
# What of a credit is open is what no leg, sale, refund or decision has taken; of money out,
# nothing is.
WHAT_IS_OPEN_IS_NOT_TAKEN: Final = """
    SELECT org_id, credit_id, sum(vnd) AS wrong_by_vnd FROM (
        SELECT org_id, id AS credit_id,
               open_vnd - CASE direction WHEN 'in' THEN amount_vnd ELSE 0 END AS vnd
        FROM bank_transactions
        UNION ALL
        SELECT org_id, credit_id, applied_vnd FROM match_legs WHERE reversed_at IS NULL
        UNION ALL
        SELECT m.org_id, m.credit_id,
               CASE m.verdict WHEN 'same_money' THEN c.amount_vnd ELSE m.applied_vnd END
        FROM matches m JOIN bank_transactions c ON (c.org_id, c.id) = (m.org_id, m.credit_id)
        WHERE m.reversed_at IS NULL AND m.verdict IN ('counter_sale', 'not_takings', 'same_money')
        UNION ALL
        SELECT org_id, credit_id, amount_vnd FROM refunds
        WHERE credit_id IS NOT NULL AND status NOT IN ('not_done', 'rejected', 'cancelled')
        UNION ALL
        SELECT org_id, credit_id, amount_vnd FROM break_decisions
        WHERE credit_id IS NOT NULL AND status = 'approved' AND action <> 'undo'
          AND undone_at IS NULL
    ) AS all_of_it
    GROUP BY org_id, credit_id HAVING sum(vnd) <> 0
"""
# A payment posts once, and once the other way round if it is reversed; its bill can be refunded no
# more than it was paid.
A_PAYMENT_POSTS_ONCE: Final = """
    SELECT org_id, payment_id, sum(said_vnd) AS said_vnd, sum(posted_vnd) AS posted_vnd FROM (
        SELECT org_id, id AS payment_id,
               CASE WHEN reversed_at IS NULL THEN amount_vnd ELSE 0 END AS said_vnd, 0 AS posted_vnd
        FROM payments
        UNION ALL
        SELECT org_id, cause_id, 0,
               CASE cause_kind WHEN 'payment' THEN amount_vnd ELSE -amount_vnd END
        FROM postings WHERE cause_kind IN ('payment', 'payment_reversal')) AS both_sides
    GROUP BY org_id, payment_id HAVING sum(said_vnd) <> sum(posted_vnd)
"""
# A change waits for those before it: they are counted without a gap.
CHANGES_ARE_COUNTED: Final = """
    SELECT org_id, subject_id, count(*) AS changes, max(seq) AS last
    FROM bill_changes GROUP BY org_id, subject_id HAVING count(*) <> max(seq)
"""
# Each balance is what the payments and explanations in force say, nothing more.
BALANCES_FOLLOW_FROM_EXPLANATIONS: Final = """
    SELECT org_id, code, subject_id, sum(said_vnd) AS said_vnd, sum(posted_vnd) AS posted_vnd FROM (
        SELECT org_id, CASE verdict WHEN 'not_takings' THEN 'not_takings' ELSE 'takings' END
               AS code, payee_id AS subject_id, applied_vnd AS said_vnd, 0 AS posted_vnd
        FROM matches
        WHERE reversed_at IS NULL AND verdict IN ('counter_sale', 'not_takings')
        UNION ALL
        SELECT p.org_id, 'takings', b.payee_id, p.amount_vnd, 0
        FROM payments p JOIN bills b ON (b.org_id, b.id) = (p.org_id, p.bill_id)
        WHERE p.reversed_at IS NULL
        UNION ALL
        SELECT p.org_id, 'cash_in_drawer', b.payee_id, -p.amount_vnd, 0
        FROM payments p JOIN bills b ON (b.org_id, b.id) = (p.org_id, p.bill_id)
        WHERE p.reversed_at IS NULL AND p.rail = 'cash'
        UNION ALL
        SELECT m.org_id, 'unapplied_cash', c.receiving_account_id,
               c.amount_vnd - m.applied_vnd, 0
        FROM matches m JOIN bank_transactions c ON (c.org_id, c.id) = (m.org_id, m.credit_id)
        WHERE m.reversed_at IS NULL AND m.verdict <> 'same_money'
        UNION ALL
        SELECT t.org_id, said.code, t.contract_id, said.vnd, 0
        FROM toll_requests t
        CROSS JOIN LATERAL (VALUES
            ('toll_receivable', t.refunded_vnd - t.amount_vnd),
            ('unapplied_cash', t.amount_vnd - t.kept_vnd - t.refunded_vnd)
        ) AS said (code, vnd)
        WHERE t.status = 'charged'
        UNION ALL
        SELECT s.org_id, said.code, said.subject_id, said.vnd, 0
        FROM shifts s
        CROSS JOIN LATERAL (VALUES
            ('takings', s.payee_id, s.expected_vnd - s.change_vnd),
            ('cash_in_drawer', s.id, s.change_vnd - s.counted_vnd),
            ('cash_variance', s.payee_id, s.counted_vnd - s.expected_vnd)
        ) AS said (code, subject_id, vnd)
        WHERE s.closed_at IS NOT NULL
        UNION ALL
        SELECT c.org_id, said.code, s.payee_id, said.vnd, 0
        FROM collections c
        JOIN postings t ON (t.org_id, t.cause_id) = (c.org_id, c.id)
         AND t.cause_kind = 'late_collection'
        JOIN shifts s ON (s.org_id, s.id) = (c.org_id, c.shift_id)
        CROSS JOIN LATERAL (VALUES
            ('takings', c.amount_vnd), ('cash_variance', -c.amount_vnd)) AS said (code, vnd)
        WHERE c.rail = 'cash' AND c.reversed_at IS NULL
        UNION ALL
        SELECT r.org_id, said.code, said.subject_id, said.vnd, 0
        FROM refunds r
        CROSS JOIN LATERAL (VALUES
            (CASE WHEN r.payment_id IS NULL THEN 'unapplied_cash' ELSE 'takings' END,
             CASE WHEN r.payment_id IS NULL THEN r.receiving_account_id ELSE r.payee_id END,
             -r.amount_vnd),
            (CASE r.way WHEN 'cash' THEN 'cash_in_drawer' ELSE 'refunds_in_transit' END,
             CASE r.way WHEN 'cash' THEN r.payee_id ELSE r.receiving_account_id END,
             r.amount_vnd)
        ) AS said (code, subject_id, vnd)
        WHERE r.status IN ('instructed', 'unknown', 'returned')
        UNION ALL
        SELECT p.org_id, said.code, said.subject_id,
               CASE l.direction WHEN 'in' THEN said.vnd ELSE -said.vnd END, 0
        FROM proofs p JOIN statement_lines l ON (l.org_id, l.id) = (p.org_id, p.line_id)
        CROSS JOIN LATERAL (VALUES
            ('bank', l.receiving_account_id, -p.amount_vnd),
            (CASE WHEN p.explanation IN ('refund', 'refund_back') THEN 'refunds_in_transit'
                  WHEN p.explanation = 'bank_charge' THEN 'bank_charges'
                  WHEN p.explanation = 'own_transfer' THEN 'own_transfers'
                  WHEN p.explanation <> 'credit' THEN p.explanation END,
             CASE WHEN p.explanation = 'own_transfer' THEN p.org_id
                  ELSE l.receiving_account_id END, p.amount_vnd)
        ) AS said (code, subject_id, vnd)
        WHERE p.reversed_at IS NULL AND said.code IS NOT NULL
        UNION ALL
        SELECT o.org_id, said.code, o.receiving_account_id, said.vnd, 0
        FROM opening_balances o
        CROSS JOIN LATERAL (VALUES
            ('bank', -o.bank_vnd),
            ('opening_balance', o.bank_vnd - o.clearing_vnd + o.under_way_vnd)
        ) AS said (code, vnd)
        WHERE o.confirmed_at IS NOT NULL AND o.ended_at IS NULL
        UNION ALL
        SELECT p.org_id, 'written_off', p.org_id, -p.amount_vnd, 0
        FROM payments p WHERE p.reversed_at IS NULL AND p.source_kind = 'write_off'
        UNION ALL
        SELECT d.org_id, said.code, said.subject_id, said.vnd, 0
        FROM break_decisions d
        CROSS JOIN LATERAL (VALUES
            (d.debit_code, d.debit_subject_id, -d.amount_vnd),
            (d.credit_code, d.credit_subject_id, d.amount_vnd)) AS said (code, subject_id, vnd)
        WHERE d.credit_id IS NOT NULL AND d.status = 'approved' AND d.action <> 'undo'
          AND d.undone_at IS NULL
        UNION ALL
        SELECT org_id, credit_code, credit_subject_id, 0, amount_vnd
        FROM postings WHERE credit_code <> 'bank_clearing'
        UNION ALL
        SELECT org_id, debit_code, debit_subject_id, 0, -amount_vnd
        FROM postings WHERE debit_code <> 'bank_clearing') AS both_sides
    GROUP BY org_id, code, subject_id HAVING sum(said_vnd) <> sum(posted_vnd)
"""
# I4: what a payee took is never below zero.
TAKINGS_ARE_NOT_NEGATIVE: Final = """
    SELECT org_id, payee_id, sum(vnd) AS takings_vnd FROM (
        SELECT org_id, credit_subject_id AS payee_id, amount_vnd AS vnd
        FROM postings WHERE credit_code = 'takings'
        UNION ALL
        SELECT org_id, debit_subject_id, -amount_vnd
        FROM postings WHERE debit_code = 'takings') AS both_sides
    GROUP BY org_id, payee_id HAVING sum(vnd) < 0
"""
# I20: whole đồng everywhere, and no column of any table could hold a part of one.
MONEY_IS_WHOLE: Final = """
    SELECT CAST(NULL AS uuid) AS org_id, c.relname AS table_name, a.attname AS column_name,
           format_type(a.atttypid, a.atttypmod) AS data_type
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
      AND a.attnum > 0 AND NOT a.attisdropped
      AND ((right(a.attname, 4) = '_vnd' AND a.atttypid <> 'bigint'::regtype)
        OR a.atttypid IN ('real'::regtype, 'double precision'::regtype, 'numeric'::regtype,
                          'money'::regtype))
"""
# What two people decided of money: each in force posts once, each undone once the other way round;
# of a bill, its payment does. And each is in force for a break that it closed.
DECISIONS_POST_ONCE: Final = """
    SELECT d.org_id, d.id AS decision_id, d.status, d.undone_at, k.decision,
           coalesce(t.posted, 0) AS posted, coalesce(t.reversed, 0) AS reversed,
           coalesce(p.in_force, 0) AS paid
    FROM break_decisions d
    JOIN breaks k ON (k.org_id, k.id) = (d.org_id, d.break_id)
    LEFT JOIN (
        SELECT org_id, cause_id, count(*) FILTER (WHERE cause_kind = 'break_decision') AS posted,
               count(*) FILTER (WHERE cause_kind = 'break_decision_reversal') AS reversed
        FROM postings WHERE cause_kind IN ('break_decision', 'break_decision_reversal')
        GROUP BY org_id, cause_id) AS t ON (t.org_id, t.cause_id) = (d.org_id, d.id)
    LEFT JOIN (
        SELECT org_id, source_id, count(*) AS in_force FROM payments
        WHERE source_kind = 'write_off' AND reversed_at IS NULL
        GROUP BY org_id, source_id) AS p ON (p.org_id, p.source_id) = (d.org_id, d.id)
    WHERE d.action <> 'undo'
      AND (coalesce(t.posted, 0) <> CASE WHEN d.status = 'approved' AND d.bill_id IS NULL
                                         THEN 1 ELSE 0 END
           OR coalesce(t.reversed, 0) <> CASE WHEN d.undone_at IS NOT NULL AND d.bill_id IS NULL
                                              THEN 1 ELSE 0 END
           OR coalesce(p.in_force, 0) <> CASE WHEN d.status = 'approved' AND d.undone_at IS NULL
                                                AND d.bill_id IS NOT NULL THEN 1 ELSE 0 END
           OR (d.status = 'approved' AND d.undone_at IS NULL AND k.decision IS NULL)
           OR (d.undone_at IS NOT NULL AND NOT EXISTS (
                   SELECT FROM break_decisions u WHERE u.org_id = d.org_id
                     AND u.undoes_id = d.id AND u.status = 'approved')))
"""
# Money that nobody can use yet, or that is too much, is on somebody's list with its amount; or a
# person took it off that list since the match in force, or a statement showed that it went back.
# What else closes by itself explains nothing, and that a payment may have been reported twice says
# nothing of what it leaves.
WHAT_IS_UNAPPLIED_IS_ON_A_LIST: Final = """
    SELECT m.org_id, m.credit_id, m.verdict, c.amount_vnd, m.applied_vnd
    FROM matches m JOIN bank_transactions c ON (c.org_id, c.id) = (m.org_id, m.credit_id)
    WHERE m.reversed_at IS NULL AND m.applied_vnd < c.amount_vnd
      AND m.verdict NOT IN ('account_test', 'same_money', 'awaiting_sync')
      AND NOT EXISTS (SELECT 1 FROM breaks k WHERE k.org_id = m.org_id
                      AND k.credit_id = m.credit_id
                      AND k.amount_vnd = c.amount_vnd - m.applied_vnd
                      AND k.kind IN ('unassigned', 'unknown_reference', 'several_references',
                                     'wrong_account', 'refund_due')
                      AND (k.closed_at IS NULL
                           OR ((k.closed_by IS NOT NULL OR k.decision = 'refunded')
                               AND k.opened_at >= m.matched_at)))
"""
# What a toll account was charged is what its bill was paid by it; the rest was refunded, or is on
# somebody's list, or a person took it off.
TOLL_CHARGES_ARE_KEPT_OR_GO_BACK: Final = """
    SELECT t.org_id, t.id AS toll_id, t.amount_vnd, t.kept_vnd, t.refunded_vnd
    FROM toll_requests t
    WHERE (t.status = 'charged' AND t.kept_vnd + t.refunded_vnd < t.amount_vnd AND NOT EXISTS (
              SELECT FROM breaks k WHERE k.org_id = t.org_id AND k.subject_id = t.id
                AND k.kind = 'refund_due' AND (k.closed_at IS NULL OR k.closed_by IS NOT NULL)))
       OR t.kept_vnd <> (
              SELECT coalesce(sum(p.amount_vnd), 0) FROM payments p
              WHERE p.org_id = t.org_id AND p.source_kind = 'toll' AND p.source_id = t.id
                AND p.reversed_at IS NULL)
"""
# A callback that was processed as money has its bank transaction. Of one that is taken for a repeat
# that transaction came by another message, which only the code that reads messages can tell.
A_HANDLED_NOTICE_HAS_ITS_CREDIT: Final = """
    SELECT n.org_id, n.id AS notice_id, n.provider, n.outcome
    FROM notices n LEFT JOIN bank_transactions c ON (c.org_id, c.notice_id) = (n.org_id, n.id)
    WHERE n.handled_at IS NOT NULL AND c.id IS NULL
      AND n.outcome NOT IN ('repeat', 'contradicted', 'same_money', 'test', 'empty', 'unreadable',
                            'simulated_refused')
"""
# What is to be given back of a bill is what it was paid, or what a credit or a toll charge has
# left; until that is done (a person closes the break), every correction keeps the two equal.
REFUNDS_DUE_AGREE: Final = """
    SELECT k.org_id, k.subject_id, k.amount_vnd,
           CASE WHEN t.id IS NOT NULL THEN t.amount_vnd - t.kept_vnd - t.refunded_vnd
                WHEN k.credit_id IS NULL THEN b.paid_vnd - coalesce(a.agreed_vnd, 0)
                ELSE c.amount_vnd - m.applied_vnd END
           AS left_vnd
    FROM breaks k
    LEFT JOIN toll_requests t ON (t.org_id, t.id) = (k.org_id, k.subject_id)
     AND t.status = 'charged'
    LEFT JOIN bills b ON (b.org_id, b.id) = (k.org_id, k.subject_id) AND b.status = 'cancelled'
    LEFT JOIN bank_transactions c ON (c.org_id, c.id) = (k.org_id, k.credit_id)
    LEFT JOIN matches m ON (m.org_id, m.credit_id) = (k.org_id, k.credit_id)
     AND m.reversed_at IS NULL AND m.verdict IN ('over', 'closed_bill')
    LEFT JOIN LATERAL (
        SELECT sum(g.amount_vnd)::bigint AS agreed_vnd FROM breaks g
        WHERE g.org_id = k.org_id AND g.matter_id = k.subject_id AND g.kind = 'refund_agreed') a
        ON true
    WHERE k.kind = 'refund_due' AND k.closed_at IS NULL
      AND k.amount_vnd IS DISTINCT FROM
          CASE WHEN t.id IS NOT NULL THEN t.amount_vnd - t.kept_vnd - t.refunded_vnd
               WHEN k.credit_id IS NULL THEN b.paid_vnd - coalesce(a.agreed_vnd, 0)
               ELSE c.amount_vnd - m.applied_vnd END
"""
# What is proposed to be given back, or was, of a stay or a bill is no more than was paid for it.
# Stays that were joined are one.
REFUNDS_ARE_NO_MORE_THAN_PAID: Final = """
    SELECT one.org_id, coalesce(j.kept_id, one.matter_id) AS matter_id,
           sum(one.given_vnd) AS given_vnd, sum(one.paid_vnd) AS paid_vnd
    FROM (
        SELECT k.org_id, CASE WHEN b.owner_kind = 'parking_session' THEN b.owner_id
                              ELSE k.matter_id END AS matter_id, k.amount_vnd AS given_vnd,
               0 AS paid_vnd
        FROM breaks k LEFT JOIN bills b ON (b.org_id, b.id) = (k.org_id, k.matter_id)
        WHERE k.matter_id IS NOT NULL AND k.resolution IS DISTINCT FROM 'taken_back'
          AND (k.kind = 'refund_agreed' OR (k.kind = 'refund_due' AND k.closed_at IS NULL))
        UNION ALL
        SELECT r.org_id, CASE WHEN b.owner_kind = 'parking_session' THEN b.owner_id
                              ELSE r.bill_id END, r.amount_vnd, 0
        FROM refunds r JOIN bills b ON (b.org_id, b.id) = (r.org_id, r.bill_id)
        WHERE r.break_id IS NULL AND r.payment_id IS NOT NULL
          AND r.status NOT IN ('not_done', 'rejected', 'cancelled')
        UNION ALL
        SELECT org_id, CASE WHEN owner_kind = 'parking_session' THEN owner_id ELSE id END, 0,
               paid_vnd
        FROM bills WHERE paid_vnd <> 0
        UNION ALL
        SELECT b.org_id, CASE WHEN b.owner_kind = 'parking_session' THEN b.owner_id ELSE b.id END,
               0, -p.amount_vnd
        FROM payments p JOIN bills b ON (b.org_id, b.id) = (p.org_id, p.bill_id)
        WHERE p.source_kind = 'write_off' AND p.reversed_at IS NULL
        UNION ALL
        SELECT org_id, session_id, 0, amount_vnd FROM collections
        WHERE reversed_at IS NULL AND session_id IS NOT NULL AND rail IN ('cash', 'float')
    ) AS one
    LEFT JOIN stay_links j ON j.org_id = one.org_id AND j.other_id = one.matter_id
     AND j.kind = 'joined'
    GROUP BY one.org_id, coalesce(j.kept_id, one.matter_id)
    HAVING sum(one.given_vnd) > sum(one.paid_vnd)
"""
# I9: what of a payment can still be refunded is what no refund has taken of it, and a payment that
# was taken back has none. A bill says that much was given back as its refunds do.
REFUNDS_ARE_WITHIN_THEIR_PAYMENTS: Final = """
    SELECT p.org_id, p.id AS payment_id, p.amount_vnd, p.refundable_vnd,
           coalesce(r.taken_vnd, 0) AS taken_vnd
    FROM payments p
    LEFT JOIN (
        SELECT org_id, payment_id, sum(amount_vnd) AS taken_vnd FROM refunds
        WHERE payment_id IS NOT NULL AND status NOT IN ('not_done', 'rejected', 'cancelled')
        GROUP BY org_id, payment_id) AS r ON (r.org_id, r.payment_id) = (p.org_id, p.id)
    WHERE coalesce(r.taken_vnd, 0)
          <> CASE WHEN p.reversed_at IS NULL THEN p.amount_vnd - p.refundable_vnd ELSE 0 END
"""
BILLS_AGREE_WITH_THEIR_REFUNDS: Final = """
    SELECT b.org_id, b.reference, b.status, b.paid_vnd, coalesce(r.returned_vnd, 0) AS returned_vnd
    FROM (
        SELECT bills.*, bills.paid_vnd - coalesce(w.vnd, 0) AS really_vnd
        FROM bills LEFT JOIN (
            SELECT org_id, bill_id, sum(amount_vnd) AS vnd FROM payments
            WHERE source_kind = 'write_off' AND reversed_at IS NULL
            GROUP BY org_id, bill_id) AS w ON (w.org_id, w.bill_id) = (bills.org_id, bills.id)) AS b
    LEFT JOIN (
        SELECT org_id, bill_id, sum(amount_vnd) AS returned_vnd FROM refunds
        WHERE payment_id IS NOT NULL AND status = 'returned'
        GROUP BY org_id, bill_id) AS r ON (r.org_id, r.bill_id) = (b.org_id, b.id)
    WHERE (b.refunded_at IS NOT NULL OR r.returned_vnd IS NOT NULL)
      AND (coalesce(r.returned_vnd, 0) > b.really_vnd
           OR (b.status = 'refunded') <> (b.status <> 'cancelled' AND b.really_vnd = r.returned_vnd
                                          AND r.returned_vnd IS NOT NULL)
           OR (b.status = 'part_refunded') <> (b.status <> 'cancelled'
                                               AND b.really_vnd > coalesce(r.returned_vnd, 0)
                                               AND r.returned_vnd IS NOT NULL))
"""

INVARIANTS: Final[dict[str, str]] = {
    "bank_clearing_equals_unproved_credits": BANK_CLEARING_EQUALS_UNPROVED_CREDITS,
    "all_balances_are_zero": ALL_BALANCES_ARE_ZERO,
    "one_explanation_in_force": ONE_EXPLANATION_IN_FORCE,
    "a_credit_posts_once": A_CREDIT_POSTS_ONCE,
    "a_transaction_is_one_credit": A_TRANSACTION_IS_ONE_CREDIT,
    "bills_agree_with_their_payments": BILLS_AGREE_WITH_THEIR_PAYMENTS,
    "legs_agree_with_payments": LEGS_AGREE_WITH_PAYMENTS,
    "what_is_open_is_not_taken": WHAT_IS_OPEN_IS_NOT_TAKEN,
    "a_payment_posts_once": A_PAYMENT_POSTS_ONCE,
    "changes_are_counted": CHANGES_ARE_COUNTED,
    "balances_follow_from_explanations": BALANCES_FOLLOW_FROM_EXPLANATIONS,
    "takings_are_not_negative": TAKINGS_ARE_NOT_NEGATIVE,
    "money_is_whole": MONEY_IS_WHOLE,
    "what_is_unapplied_is_on_a_list": WHAT_IS_UNAPPLIED_IS_ON_A_LIST,
    "refunds_due_agree": REFUNDS_DUE_AGREE,
    "refunds_are_no_more_than_paid": REFUNDS_ARE_NO_MORE_THAN_PAID,
    "refunds_are_within_their_payments": REFUNDS_ARE_WITHIN_THEIR_PAYMENTS,
    "bills_agree_with_their_refunds": BILLS_AGREE_WITH_THEIR_REFUNDS,
    "decisions_post_once": DECISIONS_POST_ONCE,
    "toll_charges_are_kept_or_go_back": TOLL_CHARGES_ARE_KEPT_OR_GO_BACK,
    "a_handled_notice_has_its_credit": A_HANDLED_NOTICE_HAS_ITS_CREDIT,
    **STATEMENT_INVARIANTS,
    **PARKING_INVARIANTS,
    **CLOSING_INVARIANTS,
    **SETTLEMENT_INVARIANTS,
}
# What the running hub checks: those, and what the time decides.
CHECKS: Final[dict[str, str]] = {**INVARIANTS, **TIMED_INVARIANTS}

# More rows than this say nothing new, and a hub that is wrong everywhere must not fill its log.
VIOLATIONS_MAX: Final = 100
# A minute for each statement; what takes longer is not answered, and that is an error of its own.
STATEMENT_TIMEOUT_MS: Final = 60_000
ANSWER_WITHIN_S: Final = 65.0  # PostgreSQL's own word comes before the connection is cut off
# Hashes of a million rows stay in memory, and the cores stay with the payments.
BOUNDS: Final = (
    f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT_MS}",
    "SET LOCAL work_mem = '64MB'",
    "SET LOCAL max_parallel_workers_per_gather = 0",
    "SET TRANSACTION READ ONLY",
)

LIST_ALARMS = text("""
    SELECT org_id, subject_id FROM breaks
    WHERE kind = ANY(CAST(:kinds AS text[])) AND closed_at IS NULL
""")
LIST_ALARMED = text("""
    SELECT reason_facts->'evidence'->>'session_id' FROM breaks
    WHERE kind = :kind AND closed_at IS NULL AND subject_id = :subject_id
""")
LIST_LOT_ORGS = text("SELECT DISTINCT org_id FROM lots ORDER BY org_id")


@dataclass(frozen=True)
class Violation:
    """One row for which an invariant does not hold."""

    name: str
    org_id: UUID | None
    evidence: dict[str, Any]

    def __str__(self) -> str:
        facts = " ".join(f"{name}={value}" for name, value in self.evidence.items())
        return f"{self.name}: org={self.org_id} {facts}"


async def find_violations(
    session: AsyncSession, name: str, *, now: datetime | None = None
) -> list[Violation]:
    """Check one invariant for all organisations; [] when it holds, at most VIOLATIONS_MAX rows.

    In a transaction of its own, of a role that sees them all: it can take up to a minute, and an
    old snapshot would keep PostgreSQL from vacuuming.

    Args:
        now: what an invariant that the time decides is judged by; others need none.
    """
    for bound in BOUNDS:
        await session.execute(text(bound))
    with patient(ANSWER_WITHIN_S):
        values = {"now": now} if name in TIMED_INVARIANTS else {}
        rows = await session.execute(text(f"{CHECKS[name]} LIMIT {VIOLATIONS_MAX}"), values)
    return [
        Violation(name, row["org_id"], {key: row[key] for key in row if key != "org_id"})
        for row in rows.mappings()
    ]


async def find_violations_of_days(
    session: AsyncSession, name: str, days: Collection[date]
) -> list[Violation]:
    """Check an invariant of BY_DAY for the stays that began on some days in Hà Nội."""
    for bound in BOUNDS:
        await session.execute(text(bound))
    found: list[Violation] = []
    with patient(ANSWER_WITHIN_S):
        org_ids = (await session.scalars(LIST_LOT_ORGS)).all()
        for org_id, day in product(org_ids, days):
            start, end = day_bounds(day)
            values = {"org_id": org_id, "first_id": first_id_at(start), "end_id": first_id_at(end)}
            query = text(f"{BY_DAY[name]} LIMIT {VIOLATIONS_MAX - len(found)}")
            rows = (await session.execute(query, values)).mappings()
            found += [
                Violation(name, row["org_id"], {key: row[key] for key in row if key != "org_id"})
                for row in rows
            ]
            if len(found) >= VIOLATIONS_MAX:
                break
    return found


async def list_alarmed_days(session: AsyncSession, subject_id: UUID) -> set[date]:
    """Return the days of the stays that open alarms of an invariant of BY_DAY are about."""
    values = {"kind": BreakKind.BOOKS_DISAGREE.value, "subject_id": subject_id}
    rows = await session.scalars(LIST_ALARMED, values)
    return {hanoi_day(instant_of(UUID(row))) for row in rows if row}


async def find_alarms(session: AsyncSession) -> set[tuple[UUID, UUID]]:
    """Return (organisation, subject) of the alarms that are open."""
    rows = await session.execute(LIST_ALARMS, {"kinds": [kind.value for kind in ALARM_KINDS]})
    return {(row[0], row[1]) for row in rows}
