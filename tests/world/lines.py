"""Statement lines of a stall's account, written as the import leaves them, and their matching."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from core.clock import hanoi_day
from core.db import Database
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.credits.queries import list_org_codes
from payments.ledger import service as ledger
from payments.ledger.rules import AccountCode, AccountKey
from payments.reconciliation import matching
from tests.world.constants import NOON
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.stalls import PayableStall

TODAY = hanoi_day(NOON)

INSERT_STATEMENT = text("""
    INSERT INTO statements (
        org_id, id, receiving_account_id, file_sha256, file_name, file_bytes, is_pasted, status,
        period_from, period_to, line_count, created_at)
    VALUES (:org_id, :id, :account_id, sha256(CAST(CAST(:id AS text) AS bytea)), 'sao-ke.csv', 1,
            false, 'visible', :first, :last, :count, now())
""")
INSERT_DAY = text("""
    INSERT INTO statement_days (
        org_id, receiving_account_id, day, statement_id, line_count, in_vnd, out_vnd, closing_vnd)
    VALUES (:org_id, :account_id, :day, :id, :count, :in_vnd, :out_vnd, NULL)
    ON CONFLICT (org_id, receiving_account_id, day) DO UPDATE SET
        line_count = statement_days.line_count + excluded.line_count,
        in_vnd = statement_days.in_vnd + excluded.in_vnd,
        out_vnd = statement_days.out_vnd + excluded.out_vnd
""")
INSERT_LINE = text("""
    INSERT INTO statement_lines (
        org_id, id, line_no, booked_on, is_date_only, direction, amount_vnd, bank_reference,
        provider_line_id, memo, is_reversal, statement_id, receiving_account_id, open_vnd)
    VALUES (:org_id, :line_id, :line_no, :booked_on, true, :direction, :amount_vnd,
            :bank_reference, :provider_line_id, :memo, false, :id, :account_id, :amount_vnd)
""")


@dataclass(frozen=True, kw_only=True)
class Line:
    """What a bank's statement says of one movement; money out is below zero."""

    amount_vnd: int = 20_000
    memo: str = "NGUYEN VAN A chuyen tien"
    bank_reference: str = ""
    provider_line_id: str | None = None
    booked_on: date = TODAY


async def add_lines(database: Database, stall: PayableStall, *lines: Line) -> list[UUID]:
    """Write lines of one visible statement of the stall's account; return their ids."""
    statement_id = new_id()
    days = sorted({line.booked_on for line in lines})
    shared = {"org_id": stall.org.id, "id": statement_id, "account_id": stall.account_id}
    ids = [new_id() for _ in lines]
    async with open_org_transaction(database, stall.org.id) as session:
        await session.execute(
            INSERT_STATEMENT,
            {**shared, "first": days[0], "last": days[-1], "count": len(lines)},
        )
        for day in days:
            amounts = [line.amount_vnd for line in lines if line.booked_on == day]
            sums = {
                "day": day,
                "count": len(amounts),
                "in_vnd": sum(one for one in amounts if one > 0),
                "out_vnd": -sum(one for one in amounts if one < 0),
            }
            await session.execute(INSERT_DAY, {**shared, **sums})
        for number, (id_, line) in enumerate(zip(ids, lines, strict=True), 1):
            facts = {
                "line_id": id_,
                "line_no": number,
                "booked_on": line.booked_on,
                "direction": "in" if line.amount_vnd > 0 else "out",
                "amount_vnd": abs(line.amount_vnd),
                "bank_reference": line.bank_reference,
                "provider_line_id": line.provider_line_id,
                "memo": line.memo,
            }
            await session.execute(INSERT_LINE, {**shared, **facts})
    return ids


async def match(
    database: Database, stall: PayableStall, *, chunk: int = 5_000, now: datetime = NOON
) -> int:
    """Match all that is open of the stall's account, as the job does; return how many proofs."""
    org_id, account_id = stall.org.id, stall.account_id
    async with open_org_transaction(database, org_id) as session:
        await matching.begin_run(session, org_id, account_id, now=now)
        codes = await list_org_codes(session, org_id)
    place, proofs = matching.BEGIN, 0
    while True:
        async with open_org_transaction(database, org_id) as session:
            done = await matching.match_credits(
                session, org_id, account_id, codes=codes, after=place, limit=chunk, now=now
            )
        if done is None:
            break
        place, proofs = done.last, proofs + done.proofs
    async with open_org_transaction(database, org_id) as session:
        found, _ = await matching.find_refund_lines(
            session, org_id, account_id, after=matching.BEGIN, limit=chunk
        )
    for named in found:
        async with open_org_transaction(database, org_id) as session:
            await matching.match_refund(session, org_id, account_id, named, now=now)
    return proofs


async def read_proofs(
    database: Database, stall: PayableStall
) -> dict[UUID, tuple[str, list[Mapping[str, Any]]]]:
    """Return line → (rule, its proofs in force), for lines that are explained."""
    async with open_org_transaction(database, stall.org.id) as session:
        rows = (
            await session.execute(
                text(
                    "SELECT p.*, c.memo, c.bank_reference FROM proofs p"
                    " LEFT JOIN bank_transactions c ON c.org_id = p.org_id AND c.id = p.credit_id"
                    " WHERE p.reversed_at IS NULL ORDER BY p.id"
                )
            )
        ).mappings()
        found: dict[UUID, tuple[str, list[Mapping[str, Any]]]] = {}
        for row in rows:
            found.setdefault(row["line_id"], (row["rule"], []))[1].append(dict(row))
    return found


async def read_rules(
    database: Database, stall: PayableStall, line_ids: Sequence[UUID]
) -> list[str | None]:
    """Return by which rule each line is explained; None: it is open."""
    proofs = await read_proofs(database, stall)
    return [proofs[one][0] if one in proofs else None for one in line_ids]


async def receive(
    database: Database,
    stall: PayableStall,
    *,
    amount_vnd: int = 20_000,
    memo: str = "NGUYEN VAN A chuyen tien",
    days_before: int = 0,
    now: datetime = NOON,
    **facts: Any,
) -> None:
    """Let a callback report money, and process it."""
    occurred_at = now - timedelta(days=days_before)
    body = sepay_body(stall, amount_vnd=amount_vnd, memo=memo, occurred_at=occurred_at, **facts)
    await store_notices(database, stall, body, now=now)
    await process_waiting(database, stall, now=now)


async def read_bank(database: Database, stall: PayableStall) -> int:
    """Return what the books say is on the stall's account, in đồng."""
    async with open_org_transaction(database, stall.org.id) as session:
        key = AccountKey(code=AccountCode.BANK, subject_id=stall.account_id)
        return -await ledger.read_balance(session, stall.org.id, key)
