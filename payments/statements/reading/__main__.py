"""The process that reads one file: `python -m payments.statements.reading FILE`.

Files come from anywhere, so they are read by a process of their own, with limits of its own: one
that takes all memory or time takes nobody else's. Options are JSON on standard input; items are
JSON lines on standard output: one `{"top": …}`, `{"line": …}`, `{"error": …}`, at the end one
`{"summary": …}`, or `{"refused": …}` where nothing of the file may be kept.
"""

import resource
import sys
from pathlib import Path
from typing import Final

import msgspec

from payments.statements.reading.errors import StatementError
from payments.statements.reading.formats import read_statement
from payments.statements.reading.sample import apply_saved, take_sample
from payments.statements.reading.types import ReadingOptions, RowError, StatementLine

MEMORY_BYTES_MAX: Final = 1536 * 1024 * 1024  # of addresses; what is used is a third of it
CPU_S_MAX: Final = 900
LIMITS: Final = {
    resource.RLIMIT_AS: MEMORY_BYTES_MAX,
    resource.RLIMIT_CPU: CPU_S_MAX,
    resource.RLIMIT_FSIZE: 0,  # it writes to its pipe only
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_NOFILE: 64,
}


def main() -> None:
    """Read the file that is named, and write what it says."""
    for limit, most in LIMITS.items():
        _, hard = resource.getrlimit(limit)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (most, most))
    options = msgspec.json.decode(sys.stdin.buffer.read(), type=ReadingOptions)
    encode, write = msgspec.json.Encoder().encode, sys.stdout.buffer.write
    with Path(sys.argv[1]).open("rb") as file:
        sample = take_sample(file, options)
        reading = apply_saved(options, sample)
        saved = None if reading.mapping is options.mapping else reading.mapping
        write(encode({"top": {"sample": sample, "saved": saved}}) + b"\n")
        try:
            for item in read_statement(file, reading):
                if isinstance(item, StatementLine):
                    write(encode({"line": item}))
                elif isinstance(item, RowError):
                    write(encode({"error": item}))
                else:
                    write(encode({"summary": item}))
                write(b"\n")
        except StatementError as refused:
            write(encode({"refused": {"reason": refused.reason, "facts": refused.facts}}))
            write(b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
