"""Open pages that receive events, and events for them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any
from uuid import UUID

import anyio
import httpx
from fastapi import FastAPI, Request
from sqlalchemy import text
from starlette.responses import StreamingResponse

from api.app import create_app
from api.http.deps import public, requires
from api.live.streams import stream_events
from core.clock import read_clock
from core.ids import new_id
from core.settings import Settings
from core.tenancy import open_org_transaction
from identity.people.callers import Caller
from identity.people.rules import Permission
from payments.outbox import service as outbox
from payments.outbox.models import Event
from payments.outbox.rules import EventKind, NewEvent
from payments.outbox.wake_ups import EventFacts, write_wake_up
from tests.world.hubs import Hub


def with_streams(settings: Settings) -> FastAPI:
    """The hub with one route for staff and one for strangers."""
    app = create_app(settings)

    @app.get("/v1/live")
    async def stream(
        request: Request,
        caller: Annotated[Caller, requires(Permission.EVENTS_READ)],
        payee_id: UUID | None = None,
        account_id: UUID | None = None,
        bill_id: UUID | None = None,
        last_event_id: str | None = None,
        may_replace: bool = True,
    ) -> StreamingResponse:
        async def find_account() -> UUID | None:
            return account_id

        return await stream_events(
            request,
            org_id=caller.org_id,
            payee_id=payee_id,
            bill_id=bill_id,
            last_event_id=last_event_id,
            find_account=find_account,
            may_replace=may_replace,
        )

    @app.get("/live/{org_id}/{bill_id}", dependencies=[public])
    async def stream_bill(request: Request, org_id: UUID, bill_id: UUID) -> StreamingResponse:
        def only_kind(event: EventFacts) -> str | None:
            return "{}" if event.kind.startswith("bill.") else None

        return await stream_events(request, org_id=org_id, bill_id=bill_id, shape=only_kind)

    return app


class Screen:
    """An open page: receives events as an EventSource does."""

    def __init__(self, answer: httpx.Response) -> None:
        self.answer = answer
        self.lines = answer.aiter_lines()

    async def receive(self, *, within_s: float = 5) -> dict[str, str]:
        """Return the fields of the next event; what a stream says of itself is none."""
        fields: dict[str, str] = {}
        with anyio.fail_after(within_s):
            async for line in self.lines:
                name, _, value = line.partition(": ")
                if line.startswith(":") or name == "retry":
                    continue
                if line:
                    fields[name] = value
                elif "data" in fields:
                    is_news = fields["event"] not in ("hello", "caught-up", "tick")
                    if is_news or (fields["event"] == "tick" and "id" in fields):
                        return fields
                    fields = {}
        raise EOFError

    async def receive_id_of(self, name: str, *, within_s: float = 5) -> str:
        """Return the id that the next event of a name carries."""
        fields: dict[str, str] = {}
        with anyio.fail_after(within_s):
            async for line in self.lines:
                key, _, value = line.partition(": ")
                if not line and fields.get("event") == name:
                    return fields.get("id", "")
                fields = {**fields, key: value} if line else {}
        raise EOFError

    async def receive_names(self, wanted: int) -> list[str]:
        """Return the names of the next events, those that a stream says of itself too."""
        names: list[str] = []
        with anyio.fail_after(20):
            async for line in self.lines:
                if line.startswith("event: "):
                    names.append(line.removeprefix("event: "))
                if len(names) == wanted:
                    return names
        raise EOFError

    async def receive_end(self, *, within_s: float = 5) -> list[dict[str, str]]:
        """Return what still comes before the stream ends."""
        heard = []
        while True:
            try:
                heard.append(await self.receive(within_s=within_s))
            except EOFError:
                return heard


@asynccontextmanager
async def watching(
    client: httpx.AsyncClient, address: str = "/v1/live", **headers: str
) -> AsyncIterator[Screen]:
    """Open a stream and wait for its first line."""
    async with client.stream("GET", address, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        assert answer.headers["content-type"].startswith("text/event-stream")
        screen = Screen(answer)
        async for line in screen.lines:
            if line == ": hello":
                break
        yield screen


async def happen_aloud(hub: Hub, org_id: UUID, **facts: Any) -> None:
    """Let a bill be paid as the outbox tells it: the wake-up carries the event."""
    event = NewEvent(kind=EventKind.BILL_PAID, **facts)
    async with open_org_transaction(hub.services.database, org_id) as session:
        await outbox.record(session, org_id, [event], now=read_clock())


async def happen(hub: Hub, org_id: UUID, kind: str, *, notify: bool = True, **facts: Any) -> UUID:
    """Write an event as the outbox does, with or without its wake-up."""
    event_id = facts.pop("event_id", None) or new_id()
    async with open_org_transaction(hub.services.database, org_id) as session:
        session.add(
            Event(
                org_id=org_id,
                id=event_id,
                kind=kind,
                data={"amount_vnd": 20_000, "note": "hai\nmươi"},
                recorded_at=read_clock(),
                **facts,
            )
        )
        if notify:
            await session.execute(
                text("SELECT pg_notify('phopay_events', :payload)"),
                {"payload": write_wake_up(org_id, [])},
            )
    return event_id


async def org_of(browser: httpx.AsyncClient) -> UUID:
    return UUID((await browser.get("/v1/organisations")).json()["organisations"][0]["id"])
