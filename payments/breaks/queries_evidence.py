"""SQL of what people put beside a break: notes and files."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from payments.breaks.errors import BreakFileNotFound
from payments.breaks.models import BreakFile, BreakNote


async def list_notes(session: AsyncSession, org_id: UUID, break_id: UUID) -> Sequence[BreakNote]:
    """List the notes of a break, the oldest first."""
    query = select(BreakNote).filter_by(org_id=org_id, break_id=break_id)
    return (await session.scalars(query.order_by(BreakNote.written_at, BreakNote.id))).all()


async def find_note(session: AsyncSession, org_id: UUID, note_id: UUID) -> BreakNote | None:
    """Find a note by the id that a client made."""
    return await session.get(BreakNote, (org_id, note_id))


async def find_file(session: AsyncSession, org_id: UUID, file_id: UUID) -> BreakFile | None:
    """Find a file by the id that a client made, without its content."""
    return await session.get(BreakFile, (org_id, file_id))


async def count_notes(session: AsyncSession, org_id: UUID, break_id: UUID) -> int:
    """Count the notes of a break."""
    query = select(func.count()).select_from(BreakNote)
    return int((await session.scalar(query.filter_by(org_id=org_id, break_id=break_id))) or 0)


async def list_files(session: AsyncSession, org_id: UUID, break_id: UUID) -> Sequence[BreakFile]:
    """List the files of a break in their order, without their content."""
    query = select(BreakFile).filter_by(org_id=org_id, break_id=break_id)
    return (await session.scalars(query.order_by(BreakFile.file_no))).all()


async def get_file(session: AsyncSession, org_id: UUID, break_id: UUID, file_id: UUID) -> BreakFile:
    """Return a file with its content.

    Raises:
        BreakFileNotFound
    """
    query = select(BreakFile).filter_by(org_id=org_id, break_id=break_id, id=file_id)
    found = await session.scalar(query.options(undefer(BreakFile.content)))
    if found is None:
        raise BreakFileNotFound(file_id)
    return found
