"""Files of tax exports: written row by row to the disk, kept in compressed parts, read in parts."""

import asyncio
import zlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import IO, Final, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.spreadsheets import BOM, Cell, Sheet, write_csv
from core.tenancy import open_org_transaction
from parking.tax_exports import queries
from parking.tax_exports.errors import TaxExportGone, TaxExportNotReady
from parking.tax_exports.models import TaxExport
from parking.tax_exports.rules import KEPT_FOR, FileFormat, sheet_name

PACKED_AT: Final = 1  # the quickest level: a tenth is left of a CSV all the same
PART_BYTES: Final = 1024 * 1024  # unpacked; what a process holds of a file at once
IN_MEMORY_BYTES: Final = 4 * 1024 * 1024


class KeptFile(NamedTuple):
    """What a file is, as it was kept."""

    size_bytes: int
    digest: bytes


class RowWriter(ABC):
    """A file that rows are written to. Use it in a thread."""

    @abstractmethod
    def add(self, rows: Sequence[Sequence[Cell]]) -> None:
        """Write more rows."""

    @abstractmethod
    def close(self) -> IO[bytes]:
        """Return the file, open at its beginning."""


class CsvWriter(RowWriter):
    """CSV in UTF-8 with its mark, so that Excel reads it as such."""

    def __init__(self, heads: Sequence[str]) -> None:
        self._file: IO[bytes] = SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115
        self._file.write((BOM + write_csv([heads])).encode())

    def add(self, rows: Sequence[Sequence[Cell]]) -> None:
        """Write more rows."""
        self._file.write(write_csv(rows).encode())

    def close(self) -> IO[bytes]:
        """Return the file, open at its beginning."""
        self._file.seek(0)
        return self._file


class XlsxWriter(RowWriter):
    """XLSX whose texts are texts, with a sheet for each million rows."""

    def __init__(self, heads: Sequence[str]) -> None:
        self._sheet = Sheet(sheet_name(), heads)

    def add(self, rows: Sequence[Sequence[Cell]]) -> None:
        """Write more rows."""
        self._sheet.add(rows)

    def close(self) -> IO[bytes]:
        """Return the file, open at its beginning."""
        return self._sheet.close_file()


def open_writer(format_: FileFormat, heads: Sequence[str]) -> RowWriter:
    """Open a file of a format."""
    return CsvWriter(heads) if format_ is FileFormat.CSV else XlsxWriter(heads)


async def keep_file(
    session: AsyncSession, org_id: UUID, export_id: UUID, file: IO[bytes]
) -> KeptFile:
    """Keep a file with the running transaction, part by part."""
    digest, size, part_no = sha256(), 0, 0
    while piece := await asyncio.to_thread(file.read, PART_BYTES):
        digest.update(piece)
        size += len(piece)
        packed = await asyncio.to_thread(zlib.compress, piece, PACKED_AT)
        await queries.insert_part(session, org_id, export_id, no=part_no, content=packed)
        part_no += 1
    return KeptFile(size, digest.digest())


def check_readable(export: TaxExport, *, now: datetime) -> None:
    """Let a file be downloaded that is written and kept.

    Raises:
        TaxExportNotReady, TaxExportGone
    """
    if export.made_at is None:
        raise TaxExportNotReady
    if export.made_at < now - KEPT_FOR:
        raise TaxExportGone


async def read_file(database: Database, org_id: UUID, export_id: UUID) -> AsyncIterator[bytes]:
    """Read a kept file, each part in a transaction of its own: a client may be slow."""
    part_no = 0
    while True:
        async with open_org_transaction(database, org_id) as session:
            packed = await queries.read_part(session, org_id, export_id, part_no)
        if packed is None:
            return
        yield await asyncio.to_thread(zlib.decompress, packed)
        part_no += 1
