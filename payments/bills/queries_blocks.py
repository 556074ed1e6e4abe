"""SQL of blocks of references. A block is found by its serials, never by looking them all up."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run
from payments.bills.blocks_rules import BlockFacts
from payments.payees.rules import PayeeRoute

COLUMNS = """
    k.id, k.device_id, k.link_id, k.payee_id, k.receiving_account_id, k.virtual_account, k.code,
    k.first_serial, k.last_serial, k.issued_at, k.expires_at,
    least(k.expires_at, d.revoked_at)
"""
FIELDS = tuple(field.name for field in fields(BlockFacts))  # the order of COLUMNS
FROM_BLOCKS = """
    FROM reference_blocks k JOIN devices d ON d.org_id = k.org_id AND d.id = k.device_id
"""
INSERT_BLOCK = text("""
    INSERT INTO reference_blocks (
        org_id, id, device_id, link_id, payee_id, receiving_account_id, virtual_account, code,
        first_serial, last_serial, issued_at, expires_at)
    VALUES (
        :org_id, :id, :device_id, :link_id, :payee_id, :receiving_account_id, :virtual_account,
        :code, :first_serial, :last_serial, :issued_at, :expires_at)
    ON CONFLICT (org_id, id) DO NOTHING
    RETURNING id
""")
FIND_BLOCK = text(f"SELECT {COLUMNS} {FROM_BLOCKS} WHERE k.org_id = :org_id AND k.id = :id")
LIST_BLOCKS = text(f"""
    SELECT {COLUMNS} {FROM_BLOCKS}
    WHERE k.org_id = :org_id AND k.device_id = :device_id AND k.issued_at > :since
    ORDER BY k.issued_at DESC, k.id LIMIT :limit
""")
COUNT_BLOCKS = text("""
    SELECT count(*) FROM reference_blocks
    WHERE org_id = :org_id AND device_id = :device_id AND issued_at > :since
""")
# Of each serial the last block that begins before it: blocks of a code do not overlap.
FIND_ISSUED = text(f"""
    SELECT t.n, {COLUMNS}
    FROM unnest(CAST(:codes AS text[]), CAST(:serials AS integer[]))
         WITH ORDINALITY AS t (code, serial, n)
    CROSS JOIN LATERAL (
        SELECT * FROM reference_blocks
        WHERE org_id = :org_id AND code = t.code AND first_serial <= t.serial
        ORDER BY first_serial DESC LIMIT 1) AS k
    JOIN devices d ON d.org_id = k.org_id AND d.id = k.device_id
    WHERE k.last_serial >= t.serial
""")  # noqa: S608 (our own constant)
# Whatever became of the link since: the codes name its account.
FIND_ROUTE = text("""
    SELECT l.id, p.id, p.name, p.place, a.id, a.bin, a.account_number, l.virtual_account,
           a.holder_name
    FROM payee_accounts l
    JOIN payees p ON p.org_id = l.org_id AND p.id = l.payee_id
    JOIN receiving_accounts a ON a.org_id = l.org_id AND a.id = l.receiving_account_id
    WHERE l.org_id = :org_id AND l.id = :link_id
""")
FIND_BILL_ID = text("SELECT id FROM bills WHERE org_id = :org_id AND reference = :reference")

ROUTE_FIELDS = tuple(field.name for field in fields(PayeeRoute))  # the order of FIND_ROUTE


def _read(row: Row[Any] | tuple[Any, ...]) -> BlockFacts:
    return BlockFacts(**dict(zip(FIELDS, row, strict=True)))


async def insert_block_once(session: AsyncSession, org_id: UUID, block: BlockFacts) -> bool:
    """Store a new block; False if its id is taken."""
    values = {name: getattr(block, name) for name in FIELDS if name != "ends_at"}
    result = await session.execute(INSERT_BLOCK, {"org_id": org_id, **values})
    return result.one_or_none() is not None


async def find_block(session: AsyncSession, org_id: UUID, block_id: UUID) -> BlockFacts | None:
    """Find one block."""
    row = (await session.execute(FIND_BLOCK, {"org_id": org_id, "id": block_id})).one_or_none()
    return None if row is None else _read(row)


async def list_blocks(
    session: AsyncSession, org_id: UUID, device_id: UUID, *, since: datetime, limit: int
) -> list[BlockFacts]:
    """List a device's blocks that were issued since then, the last first."""
    values = {"org_id": org_id, "device_id": device_id, "since": since, "limit": limit}
    return [_read(row) for row in await session.execute(LIST_BLOCKS, values)]


async def count_blocks(
    session: AsyncSession, org_id: UUID, device_id: UUID, *, since: datetime
) -> int:
    """Count a device's blocks that were issued since then."""
    values = {"org_id": org_id, "device_id": device_id, "since": since}
    return int((await session.execute(COUNT_BLOCKS, values)).scalar_one())


async def find_issued(
    session: AsyncSession, org_id: UUID, places: Mapping[str, tuple[str, int]]
) -> dict[str, BlockFacts]:
    """Find the blocks that references lie in, by the organisation code and serial of each."""
    wanted = list(places)
    values = {
        "org_id": org_id,
        "codes": [places[reference][0] for reference in wanted],
        "serials": [places[reference][1] for reference in wanted],
    }
    rows = await run(session, FIND_ISSUED, values)
    return {wanted[int(row[0]) - 1]: _read(tuple(row)[1:]) for row in rows}


async def get_block_route(session: AsyncSession, org_id: UUID, block: BlockFacts) -> PayeeRoute:
    """Return where the money of a block's codes goes, in force still or not."""
    values = {"org_id": org_id, "link_id": block.link_id}
    row = (await session.execute(FIND_ROUTE, values)).one()
    return PayeeRoute(**dict(zip(ROUTE_FIELDS, row, strict=True)))


async def find_bill_id(session: AsyncSession, org_id: UUID, reference: str) -> UUID | None:
    """Find the bill that has a reference."""
    found: UUID | None = await session.scalar(
        FIND_BILL_ID, {"org_id": org_id, "reference": reference}
    )
    return found
