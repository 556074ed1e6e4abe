"""What must hold after every step, asked of the whole database in plain SQL (docs/reliability.md).

Each query returns a row for each violation. They know nothing of the code that wrote the rows.
"""

import psycopg

# Per account: what callbacks told of is what left bank clearing, to the đồng.
CLEARING_IS_WHAT_WAS_TOLD = """
    SELECT a.id, told.sum, posted.sum
    FROM receiving_accounts a
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(amount_vnd), 0) AS sum FROM credits c
        WHERE receiving_account_id = a.id AND direction = 'in'
          AND NOT EXISTS (SELECT 1 FROM matches m WHERE m.credit_id = c.id
                          AND m.reversed_at IS NULL AND m.verdict = 'same_money')) AS told
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(CASE WHEN debit_code = 'bank_clearing' AND debit_subject_id = a.id
                                 THEN amount_vnd ELSE 0 END), 0)
             - coalesce(sum(CASE WHEN credit_code = 'bank_clearing' AND credit_subject_id = a.id
                                 THEN amount_vnd ELSE 0 END), 0) AS sum
        FROM transfers) AS posted
    WHERE told.sum <> posted.sum
"""
# I1, I2: per organisation all balances together are zero, and every leg has its account.
ALL_BALANCES_ARE_ZERO = """
    SELECT org_id, sum(net) FROM (
        SELECT t.org_id, t.amount_vnd AS net FROM transfers t JOIN ledger_accounts l
          ON (l.org_id, l.code, l.subject_id) = (t.org_id, t.credit_code, t.credit_subject_id)
        UNION ALL
        SELECT t.org_id, -t.amount_vnd FROM transfers t JOIN ledger_accounts l
          ON (l.org_id, l.code, l.subject_id) = (t.org_id, t.debit_code, t.debit_subject_id)
    ) AS legs GROUP BY org_id HAVING sum(net) <> 0
"""
# Money in has one explanation in force; money out has none.
ONE_EXPLANATION_IN_FORCE = """
    SELECT c.id, c.direction, count(m.id) FROM credits c
    LEFT JOIN matches m ON m.credit_id = c.id AND m.reversed_at IS NULL
    GROUP BY c.id, c.direction HAVING count(m.id) <> CASE c.direction WHEN 'in' THEN 1 ELSE 0 END
"""
# I7: a bank transaction is one credit, and posts its amount once, corrections taken off.
A_CREDIT_POSTS_ONCE = """
    SELECT c.id, c.amount_vnd, posted.sum FROM credits c
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(CASE t.cause_kind WHEN 'match' THEN t.amount_vnd
                                              WHEN 'match_reversal' THEN -t.amount_vnd END), 0)
               AS sum
        FROM matches m JOIN transfers t ON t.cause_id = m.id WHERE m.credit_id = c.id) AS posted
    WHERE posted.sum <> CASE
        WHEN c.direction = 'out' OR EXISTS (
            SELECT 1 FROM matches m WHERE m.credit_id = c.id AND m.reversed_at IS NULL
              AND m.verdict = 'same_money') THEN 0
        ELSE c.amount_vnd END
"""
# By the provider's own id. A telling that a person admitted as another transfer is one more.
A_TRANSACTION_IS_ONE_CREDIT = """
    SELECT receiving_account_id, provider, provider_transaction_id, admitted_from, count(*)
    FROM credits GROUP BY 1, 2, 3, 4 HAVING count(*) > 1
"""
# I10: what a bill was paid is what its credits apply to it, and one of them closes it.
BILLS_AGREE_WITH_THEIR_CREDITS = """
    SELECT b.reference, b.status, b.amount_vnd, b.paid_vnd, b.received_vnd, got.*
    FROM bills b
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(m.applied_vnd), 0) AS applied, coalesce(sum(c.amount_vnd), 0) AS all_in,
               count(*) FILTER (WHERE m.verdict IN ('settle', 'over')) AS closing,
               count(*) FILTER (WHERE m.verdict = 'over') AS over
        FROM matches m JOIN credits c ON c.id = m.credit_id
        WHERE m.bill_id = b.id AND m.reversed_at IS NULL) AS got
    WHERE b.paid_vnd <> got.applied OR b.received_vnd <> got.all_in OR b.paid_vnd > b.amount_vnd
       OR got.closing <> CASE WHEN b.status IN ('paid', 'over_paid') THEN 1 ELSE 0 END
       OR got.over <> CASE WHEN b.status = 'over_paid' THEN 1 ELSE 0 END
       OR (b.status IN ('paid', 'over_paid') AND b.paid_vnd <> coalesce(b.amount_vnd, b.paid_vnd))
       OR (b.status = 'part_paid' AND NOT b.paid_vnd BETWEEN 1 AND b.amount_vnd - 1)
       OR (b.status IN ('open', 'expired') AND b.paid_vnd <> 0)
       OR (b.status IN ('paid', 'over_paid')) <> (b.paid_at IS NOT NULL)
"""
# Each balance is what the explanations in force say, nothing more.
BALANCES_FOLLOW_FROM_EXPLANATIONS = """
    WITH said AS (
        SELECT CASE m.verdict WHEN 'not_takings' THEN 'not_takings' ELSE 'takings' END AS code,
               m.payee_id AS subject_id, m.applied_vnd AS amount_vnd
        FROM matches m WHERE m.reversed_at IS NULL AND m.applied_vnd > 0
        UNION ALL
        SELECT 'unapplied_receipts', c.receiving_account_id, c.amount_vnd - m.applied_vnd
        FROM matches m JOIN credits c ON c.id = m.credit_id
        WHERE m.reversed_at IS NULL AND m.verdict <> 'same_money'
    ), posted AS (
        SELECT credit_code AS code, credit_subject_id AS subject_id, amount_vnd FROM transfers
        UNION ALL SELECT debit_code, debit_subject_id, -amount_vnd FROM transfers
    )
    SELECT code, subject_id, sum(said), sum(posted) FROM (
        SELECT code, subject_id, amount_vnd AS said, 0 AS posted FROM said
        UNION ALL SELECT code, subject_id, 0, amount_vnd FROM posted
        WHERE code <> 'bank_clearing') AS both_sides
    GROUP BY code, subject_id HAVING sum(said) <> sum(posted)
"""
# I20: whole đồng everywhere.
MONEY_IS_WHOLE = """
    SELECT table_name, column_name, data_type FROM information_schema.columns
    WHERE table_schema = 'public' AND column_name LIKE '%\\_vnd' AND data_type <> 'bigint'
"""
# Money that nobody can use yet, or that is too much, is on somebody's list.
WHAT_IS_UNAPPLIED_IS_ON_A_LIST = """
    SELECT c.id, m.verdict FROM matches m JOIN credits c ON c.id = m.credit_id
    WHERE m.reversed_at IS NULL AND m.applied_vnd < c.amount_vnd
      AND m.verdict NOT IN ('account_test', 'same_money')
      AND NOT EXISTS (SELECT 1 FROM breaks k WHERE k.credit_id = c.id AND k.closed_at IS NULL)
"""
NOTHING_WAITS = "SELECT id, outcome, attempts FROM notices WHERE handled_at IS NULL"

ALWAYS = {
    name: query
    for name, query in list(globals().items())
    if name.isupper() and name != "NOTHING_WAITS" and isinstance(query, str)
}


def find_violations(owner_url: str) -> list[str]:
    """Return what does not hold in the whole database; [] when all is well."""
    with psycopg.connect(owner_url) as owner:
        return list_violations(owner)


def list_violations(owner: "psycopg.Connection[tuple[object, ...]]") -> list[str]:
    """Return what does not hold, as `find_violations`, on a connection that is open."""
    found = [f"{name}: {row}" for name, query in ALWAYS.items() for row in owner.execute(query)]
    owner.rollback()
    return found


def find_waiting(owner_url: str) -> list[str]:
    """Return the notices that are stored and not handled."""
    with psycopg.connect(owner_url) as owner:
        return [str(row) for row in owner.execute(NOTHING_WAITS)]
