"""All SQL of the ledger. Nothing outside this package touches postings."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from core.sql import send
from payments.ledger.rules import AccountCode, AccountKey, NewPosting

POSTING_COLUMNS: Final = {
    "id": "uuid",
    "debit_code": "text",
    "debit_subject_id": "uuid",
    "credit_code": "text",
    "credit_subject_id": "uuid",
    "amount_vnd": "bigint",
    "cause_kind": "text",
    "cause_id": "uuid",
    "step": "smallint",
    "effective_at": "timestamptz",
    "item_id": "uuid",
}

INSERT_ACCOUNTS = text("""
    INSERT INTO ledger_accounts (org_id, code, subject_id, opened_at)
    SELECT :org_id, code, subject_id, :now
    FROM unnest(CAST(:codes AS text[]), CAST(:subject_ids AS uuid[])) AS t (code, subject_id)
    ON CONFLICT DO NOTHING
""")

# Whoever closes a day waits for whoever shares this lock, and who had to wait for a close reads the
# row again: the day is open in any case. An organisation without its row writes NULL, and is
# refused. FOR KEY SHARE would not do: an UPDATE of `closed_through` waits for no such lock.
_BOOKS: Final = """
    WITH books AS (
        SELECT org_id, closed_through FROM ledger_books WHERE org_id = :org_id FOR SHARE)
"""
_DAY: Final = """
    CASE WHEN books.org_id IS NOT NULL THEN greatest(
        least(
            CAST(t.effective_at AT TIME ZONE 'Asia/Ho_Chi_Minh' AS date),
            CAST(:posted_at AT TIME ZONE 'Asia/Ho_Chi_Minh' AS date),
            CAST(now() AT TIME ZONE 'Asia/Ho_Chi_Minh' AS date)),
        books.closed_through + 1) END
"""
INSERT_POSTINGS = text(f"""{_BOOKS}
    INSERT INTO postings (
        org_id, posted_at, {", ".join(POSTING_COLUMNS)}, day)
    SELECT :org_id, :posted_at, t.*, {_DAY}
    FROM unnest({", ".join(f"CAST(:{n} AS {kind}[])" for n, kind in POSTING_COLUMNS.items())})
         AS t ({", ".join(POSTING_COLUMNS)})
    LEFT JOIN books ON true
""")  # noqa: S608 (our names)
# The same for many that differ in little: a third of what has to be written and sent.
OWN_COLUMNS: Final = ("id", "amount_vnd", "cause_id", "effective_at", "item_id")
INSERT_ALIKE = text(f"""{_BOOKS}
    INSERT INTO postings (
        org_id, posted_at, debit_code, debit_subject_id, credit_code, credit_subject_id, cause_kind,
        step, {", ".join(OWN_COLUMNS)}, day)
    SELECT :org_id, :posted_at, :debit_code, :debit_subject_id, :credit_code, :credit_subject_id,
           :cause_kind, 0, t.*, {_DAY}
    FROM unnest({", ".join(f"CAST(:{n} AS {POSTING_COLUMNS[n]}[])" for n in OWN_COLUMNS)})
         AS t ({", ".join(OWN_COLUMNS)})
    LEFT JOIN books ON true
""")  # noqa: S608 (our names)

SUM_TURNOVER = text("""
    SELECT coalesce(sum(CASE WHEN credit_code = :code THEN amount_vnd ELSE 0 END), 0)::bigint,
           coalesce(sum(CASE WHEN debit_code = :code THEN amount_vnd ELSE 0 END), 0)::bigint
    FROM postings
    WHERE org_id = :org_id AND posted_at >= :since AND posted_at < :until
      AND ((credit_code = :code AND credit_subject_id = :subject_id)
           OR (debit_code = :code AND debit_subject_id = :subject_id))
""")

SUM_BY_SUBJECT = text("""
    SELECT subject_id, sum(amount_vnd)::bigint FROM (
        SELECT credit_subject_id AS subject_id, amount_vnd FROM postings
        WHERE org_id = :org_id AND credit_code = :code
          AND posted_at >= :since AND posted_at < :until
        UNION ALL
        SELECT debit_subject_id, -amount_vnd FROM postings
        WHERE org_id = :org_id AND debit_code = :code
          AND posted_at >= :since AND posted_at < :until) AS legs
    GROUP BY subject_id
""")


async def insert_accounts_once(
    session: AsyncSession, org_id: UUID, keys: Iterable[AccountKey], *, now: datetime
) -> None:
    """Open the accounts that are not there yet."""
    wanted = list(keys)
    await session.execute(
        INSERT_ACCOUNTS,
        {
            "org_id": org_id,
            "codes": [key.code.value for key in wanted],
            "subject_ids": [key.subject_id for key in wanted],
            "now": now,
        },
    )


async def insert_postings(
    session: AsyncSession, org_id: UUID, postings: Sequence[NewPosting], *, now: datetime
) -> None:
    """Write postings; one cause can post each of its steps once only (unique key).

    Each falls in the day on which it happened, no later than today, and in the first open day if
    that one is closed. A close of the organisation's day is waited for.
    """
    rows = [
        (
            new_id(),
            posting.debit.code.value,
            posting.debit.subject_id,
            posting.credit.code.value,
            posting.credit.subject_id,
            posting.amount_vnd,
            posting.cause_kind,
            posting.cause_id,
            posting.step,
            posting.effective_at,
            posting.item_id,
        )
        for posting in postings
    ]
    columns = dict(zip(POSTING_COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
    await send(session, INSERT_POSTINGS, {**columns, "org_id": org_id, "posted_at": now})


async def insert_alike(
    session: AsyncSession,
    org_id: UUID,
    debit: AccountKey,
    credit: AccountKey,
    cause_kind: str,
    rows: Sequence[tuple[UUID, int, datetime, UUID | None]],
    *,
    now: datetime,
) -> None:
    """Write postings between two accounts, as `insert_postings`.

    Args:
        rows: cause, đồng, when it moved, and the credit whose clearing it is.
    """
    cause_ids, amounts, effective, items = map(list, zip(*rows, strict=True))
    values = {
        "org_id": org_id,
        "posted_at": now,
        "debit_code": debit.code.value,
        "debit_subject_id": debit.subject_id,
        "credit_code": credit.code.value,
        "credit_subject_id": credit.subject_id,
        "cause_kind": cause_kind,
        "id": [new_id() for _ in rows],
        "amount_vnd": amounts,
        "cause_id": cause_ids,
        "effective_at": effective,
        "item_id": items,
    }
    await send(session, INSERT_ALIKE, values)


async def sum_turnover(
    session: AsyncSession, org_id: UUID, key: AccountKey, *, since: datetime, until: datetime
) -> tuple[int, int]:
    """Return (credited_vnd, debited_vnd) of one account, posted in [since, until)."""
    values = {
        "org_id": org_id,
        "code": key.code.value,
        "subject_id": key.subject_id,
        "since": since,
        "until": until,
    }
    credited_vnd, debited_vnd = (await session.execute(SUM_TURNOVER, values)).one()
    return int(credited_vnd), int(debited_vnd)


async def sum_by_subject(
    session: AsyncSession, org_id: UUID, code: AccountCode, *, since: datetime, until: datetime
) -> dict[UUID, int]:
    """Return credits minus debits in [since, until) of each account of one kind, by its subject."""
    values = {"org_id": org_id, "code": code.value, "since": since, "until": until}
    rows = await session.execute(SUM_BY_SUBJECT, values)
    return {subject_id: int(net_vnd) for subject_id, net_vnd in rows}
