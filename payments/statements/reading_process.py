"""Reading of a file by a process of its own, with a limit on its time; items come in batches."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import structlog

from payments.statements.reading.types import (
    ReadingOptions,
    RowError,
    StatementLine,
    StatementSummary,
)

log = structlog.get_logger()

READ_WITHIN_S: Final = 1_200.0
BATCH_LINES: Final = 2_000
RECORD_BYTES_MAX: Final = 1024 * 1024  # a line has a few cells of 4,000 characters


class Refused(msgspec.Struct, frozen=True):
    """Nothing of the file may be kept: why."""

    reason: str  # of reading.errors.Refusal, or of this module: too_slow, reader_died
    facts: dict[str, str | int] = {}


class Record(msgspec.Struct, frozen=True):
    """One item, as the process writes it."""

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


async def read_in_process(
    file: Path, options: ReadingOptions, *, within_s: float = READ_WITHIN_S
) -> AsyncIterator[Batch]:
    """Read a file; yield what it says, batch by batch. The process ends with the iteration."""
    decode = msgspec.json.Decoder(Record).decode
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "payments.statements.reading",
        str(file),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=RECORD_BYTES_MAX,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    batch = Batch(lines=[], errors=[])
    try:
        async with asyncio.timeout(within_s):
            process.stdin.write(msgspec.json.encode(options))
            process.stdin.close()
            while written := await process.stdout.readline():
                record = decode(written)
                if record.line is not None:
                    batch.lines.append(record.line)
                elif record.error is not None:
                    batch.errors.append(record.error)
                else:
                    yield Batch(
                        lines=batch.lines,
                        errors=batch.errors,
                        summary=record.summary,
                        refused=record.refused,
                    )
                    return
                if len(batch.lines) == BATCH_LINES:
                    yield batch
                    batch = Batch(lines=[], errors=[])
            code = await process.wait()
        log.error("statement.reader_died", code=code)
        yield Batch(lines=[], errors=[], refused=Refused("reader_died"))
    except TimeoutError:
        yield Batch(lines=[], errors=[], refused=Refused("too_slow", {"within_s": int(within_s)}))
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
