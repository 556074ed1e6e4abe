"""Reading of a file by a process of its own, with a limit on its time; items come in batches."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import structlog

from payments.statements.reading.types import (
    ColumnMapping,
    FileSample,
    ReadingOptions,
    RowError,
    StatementLine,
    StatementSummary,
)

log = structlog.get_logger()

READ_WITHIN_S: Final = 1_200.0
READER_DIED: Final = "reader_died"
BATCH_LINES: Final = 2_000
RECORD_BYTES_MAX: Final = 1024 * 1024  # a line has a few cells of 4,000 characters


class Refused(msgspec.Struct, frozen=True):
    """Nothing of the file may be kept: why."""

    reason: str  # of reading.errors.Refusal, or of this module: too_slow, reader_died
    facts: dict[str, str | int] = {}


class Top(msgspec.Struct, frozen=True):
    """The top of the file, and the saved mapping that it is read by."""

    sample: FileSample | None  # None: it is no table, or cannot be read
    saved: ColumnMapping | None


class Record(msgspec.Struct, frozen=True):
    """One item, as the process writes it."""

    top: Top | None = None
    line: StatementLine | None = None
    error: RowError | None = None
    summary: StatementSummary | None = None
    refused: Refused | None = None


class Batch(msgspec.Struct, frozen=True):
    """What was read since the last batch; the last one has the summary, or why there is none."""

    lines: list[StatementLine]
    errors: list[RowError]
    summary: StatementSummary | None = None
    refused: Refused | None = None
    top: Top | None = None  # of the first batch


async def read_in_process(
    file: Path, options: ReadingOptions, *, within_s: float = READ_WITHIN_S
) -> AsyncGenerator[Batch, None]:
    """Read a file; yield what it says, batch by batch. The process ends with the iteration.

    It knows nothing of the worker: no secret is in its environment, and what it says when it dies
    is said to nobody, since it may quote the file.

    Args:
        within_s: how long it may be waited for, whatever the caller does with a batch.
    """
    decode = msgspec.json.Decoder(Record).decode
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "payments.statements.reading",
        str(file),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": os.environ.get("PATH", ""), "PYTHONPATH": os.pathsep.join(sys.path)},
        limit=RECORD_BYTES_MAX,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    left_s = within_s
    batch = Batch(lines=[], errors=[])
    try:
        process.stdin.write(msgspec.json.encode(options))
        process.stdin.close()
        while True:
            began_s = time.monotonic()
            try:
                async with asyncio.timeout(left_s):
                    written = await process.stdout.readline()
            except TimeoutError:
                yield _refuse("too_slow", within_s=int(within_s))
                return
            left_s -= time.monotonic() - began_s
            if not written.endswith(b"\n"):  # it ended in the middle, or before its summary
                log.error("statement.reader_died", code=await process.wait())
                yield _refuse(READER_DIED)
                return
            record = decode(written)
            if record.top is not None:
                batch = Batch(lines=[], errors=[], top=record.top)
            elif record.line is not None:
                batch.lines.append(record.line)
            elif record.error is not None:
                batch.errors.append(record.error)
            else:
                yield Batch(
                    lines=batch.lines,
                    errors=batch.errors,
                    summary=record.summary,
                    refused=record.refused,
                    top=batch.top,
                )
                return
            if len(batch.lines) == BATCH_LINES:
                yield batch
                batch = Batch(lines=[], errors=[])
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def _refuse(reason: str, **facts: str | int) -> Batch:
    return Batch(lines=[], errors=[], refused=Refused(reason, facts))
