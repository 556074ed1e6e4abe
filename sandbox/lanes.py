"""Lane controllers: pretend barriers that hold a request at the hub and carry out its commands."""

import asyncio
from contextlib import suppress
from typing import Annotated, Final, Literal

import httpx
import msgspec

WAIT_S: Final = 20
PAUSE_S: Final = 0.2  # after an error
OPENINGS_KEPT: Final = 1_000

Behaviour = Literal["open", "stuck", "silent"]


class NewLane(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A lane of a hub, and the key with which its controller asks."""

    hub_url: Annotated[str, msgspec.Meta(max_length=200)]
    lot_id: str
    access_id: str
    key: str
    behaviour: Behaviour = "open"
    answers_after_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 0


class LaneChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How the barrier behaves from now on."""

    behaviour: Behaviour
    answers_after_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 0


class Lane:
    """One barrier with its controller."""

    def __init__(self, wanted: NewLane) -> None:
        self.wanted = wanted
        self.behaviour: Behaviour = wanted.behaviour
        self.answers_after_ms = wanted.answers_after_ms
        self.carried_out: list[str] = []  # ids of commands, once for each time
        self.last_error = ""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to ask for commands."""
        self._task = asyncio.get_running_loop().create_task(self._serve())

    async def stop(self) -> None:
        """Hang up."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def describe(self) -> dict[str, object]:
        """Say what it did, without its key."""
        return {
            "access_id": self.wanted.access_id,
            "behaviour": self.behaviour,
            "carried_out": self.carried_out,
            "last_error": self.last_error,
        }

    async def _serve(self) -> None:
        wanted = self.wanted
        path = f"/v1/lots/{wanted.lot_id}/accesses/{wanted.access_id}/commands"
        headers = {"Authorization": f"Bearer {wanted.key}"}
        async with httpx.AsyncClient(
            base_url=wanted.hub_url, headers=headers, timeout=WAIT_S + 10, trust_env=False
        ) as client:
            while True:
                try:
                    answer = await client.get(path, params={"wait_s": WAIT_S})
                    answer.raise_for_status()
                    command = answer.json()["command"]
                    if command is not None:
                        await self._carry_out(client, path, command["id"])
                except (httpx.HTTPError, ValueError, KeyError) as error:
                    self.last_error = repr(error)[:200]
                    await asyncio.sleep(PAUSE_S)

    async def _carry_out(self, client: httpx.AsyncClient, path: str, command_id: str) -> None:
        self.carried_out = [*self.carried_out, command_id][-OPENINGS_KEPT:]
        await asyncio.sleep(self.answers_after_ms / 1_000)
        if self.behaviour == "silent":
            return
        result = "opened" if self.behaviour == "open" else "stuck"
        answer = await client.post(f"{path}/{command_id}/result", json={"result": result})
        answer.raise_for_status()
