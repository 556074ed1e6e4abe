"""SQL of what is agreed with payees."""

from datetime import date, datetime
from uuid import UUID

import msgspec
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncSession

from payments.settlements.rules import Share, Terms
from payments.settlements.types import TermsFacts

# Versions of one payee are set one after the other.
LOCK_PAYEE = text("""
    SELECT id FROM payees WHERE org_id = :org_id AND id = :id FOR NO KEY UPDATE
""")

_TERMS = """
    SELECT id, payee_id, version, from_day, commission_bps, fixed_charge_vnd, charge_bps, shares,
           set_by, set_at
    FROM settlement_terms WHERE org_id = :org_id
"""
FIND = text(f"{_TERMS} AND id = :id")
LIST = text(f"{_TERMS} AND payee_id = :payee_id ORDER BY version DESC LIMIT :limit")
# Of several from the same day the newest version counts.
FIND_ON = text(f"""
    {_TERMS} AND payee_id = :payee_id AND from_day <= :day
    ORDER BY from_day DESC, version DESC LIMIT 1
""")

INSERT = text("""
    INSERT INTO settlement_terms (
        org_id, id, payee_id, version, from_day, commission_bps, fixed_charge_vnd, charge_bps,
        shares, set_by, set_at)
    VALUES (
        :org_id, :id, :payee_id, :version, :from_day, :commission_bps, :fixed_charge_vnd,
        CAST(:charge_bps AS jsonb), CAST(:shares AS jsonb), :set_by, :set_at)
""")


async def lock_payee(session: AsyncSession, org_id: UUID, payee_id: UUID) -> bool:
    """Hold back whoever else sets the terms of a payee; False: there is no such payee."""
    return await session.scalar(LOCK_PAYEE, {"org_id": org_id, "id": payee_id}) is not None


async def find_terms(session: AsyncSession, org_id: UUID, terms_id: UUID) -> TermsFacts | None:
    """Find one version by its id."""
    rows = (await session.execute(FIND, {"org_id": org_id, "id": terms_id})).mappings()
    return next((_facts(row) for row in rows), None)


async def list_versions(
    session: AsyncSession, org_id: UUID, payee_id: UUID, *, limit: int
) -> list[TermsFacts]:
    """List the versions of a payee, the newest first."""
    values = {"org_id": org_id, "payee_id": payee_id, "limit": limit}
    return [_facts(row) for row in (await session.execute(LIST, values)).mappings()]


async def find_terms_on(
    session: AsyncSession, org_id: UUID, payee_id: UUID, day: date
) -> TermsFacts | None:
    """Find the terms by which a statement is written whose first day with money is this one."""
    values = {"org_id": org_id, "payee_id": payee_id, "day": day}
    rows = (await session.execute(FIND_ON, values)).mappings()
    return next((_facts(row) for row in rows), None)


async def insert_terms(session: AsyncSession, org_id: UUID, new: TermsFacts) -> None:
    """Write a version; its number is unique in its payee."""
    values: dict[str, date | datetime | UUID | str | int] = {
        "id": new.id,
        "payee_id": new.payee_id,
        "version": new.version,
        "from_day": new.from_day,
        "commission_bps": new.terms.commission_bps,
        "fixed_charge_vnd": new.terms.fixed_charge_vnd,
        "charge_bps": msgspec.json.encode(new.terms.charge_bps).decode(),
        "shares": msgspec.json.encode(new.terms.shares).decode(),
        "set_by": new.set_by,
        "set_at": new.set_at,
    }
    await session.execute(INSERT, {"org_id": org_id, **values})


def _facts(row: RowMapping) -> TermsFacts:
    return TermsFacts(
        id=row["id"],
        payee_id=row["payee_id"],
        version=row["version"],
        from_day=row["from_day"],
        terms=Terms(
            commission_bps=row["commission_bps"],
            fixed_charge_vnd=row["fixed_charge_vnd"],
            charge_bps=row["charge_bps"],
            shares=tuple(Share(**one) for one in row["shares"]),
        ),
        set_by=row["set_by"],
        set_at=row["set_at"],
    )
