"""Verifying the books: all hashes and checkpoints are computed again, from the first closed day on.

Read only, a transaction for each day: closed days never change, whatever is posted meanwhile.
"""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import list_changes
from core.database_connections import patient
from core.db import Database
from payments.ledger import queries_days as queries
from payments.ledger.hashing import PLAIN_VERSION, POSTING_FIELDS, DayHash
from payments.ledger.rules import subject_of_day
from payments.ledger.types import Checkpoint, ClosedDay, ReadSections, Section

DAYS_AT_ONCE: Final = 100

_DEBIT: Final = POSTING_FIELDS.index("debit_code")  # with its subject behind it, as the credit
_CREDIT: Final = POSTING_FIELDS.index("credit_code")
_AMOUNT: Final = POSTING_FIELDS.index("amount_vnd")


@dataclass(frozen=True, kw_only=True)
class Fault:
    """The first day that does not agree, and why, in words for who runs the hub."""

    day: date | None  # None: there is no closed day
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What verifying an organisation's books found."""

    org_id: UUID
    days: int  # those that agree, up to the fault
    postings: int  # in them, with those before the books
    last: ClosedDay | None  # the last that agrees
    fault: Fault | None


@dataclass
class _Accounts:
    """Balances and counts of legs, day after day."""

    sums: dict[tuple[str, UUID], list[int]] = field(default_factory=dict)
    moved: set[tuple[str, UUID]] = field(default_factory=set)

    def add_postings(self, rows: Sequence[Sequence[Any]]) -> None:
        for row in rows:
            self.add((row[_DEBIT], row[_DEBIT + 1]), -row[_AMOUNT], 1)
            self.add((row[_CREDIT], row[_CREDIT + 1]), row[_AMOUNT], 1)

    def add(self, account: tuple[str, UUID], vnd: int, legs: int) -> None:
        sums = self.sums.setdefault(account, [0, 0])
        sums[0] += vnd
        sums[1] += legs
        self.moved.add(account)

    def end_day(self) -> list[Checkpoint]:
        """Return what the day's checkpoints must be."""
        made = [Checkpoint(*account, *self.sums[account]) for account in sorted(self.moved)]
        self.moved.clear()
        return made


async def list_organisations(session: AsyncSession) -> list[UUID]:
    """Return the organisations that have books, as a role that sees them all."""
    return await queries.list_books(session)


async def verify_books(
    database: Database, org_id: UUID, *, read_sections: ReadSections | None = None
) -> Verified:
    """Verify an organisation's books up to the first day that does not agree.

    Args:
        database: of a role that reads the organisation's rows without entering it (the worker's).
        read_sections: reads what a package above added to a day; without it days that have such
            sections do not agree.

    Raises:
        BooksNotFound
    """
    accounts = _Accounts()
    last: ClosedDay | None = None
    days = postings = 0
    while True:
        async with database.begin() as session:
            await queries.read_only(session)
            after = None if last is None else last.day
            page = await queries.list_days(session, org_id, after=after, most=DAYS_AT_ONCE)
        for closed in page:
            async with database.begin() as session:
                with patient(queries.ANSWER_WITHIN_S):
                    reasons = await _verify_day(
                        session, org_id, closed, last, accounts, read_sections
                    )
            if reasons:
                fault = Fault(day=closed.day, reasons=tuple(reasons))
                return Verified(org_id=org_id, days=days, postings=postings, last=last, fault=fault)
            last, days = closed, days + 1
            postings += closed.postings + closed.postings_before
        if len(page) < DAYS_AT_ONCE:
            break
    async with database.begin() as session:
        await queries.read_only(session)
        end = await _verify_end(session, org_id, last)
    return Verified(org_id=org_id, days=days, postings=postings, last=last, fault=end)


async def _verify_day(
    session: AsyncSession,
    org_id: UUID,
    closed: ClosedDay,
    previous: ClosedDay | None,
    accounts: _Accounts,
    read_sections: ReadSections | None,
) -> list[str]:
    """Return why a day does not agree with its postings, or with the day before it."""
    await queries.read_snapshot(session)
    await queries.allow_time(session)
    after, before_hash = (None, None) if previous is None else (previous.day, previous.hash)
    reasons = []
    if (closed.previous_day, closed.previous_hash) != (after, before_hash):
        reasons.append("It does not follow from the day before: days are missing or were replaced.")
    if previous is None:
        for one in await queries.sum_before_books(session, org_id):
            accounts.add((one.code, one.subject_id), one.balance_vnd, one.postings)
        before = (await queries.count_before_books(session, org_id)).postings
        if before != closed.postings_before:
            reasons.append(
                f"Of before the books it counted {closed.postings_before} postings,"
                f" and {before} are there."
            )
    day_hash = DayHash(
        org_id,
        closed.day,
        previous_day=after,
        previous_hash=before_hash,
        postings_before=closed.postings_before,
        version=closed.hash_version,
    )
    found = 0
    async with aclosing(queries.stream_postings(session, org_id, closed.day, after=after)) as parts:
        async for rows in parts:
            day_hash.add_postings(rows)
            accounts.add_postings(rows)
            found += len(rows)
    if found != closed.postings:
        reasons.append(f"It was closed with {closed.postings} postings, and {found} are there.")
    stored = await queries.list_checkpoints(session, org_id, closed.day)
    reasons += _compare(stored, accounts.end_day())
    sections: Sequence[Section] = ()
    if read_sections is not None:
        sections = await read_sections(session, org_id, closed.day)
    if closed.hash_version == PLAIN_VERSION:
        if any(section.rows for section in sections):
            reasons.append("It has accounts or carried items, and was closed without them.")
        sections = ()
    computed = day_hash.finish(
        stored, sections=sections, closed_at=closed.closed_at, closed_by=closed.closed_by
    )
    if computed != closed.hash:
        reasons.append(
            f"Its hash is {closed.hash.hex()}, and what stands in it gives {computed.hex()}."
        )
    logged_hash = await _read_head(session, org_id, closed.day)
    if logged_hash != closed.hash.hex():
        reasons.append(
            f"Its hash is {closed.hash.hex()}, and the log of changes has {logged_hash}."
        )
    return reasons


async def _verify_end(session: AsyncSession, org_id: UUID, last: ClosedDay | None) -> Fault | None:
    """Hold the newest day against where the books say that they are closed."""
    day = None if last is None else last.day
    reasons = []
    closed_through = await queries.read_closed_through(session, org_id)
    if closed_through != day:
        reasons.append(f"The books are closed through {closed_through}, and the last day is {day}.")
    if last is not None:
        next_day = last.day + timedelta(days=1)
        if (logged_hash := await _read_head(session, org_id, next_day)) is not None:
            reasons.append(f"By the log of changes {next_day} was closed, too, with {logged_hash}.")
    return Fault(day=day, reasons=tuple(reasons)) if reasons else None


def _compare(stored: Sequence[Checkpoint], computed: Sequence[Checkpoint]) -> list[str]:
    """Say in which account checkpoints first differ from what the postings give."""
    if stored == computed:
        return []
    one = min(set(stored) ^ set(computed))
    account = (one.code, one.subject_id)
    words = {}
    for name, side in (("stored", stored), ("computed", computed)):
        found = [point for point in side if (point.code, point.subject_id) == account]
        words[name] = f"{found[0].balance_vnd} ₫ ({found[0].postings} legs)" if found else "nothing"
    said = f"The checkpoint of {one.code} {one.subject_id} says {words['stored']}"
    return [f"{said}, and the postings give {words['computed']}."]


async def _read_head(session: AsyncSession, org_id: UUID, day: date) -> str | None:
    """Return the hash that the log of changes has of a day."""
    changes = await list_changes(
        session, org_id, object_kind="ledger_day", object_id=subject_of_day(day), limit=1
    )
    return None if not changes or changes[0].after is None else str(changes[0].after["hash"])
