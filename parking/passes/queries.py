"""All SQL of passes, their terms and plates."""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Final
from uuid import UUID

from sqlalchemy import delete, exists, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run
from parking.passes.errors import PassNotFound
from parking.passes.models import Pass, PassPlate, PassTerm
from parking.passes.rules import PassKind, PassState
from parking.passes.types import PassView, TermView
from parking.places.models import Lot

PHONE_PLATES_MAX: Final = 5_000  # of one lot in the list that phones keep
TERMS_MAX: Final = 120  # of one pass: ten years, month by month

# Of a vehicle with several passes every one is told: which one holds, the hub decides at entry.
# All rows are one value, hashed where they lie, and are left out where the phone has them.
FIND_PHONE_PLATES = text("""
    WITH listed AS (
        SELECT p.id, v.vehicle_class, v.plate, p.kind, p.valid_from, p.valid_until
        FROM passes p
        JOIN pass_plates v ON v.org_id = p.org_id AND v.pass_id = p.id
        WHERE p.org_id = :org_id AND (p.lot_id IS NULL OR p.lot_id = :lot_id)
          AND p.in_force_at IS NOT NULL AND p.revoked_at IS NULL
          AND p.valid_until >= :from_on AND p.valid_from <= :until_on
        ORDER BY p.id, v.vehicle_class, v.plate LIMIT :limit
    ), whole AS MATERIALIZED (
        SELECT CAST(coalesce(json_agg(
            json_build_array(id, vehicle_class, plate, kind, valid_from, valid_until)
            ORDER BY id, vehicle_class, plate), '[]') AS text) AS plates
        FROM listed
    ), hashed AS MATERIALIZED (
        SELECT plates, left(encode(sha256(
            CAST(:salt AS bytea) || convert_to(plates, 'UTF8')), 'hex'), 32) AS digest
        FROM whole
    )
    SELECT digest, CASE WHEN digest <> ALL (CAST(:known AS text[])) THEN plates END FROM hashed
""")
MARK_WARNED = text("""
    UPDATE passes p SET warned_until = p.valid_until
    WHERE p.org_id = :org_id AND p.id IN (
        SELECT id FROM passes
        WHERE org_id = :org_id AND valid_until BETWEEN :today AND :until
          AND kind = 'monthly' AND in_force_at IS NOT NULL AND revoked_at IS NULL
          AND warned_until IS DISTINCT FROM valid_until
        ORDER BY id LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED)
    RETURNING p.id, p.lot_id, p.seller_lot_id, p.valid_until
""")
FIND_ENDING_ORGS = text("""
    SELECT DISTINCT org_id FROM passes
    WHERE valid_until BETWEEN :today AND :until
      AND kind = 'monthly' AND in_force_at IS NOT NULL AND revoked_at IS NULL
      AND warned_until IS DISTINCT FROM valid_until
""")


async def get_pass(session: AsyncSession, org_id: UUID, pass_id: UUID) -> Pass:
    """Return one pass.

    Raises:
        PassNotFound
    """
    found = await session.get(Pass, (org_id, pass_id))
    if found is None:
        raise PassNotFound(pass_id)
    return found


async def lock_pass(session: AsyncSession, org_id: UUID, pass_id: UUID) -> Pass:
    """Lock one pass as it is now; its bills are locked after it.

    Raises:
        PassNotFound
    """
    query = (
        select(Pass)
        .filter_by(org_id=org_id, id=pass_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    found = await session.scalar(query)
    if found is None:
        raise PassNotFound(pass_id)
    return found


async def list_terms(session: AsyncSession, org_id: UUID, pass_id: UUID) -> Sequence[PassTerm]:
    """List the terms of a locked pass, the oldest first."""
    query = (
        select(PassTerm)
        .filter_by(org_id=org_id, pass_id=pass_id)
        .order_by(PassTerm.id)
        .limit(TERMS_MAX)
        .execution_options(populate_existing=True)
    )
    return (await session.scalars(query)).all()


async def list_plates(session: AsyncSession, org_id: UUID, pass_id: UUID) -> list[str]:
    """List the compact plates of a pass, sorted."""
    query = select(PassPlate.plate).filter_by(org_id=org_id, pass_id=pass_id)
    return sorted(await session.scalars(query))


async def replace_plates(
    session: AsyncSession, org_id: UUID, pass_id: UUID, *, vehicle_class: str, plates: Sequence[str]
) -> None:
    """Let a locked pass be for these plates and no others."""
    await session.execute(delete(PassPlate).filter_by(org_id=org_id, pass_id=pass_id))
    session.add_all(
        PassPlate(org_id=org_id, pass_id=pass_id, vehicle_class=vehicle_class, plate=plate)
        for plate in plates
    )
    await session.flush()


async def list_passes(
    session: AsyncSession,
    org_id: UUID,
    *,
    today: date,
    kind: PassKind | None = None,
    state: PassState | None = None,
    lot_id: UUID | None = None,
    plate: str | None = None,
    ends_by: date | None = None,
    before_id: UUID | None = None,
    limit: int,
) -> Sequence[PassView]:
    """List passes, the newest first; every filter that is given must hold.

    Args:
        lot_id: those that hold at this lot, those for all lots among them.
        plate: compact; passes that this vehicle is on.
        ends_by: monthly passes in force whose last day is not later.
    """
    query = select(Pass).where(Pass.org_id == org_id)
    if kind is not None:
        query = query.where(Pass.kind == kind.value)
    if lot_id is not None:
        query = query.where(or_(Pass.lot_id == lot_id, Pass.lot_id.is_(None)))
    if plate is not None:
        query = query.where(
            exists().where(
                PassPlate.org_id == org_id, PassPlate.pass_id == Pass.id, PassPlate.plate == plate
            )
        )
    is_held = (Pass.in_force_at.is_not(None), Pass.revoked_at.is_(None))
    if ends_by is not None:
        query = query.where(
            *is_held, Pass.kind == "monthly", Pass.valid_until.between(today, ends_by)
        )
    if state is PassState.REVOKED:
        query = query.where(Pass.revoked_at.is_not(None))
    elif state is PassState.OVER:
        query = query.where(Pass.revoked_at.is_(None), Pass.valid_until < today)
    elif state is PassState.UNPAID:
        query = query.where(
            Pass.revoked_at.is_(None), Pass.in_force_at.is_(None), Pass.valid_until >= today
        )
    elif state is PassState.COMING:
        query = query.where(*is_held, Pass.valid_until >= today, Pass.valid_from > today)
    elif state is PassState.IN_FORCE:
        query = query.where(*is_held, Pass.valid_until >= today, Pass.valid_from <= today)
    if before_id is not None:
        query = query.where(Pass.id < before_id)
    found = (await session.scalars(query.order_by(Pass.id.desc()).limit(limit))).all()
    return await _complete(session, org_id, found)


async def view_pass(session: AsyncSession, org_id: UUID, pass_id: UUID) -> PassView:
    """Return a pass with its plates and terms.

    Raises:
        PassNotFound
    """
    (view,) = await _complete(session, org_id, [await get_pass(session, org_id, pass_id)])
    return view


async def find_phone_plates(
    session: AsyncSession,
    org_id: UUID,
    lot_id: UUID,
    *,
    from_on: date,
    until_on: date,
    salt: bytes,
    known: Sequence[str],
) -> tuple[str, str | None]:
    """Find vehicles on passes that hold at a lot on some of these days; one more than the most.

    Args:
        salt: what else the answer is made of.
        known: digests of lists that the caller has.

    Returns:
        The digest of the list, 32 hexadecimal digits, and the list, or None where it is known: a
        JSON array of [pass, vehicle class, plate, kind, first day, last day].
    """
    values = {
        "org_id": org_id,
        "lot_id": lot_id,
        "from_on": from_on,
        "until_on": until_on,
        "limit": PHONE_PLATES_MAX + 1,
        "salt": salt,
        "known": list(known),
    }
    ((digest, plates),) = await run(session, FIND_PHONE_PLATES, values)
    return digest, plates


async def mark_warned(
    session: AsyncSession, org_id: UUID, *, today: date, until: date, limit: int
) -> list[tuple[UUID, UUID | None, UUID | None, date]]:
    """Mark passes that end by a day as announced; return (pass, lot, seller's lot, last day)."""
    values = {"org_id": org_id, "today": today, "until": until, "limit": limit}
    return [(row[0], row[1], row[2], row[3]) for row in await run(session, MARK_WARNED, values)]


async def find_ending_orgs(session: AsyncSession, *, today: date, until: date) -> list[UUID]:
    """Find organisations with passes whose end is to be announced."""
    rows = await run(session, FIND_ENDING_ORGS, {"today": today, "until": until})
    return [row[0] for row in rows]


async def find_lot_payees(
    session: AsyncSession, org_id: UUID, lot_ids: Collection[UUID]
) -> dict[UUID, UUID]:
    """Return whose money the lots' is: {lot: payee}."""
    query = select(Lot.id, Lot.payee_id).where(Lot.org_id == org_id, Lot.id.in_(lot_ids))
    return {row[0]: row[1] for row in await session.execute(query)}


async def _complete(session: AsyncSession, org_id: UUID, passes: Sequence[Pass]) -> list[PassView]:
    """Add the names of lots, plates and terms to passes, in a query each."""
    ids = [one.id for one in passes]
    plates: dict[UUID, list[str]] = {id_: [] for id_ in ids}
    terms: dict[UUID, list[TermView]] = {id_: [] for id_ in ids}
    of_plates = select(PassPlate.pass_id, PassPlate.plate).where(
        PassPlate.org_id == org_id, PassPlate.pass_id.in_(ids)
    )
    for pass_id, plate in await session.execute(of_plates.order_by(PassPlate.plate)):
        plates[pass_id].append(plate)
    of_terms = select(PassTerm).where(PassTerm.org_id == org_id, PassTerm.pass_id.in_(ids))
    for term in await session.scalars(of_terms.order_by(PassTerm.id)):
        terms[term.pass_id].append(view_term(term))
    lot_ids = {one.lot_id for one in passes if one.lot_id is not None}
    of_lots = select(Lot.id, Lot.name).where(Lot.org_id == org_id, Lot.id.in_(lot_ids))
    names = {row[0]: row[1] for row in await session.execute(of_lots)}
    return [_view(one, names, plates[one.id], terms[one.id]) for one in passes]


def view_term(term: PassTerm) -> TermView:
    """Return a term's facts."""
    return TermView(
        id=term.id,
        first_on=term.first_on,
        last_on=term.last_on,
        months=term.months,
        price_vnd=term.price_vnd,
        bill_id=term.bill_id,
        collection_id=term.collection_id,
        in_force_at=term.in_force_at,
        cancelled_at=term.cancelled_at,
    )


def _view(one: Pass, names: dict[UUID, str], plates: list[str], terms: list[TermView]) -> PassView:
    return PassView(
        id=one.id,
        lot_id=one.lot_id,
        lot_name=names[one.lot_id] if one.lot_id is not None else None,
        seller_lot_id=one.seller_lot_id,
        vehicle_class=one.vehicle_class,
        kind=one.kind,
        holder_name=one.holder_name,
        holder_contact=one.holder_contact,
        valid_from=one.valid_from,
        valid_until=one.valid_until,
        price_vnd=one.price_vnd,
        exempt_as=one.exempt_as,
        reason=one.reason,
        in_force_at=one.in_force_at,
        revoked_at=one.revoked_at,
        created_at=one.created_at,
        plates=tuple(plates),
        terms=tuple(terms),
    )
