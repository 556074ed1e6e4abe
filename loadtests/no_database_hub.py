"""A hub whose entries are answered without a database: what is left is the way in Python.

Run as `python -m loadtests.no_database_hub FD`, as ops.hub_process.
"""

import sys

from core.clock import read_clock
from ops import hub_process
from parking.sessions.rules import EntryAnswer, EntryRequest, Verdict
from parking.sessions.writer import EntryWriter


async def answer_at_once(self: EntryWriter, request: EntryRequest) -> EntryAnswer:
    """Say that the vehicle came in."""
    return EntryAnswer(
        verdict=Verdict.OPENED,
        session_id=request.id,
        ticket_key=request.ticket_key,
        entered_at=read_clock(),
        inside_count=1,
        capacity=1,
    )


if __name__ == "__main__":
    EntryWriter.enter = answer_at_once  # type: ignore[method-assign]
    hub_process.main(int(sys.argv[1]))
