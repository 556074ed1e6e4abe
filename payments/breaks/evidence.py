"""Notes and files that people put beside a break. Nothing of it is ever changed or taken away."""

from datetime import datetime
from hashlib import sha256
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.masking import mask_plates
from core.text import check_lines
from payments.breaks import queries_evidence as queries
from payments.breaks.errors import (
    BreakFileIdTaken,
    BreakFileNotTaken,
    BreakFull,
    BreakNoteIdTaken,
)
from payments.breaks.models import BreakFile, BreakNote
from payments.breaks.queries import lock_break
from payments.breaks.rules import FILE_BYTES_MAX, FILES_MAX, NOTES_MAX, sniff


async def add_note(
    session: AsyncSession,
    org_id: UUID,
    break_id: UUID,
    *,
    note_id: UUID,
    words: str,
    actor: Actor,
    now: datetime,
) -> BreakNote:
    """Write a note, be the break open or closed; plates in it are masked.

    Args:
        note_id: made by the client: the same again answers the first.

    Raises:
        BreakNotFound
        BreakNoteIdTaken: the id came with other words, by another, or for another break.
        BreakFull: it has as many notes as a break may have.
    """
    check_lines(words=words)
    words = mask_plates(words)
    assert actor.id is not None
    await lock_break(session, org_id, break_id)
    if (known := await queries.find_note(session, org_id, note_id)) is not None:
        if (known.break_id, known.words, known.written_by) != (break_id, words, actor.id):
            raise BreakNoteIdTaken(note_id)
        return known
    if await queries.count_notes(session, org_id, break_id) >= NOTES_MAX:
        raise BreakFull(NOTES_MAX)
    note = BreakNote(
        org_id=org_id,
        id=note_id,
        break_id=break_id,
        words=words,
        written_by=actor.id,
        written_at=now,
    )
    session.add(note)
    try:
        await session.flush()
    except IntegrityError as error:  # the same id came for another break while we wrote
        if "pk_break_notes" not in str(error.orig):
            raise
        raise BreakNoteIdTaken(note_id) from error
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="break.noted",
        object_kind="break",
        object_id=break_id,
        after={"note_id": str(note_id)},
        now=now,
    )
    return note


async def add_file(
    session: AsyncSession,
    org_id: UUID,
    break_id: UUID,
    *,
    file_id: UUID,
    file_name: str,
    content: bytes,
    actor: Actor,
    now: datetime,
) -> BreakFile:
    """Keep a file beside a break. The same content again is the same file.

    Args:
        file_id: made by the client: the same again answers the first.
        file_name: for people; what the file is, its first bytes say.

    Raises:
        BreakNotFound
        BreakFileNotTaken: no PDF, PNG or JPEG; empty, or larger than 5 MiB.
        BreakFileIdTaken: the id came with another file, or for another break.
        BreakFull: ten are there.
    """
    check_lines(file_name=file_name)
    content_type = sniff(content)
    if content_type is None or len(content) > FILE_BYTES_MAX:
        raise BreakFileNotTaken
    digest = sha256(content).digest()
    assert actor.id is not None
    await lock_break(session, org_id, break_id)
    if (known := await queries.find_file(session, org_id, file_id)) is not None:
        if (known.break_id, known.content_hash) != (break_id, digest):
            raise BreakFileIdTaken(file_id)
        return known
    files = await queries.list_files(session, org_id, break_id)
    for one in files:
        if one.content_hash == digest:
            return one
    if len(files) >= FILES_MAX:
        raise BreakFull(FILES_MAX)
    file = BreakFile(
        org_id=org_id,
        id=file_id,
        break_id=break_id,
        file_no=len(files) + 1,
        file_name=mask_plates(file_name),
        content_type=content_type,
        content_bytes=len(content),
        content_hash=digest,
        content=content,
        added_by=actor.id,
        added_at=now,
    )
    session.add(file)
    try:
        await session.flush()
    except IntegrityError as error:
        if "pk_break_files" not in str(error.orig):
            raise
        raise BreakFileIdTaken(file_id) from error
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="break.file_added",
        object_kind="break",
        object_id=break_id,
        after={"file_id": str(file_id), "sha256": digest.hex(), "bytes": len(content)},
        now=now,
    )
    return file
