"""Download of a statement, over HTTP, without a login as everything of the sandbox."""

from datetime import date, datetime
from typing import Final

import msgspec
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.errors import BadRequest
from sandbox.ft_numbers import VIETNAM, booking_day
from sandbox.statements.faults import StatementFaults
from sandbox.statements.formats import FORMATS, write
from sandbox.statements.statement import draw_up
from sandbox.wire import world_of

NOT_FAULTS: Final = {"account", "format", "from", "to", "encoding"}


async def download(request: Request) -> Response:
    """Answer with a file. Query: `account` (BIN, a space or "-", number) and `format`.

    Besides, `from` and `to` (days as 2026-11-20; today's booking day unless given), `encoding`, and
    the fields of StatementFaults, whose seed is the sandbox's unless given.
    """
    world = world_of(request)
    query = request.query_params
    name = query.get("format", "")
    if name not in FORMATS:
        raise BadRequest(f"format must be one of {', '.join(FORMATS)}.")
    bin_, _, number = query.get("account", "").replace("-", " ").partition(" ")
    today = booking_day(world.clock())
    to_on = _day(query.get("to", ""), today)
    from_on = _day(query.get("from", ""), to_on)
    told = {key: value for key, value in query.items() if key not in NOT_FAULTS and value}
    try:
        faults = msgspec.convert({"seed": world.seed, **told}, StatementFaults, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(str(error)) from error
    statement = draw_up(world.bank, bin_, number, from_on, to_on)
    # Hundreds of pages take seconds; the banks go on meanwhile.
    content = await to_thread.run_sync(write, statement, name, faults, query.get("encoding", ""))
    form = FORMATS[name]
    file = f"sao-ke-{statement.bank_code}-{statement.number}-{from_on}-{to_on}.{form.suffix}"
    headers = {
        "Content-Type": form.media_type,  # without a charset: a file says that itself, or nothing
        "Content-Disposition": f'attachment; filename="{file}"',
    }
    return Response(content, headers=headers)


def _day(text: str, default: date) -> date:
    if not text:
        return default
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=VIETNAM).date()
    except ValueError as error:
        raise BadRequest(f"{text!r} is no day: write it as 2026-11-20.") from error


ROUTES: Final = [Route("/control/statements", download)]
