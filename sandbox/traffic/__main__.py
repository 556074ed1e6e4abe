"""python -m sandbox.traffic PLAN.json: let vehicles come, go and pay until it is told to stop.

What happens is one JSON line each; `odd` is an answer that a real phone would not understand.
"""

import asyncio
import random
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import msgspec

from sandbox.traffic.payers import Payers
from sandbox.traffic.phone import Pace, Phone
from sandbox.traffic.plan import Plan
from sandbox.traffic.site import Site
from sandbox.world import read_clock

TIMEOUT_S = 20.0


def main(arguments: list[str] | None = None) -> None:
    """Read the plan and play it."""
    (path,) = sys.argv[1:] if arguments is None else arguments
    plan = msgspec.json.decode(Path(path).read_bytes(), type=Plan)
    with suppress(asyncio.CancelledError):
        asyncio.run(_play(plan))


def _note(event: str, **facts: Any) -> None:
    line = {"event": event, "at": read_clock(), **facts}
    sys.stdout.write(f"{msgspec.json.encode(line).decode()}\n")
    sys.stdout.flush()


async def _play(plan: Plan) -> None:
    _stop_on_signals()
    chance, pace = random.Random(plan.seed), Pace()
    async with (
        httpx.AsyncClient(base_url=plan.hub_url, timeout=TIMEOUT_S, trust_env=False) as hub,
        httpx.AsyncClient(base_url=plan.sandbox_url, timeout=TIMEOUT_S, trust_env=False) as bank,
        asyncio.TaskGroup() as playing,
    ):
        payers = Payers(
            client=bank,
            pace=pace,
            chance=random.Random(chance.random()),
            stalls=plan.stalls,
            speed=plan.speed,
            read_clock=read_clock,
            note=_note,
        )
        await payers.open_account()
        for gate in plan.gates:
            site = Site(
                phone=Phone(gate, hub, pace, read_clock),
                payers=payers,
                chance=random.Random(chance.random()),
                passes=plan.passes,
                ways=plan.ways,
                has_toll=plan.has_toll,
                speed=plan.speed,
                read_clock=read_clock,
                note=_note,
            )
            playing.create_task(site.run())
        playing.create_task(payers.shop())


def _stop_on_signals() -> None:
    playing = asyncio.current_task()
    assert playing is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, playing.cancel)


if __name__ == "__main__":
    main()
