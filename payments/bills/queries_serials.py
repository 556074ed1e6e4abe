"""SQL of the serials that references are made of."""

from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from identity.organisations.models import SERVER_AND_TIMELINE
from payments.payees.queries import SKIPPED

TAKE_SERIALS = text(f"""
    UPDATE organisation_codes
    SET next_serial = next_serial + :wanted + {SKIPPED}, taken_on = {SERVER_AND_TIMELINE},
        taken_at = now()
    WHERE code = (
        SELECT code FROM organisation_codes
        WHERE org_id = :org_id AND next_serial + :wanted + {SKIPPED} <= :serials_max
        ORDER BY code LIMIT 1 FOR UPDATE)
    RETURNING code, next_serial - :wanted
""")  # noqa: S608 (our own constants)

# What this server knows at this hour, a standby or a copy of it knows too: only what is taken from
# now on may be missing there. So a code that is seldom used does not skip the months of its rest.
CONFIRM_SERIALS = text(f"""
    UPDATE organisation_codes SET taken_at = now()
    WHERE taken_on = {SERVER_AND_TIMELINE} AND taken_at < now() - INTERVAL '1 hour'
""")  # noqa: S608 (our own constant)


async def take_serials(
    session: AsyncSession, org_id: UUID, *, wanted: int, serials_max: int
) -> tuple[str, int] | None:
    """Take a run of serials: (organisation code, first serial), or None if all are used."""
    values = {"org_id": org_id, "wanted": wanted, "serials_max": serials_max}
    row = (await session.execute(TAKE_SERIALS, values)).one_or_none()
    return None if row is None else (row[0], row[1])


async def confirm_serials(session: AsyncSession) -> int:
    """Note that every code's serial was known at this hour (worker role); return how many codes."""
    result = await session.execute(CONFIRM_SERIALS)
    return int(result.rowcount)  # type: ignore[attr-defined]
