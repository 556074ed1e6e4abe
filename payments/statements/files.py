"""Files of statements: received with limits, kept in parts, and put on the disk to be read."""

import asyncio
import tempfile
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.tenancy import open_org_transaction
from payments.statements import queries
from payments.statements.errors import StatementFileEmpty, StatementFileTooLarge
from payments.statements.reading.types import FILE_BYTES_MAX

PACKED_AT: Final = 1  # the quickest level: a tenth is left of a CSV all the same
PART_BYTES: Final = 1024 * 1024  # unpacked; what a process holds of a file at once
IN_MEMORY_BYTES: Final = 1024 * 1024  # a day of most accounts; more goes to the disk


@dataclass(frozen=True, kw_only=True)
class ReceivedFile:
    """A file that was received whole, and is not kept yet."""

    content: IO[bytes]
    sha256: bytes
    bytes: int


@asynccontextmanager
async def receive_file(
    stream: AsyncIterator[bytes], *, bytes_max: int = FILE_BYTES_MAX
) -> AsyncIterator[ReceivedFile]:
    """Take a file from a request; it goes with the block.

    Raises:
        StatementFileEmpty, StatementFileTooLarge
    """
    digest, size = sha256(), 0
    with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES) as content:
        async for piece in stream:
            size += len(piece)
            if size > bytes_max:
                raise StatementFileTooLarge(bytes_max)
            digest.update(piece)
            content.write(piece)
        if not size:
            raise StatementFileEmpty
        yield ReceivedFile(content=content, sha256=digest.digest(), bytes=size)


async def keep_file(session: AsyncSession, org_id: UUID, file: ReceivedFile) -> None:
    """Keep a file with the running transaction; one that is kept already is fine."""
    file.content.seek(0)
    part_no = 0
    while piece := file.content.read(PART_BYTES):
        packed = await asyncio.to_thread(zlib.compress, piece, PACKED_AT)  # not beside callbacks
        await queries.insert_part_once(session, org_id, file.sha256, part_no, packed)
        part_no += 1


@asynccontextmanager
async def open_copy(database: Database, org_id: UUID, file_sha256: bytes) -> AsyncIterator[Path]:
    """Put a kept file on the disk for as long as the block runs."""
    digest = sha256()
    with tempfile.NamedTemporaryFile(prefix="phopay-statement-") as copy:
        async with open_org_transaction(database, org_id) as session:
            for part_no in await queries.list_parts(session, org_id, file_sha256):
                packed = await queries.read_part(session, org_id, file_sha256, part_no)
                piece = await asyncio.to_thread(zlib.decompress, packed)
                digest.update(piece)
                copy.write(piece)
        copy.flush()
        if digest.digest() != file_sha256:
            msg = f"the kept file {file_sha256.hex()} is not what its name says"
            raise RuntimeError(msg)
        yield Path(copy.name)
