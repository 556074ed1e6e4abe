"""The world of the bench of matching: bills, credits and lines of an account, and what is true.

Memos are what the sandbox's banks make of ours. Every row's id ends with its number, so that which
credit a line really is can be read off the ids.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, LiteralString
from uuid import UUID

import psycopg

from core.ids import new_id
from payments.bills.references import ALPHABET, find_references, make_reference
from sandbox.bank import Transit
from sandbox.memos import Style, default_memo, mangle

DAYS: Final = 10
AMOUNTS_VND: Final = (10_000, 15_000, 20_000, 25_000, 35_000, 50_000, 120_000)
FOREIGN_CODE: Final = "ZZZ2"
MEMOLESS: Final = 0.05
# Of all lines; what is left is a credit and its line.
SHARES: Final = (
    ("near", 0.010),  # another bill's reference, one character away; no credit of its own
    ("foreign", 0.010),  # another organisation's reference
    ("no_line", 0.0017),  # faults
    ("no_credit", 0.0017),
    ("amount", 0.0016),
)
MB: Final = "970422"


@dataclass(frozen=True, kw_only=True)
class Account:
    """Whose lines are matched."""

    org_id: UUID
    org_code: str
    account_id: UUID
    payee_id: UUID
    link_id: UUID
    number: str


MAKE_WORK: Final = """
    CREATE TEMPORARY TABLE work (
        n bigint PRIMARY KEY, kind text, reference text, memo text, is_readable bool,
        amount_vnd bigint, line_vnd bigint, credit_ref text, line_ref text, at timestamptz)
"""
_COPY: Final = """
    COPY work (n, kind, reference, memo, is_readable, amount_vnd, line_vnd, credit_ref, line_ref)
    FROM STDIN
"""


def _id(kind: int) -> str:
    return (
        "CAST(lpad(to_hex(CAST(extract(epoch FROM w.at) * 1000 AS bigint)), 12, '0')"
        f" || '-7{kind:03x}-8000-' || lpad(to_hex(w.n), 12, '0') AS uuid)"
    )


BILL, CREDIT, MATCH, POSTING, LINE = (_id(kind) for kind in range(1, 6))
HAS_CREDIT: Final = "w.kind IN ('good', 'no_line', 'amount')"
FILL: Final = {
    "bills": f"""
        INSERT INTO bills (
            org_id, id, link_id, payee_id, receiving_account_id, rail, reference, public_token,
            amount_vnd, paid_vnd, received_vnd, purpose, status, created_by, created_at, expires_at,
            monitor_until, paid_at)
        SELECT %(org_id)s, {BILL}, %(link_id)s, %(payee_id)s, %(account_id)s, 'vietqr',
               w.reference, 'bench-' || lpad(CAST(w.n AS text), 16, '0'), w.amount_vnd, 0, 0,
               'Phở bò', 'open', %(payee_id)s, w.at - interval '2 minutes',
               w.at + interval '15 minutes', w.at + interval '1 day', NULL
        FROM work w
    """,
    "bank_transactions": f"""
        INSERT INTO bank_transactions (
            org_id, id, receiving_account_id, direction, bank_reference, is_first_of_reference,
            provider, provider_transaction_id, notice_id, memo, amount_vnd, open_vnd, is_date_only,
            occurred_at, received_at)
        SELECT %(org_id)s, {CREDIT}, %(account_id)s, 'in', w.credit_ref, true, 'sepay',
               'bench-' || w.n, {CREDIT}, w.memo, w.amount_vnd, 0, false, w.at, w.at
        FROM work w WHERE {HAS_CREDIT}
    """,
    "matches": f"""
        INSERT INTO matches (
            org_id, id, credit_id, bill_id, payee_id, rule, verdict, named, reason, reason_facts,
            applied_vnd, is_late, matched_at)
        SELECT %(org_id)s, {MATCH}, {CREDIT}, CASE WHEN w.is_readable THEN {BILL} END, %(payee_id)s,
               CASE WHEN w.is_readable THEN 'memo_exact' ELSE 'sole_payee' END,
               CASE WHEN w.is_readable THEN 'settle' ELSE 'counter_sale' END,
               CASE WHEN w.is_readable THEN w.reference END, 'bill_found', '{{}}', w.amount_vnd,
               false, w.at
        FROM work w WHERE {HAS_CREDIT}
    """,
    "postings": f"""
        INSERT INTO postings (
            org_id, id, debit_code, debit_subject_id, credit_code, credit_subject_id, amount_vnd,
            cause_kind, cause_id, step, effective_at, posted_at, day, item_id)
        SELECT %(org_id)s, {POSTING}, 'bank_clearing', %(account_id)s, 'takings', %(payee_id)s,
               w.amount_vnd, 'match', {MATCH}, 0, w.at, w.at,
               CAST(w.at AT TIME ZONE 'Asia/Ho_Chi_Minh' AS date), {CREDIT}
        FROM work w WHERE {HAS_CREDIT}
    """,
    "staged_lines": f"""
        INSERT INTO staged_lines (
            org_id, id, statement_id, line_no, booked_on, is_date_only, direction, amount_vnd,
            bank_reference, memo, is_reversal)
        SELECT %(org_id)s, {LINE}, %(statement_id)s, row_number() OVER (ORDER BY w.n),
               CAST(w.at AT TIME ZONE 'Asia/Ho_Chi_Minh' AS date), true, 'in', w.line_vnd,
               w.line_ref, w.memo, false
        FROM work w WHERE w.kind <> 'no_line'
    """,
    "statement_days": """
        INSERT INTO statement_days (
            org_id, receiving_account_id, day, statement_id, line_count, in_vnd, out_vnd)
        SELECT org_id, %(account_id)s, booked_on, statement_id, count(*), sum(amount_vnd), 0
        FROM staged_lines WHERE statement_id = %(statement_id)s
        GROUP BY org_id, booked_on, statement_id
    """,
}
INSERT_STATEMENT: Final = """
    INSERT INTO statements (
        org_id, id, receiving_account_id, file_sha256, file_name, file_bytes, is_pasted, status,
        period_from, period_to, line_count, created_at)
    SELECT %(org_id)s, %(statement_id)s, %(account_id)s,
           sha256(CAST(CAST(%(statement_id)s AS text) AS bytea)), 'bench.csv', 1, false, 'accepted',
           min(booked_on), max(booked_on), count(*), now()
    FROM staged_lines WHERE statement_id = %(statement_id)s
"""
# What should be proved: the credits whose line carries their bank's reference or their bill's.
COUNT_TRUE: Final = """
    SELECT count(*) FROM work w
    WHERE w.kind = 'good' AND (w.line_ref = w.credit_ref OR w.is_readable)
"""


def write_world(
    superuser_url: str, account: Account, lines: int, *, first: int, seed: int
) -> tuple[UUID, int]:
    """Write an account's bills, credits and an accepted statement whose lines are still staged.

    Args:
        first: the lowest serial of its bills, and number of its rows.

    Returns:
        The statement, and how many of its lines a good matching explains.
    """
    statement_id = new_id()
    facts: dict[str, Any] = {
        "org_id": account.org_id,
        "account_id": account.account_id,
        "payee_id": account.payee_id,
        "link_id": account.link_id,
        "statement_id": statement_id,
    }
    with psycopg.connect(superuser_url, cursor_factory=psycopg.ClientCursor) as owner:
        owner.execute("SET session_replication_role = replica")  # foreign keys hold as written
        owner.execute("SET LOCAL synchronous_commit = off")
        owner.execute(MAKE_WORK)
        with owner.cursor().copy(_COPY) as copy:
            for row in _make_rows(account, lines, first=first, seed=seed):
                copy.write_row(row)
        owner.execute(
            "UPDATE work SET at = now() - make_interval(days => %(days)s)"
            " + (n - %(first)s) * (make_interval(days => %(days)s - 1) / %(lines)s)",
            {"days": DAYS, "first": first, "lines": lines},
        )
        for statement in FILL.values():
            _run(owner, statement, facts)
        _run(owner, INSERT_STATEMENT, facts)
        found = owner.execute(COUNT_TRUE).fetchone()
        assert found is not None
    with psycopg.connect(superuser_url, autocommit=True) as after:
        after.execute(
            "VACUUM ANALYZE bills, bank_transactions, matches, postings, staged_lines, statements"
        )
        after.execute("CHECKPOINT")
    return statement_id, int(found[0])


def _run(owner: "psycopg.Connection[Any]", statement: str, facts: dict[str, Any]) -> None:
    owner.execute(statement.encode(), facts)


def _make_rows(
    account: Account, lines: int, *, first: int, seed: int
) -> Iterator[tuple[int, str, str, str, bool, int, int, str, str]]:
    chance = random.Random(seed)
    other = (make_reference(account.org_code, first), AMOUNTS_VND[0])
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for n in range(first, first + lines):
        kind = _choose_kind(chance)
        reference, amount_vnd = make_reference(account.org_code, n), chance.choice(AMOUNTS_VND)
        credit_ref = f"FT26{chance.randrange(10**3):03d}{n:08d}"
        typed = f"{reference} gui xe"
        if kind == "near":
            typed, amount_vnd = f"{_misspell(other[0], chance)} gui xe", other[1]
        elif kind == "foreign":
            typed = make_reference(FOREIGN_CODE, n)
        transit = Transit(
            ordinal=n,
            memo=typed,
            payer_bin="970436",
            payer_number="0011004567890",
            payer_name="NGUYEN VAN A",
            bin=MB,
            number=account.number,
            holder="NGUYEN THI A",
            reference=credit_ref,
            at=at,
        )
        memo = mangle(transit, seed=seed, style=Style.USUAL)
        if chance.random() < MEMOLESS and kind == "good":
            memo = default_memo(transit.payer_name)
        readable = any(one.reference == reference for one in find_references(memo))
        has_ref = n % 2 == 1 and kind not in ("near", "foreign")
        line_vnd = amount_vnd + 1_000 if kind == "amount" else amount_vnd
        line_ref = credit_ref if has_ref else ""
        yield n, kind, reference, memo, readable, amount_vnd, line_vnd, credit_ref, line_ref
        if kind == "good":
            other = (reference, amount_vnd)


def _choose_kind(chance: random.Random) -> str:
    at = chance.random()
    for kind, share in SHARES:
        if at < share:
            return kind
        at -= share
    return "good"


def _misspell(reference: str, chance: random.Random) -> str:
    """Return a reference with one of its last characters another one."""
    place = chance.randrange(6, len(reference))
    others: LiteralString = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
    assert others == ALPHABET
    char = chance.choice([one for one in others if one != reference[place]])
    return reference[:place] + char + reference[place + 1 :]
