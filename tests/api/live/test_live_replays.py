"""Live screens that were away: what they are told when they come back, and how far back."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import anyio
import pytest

from api.live import broadcaster, feeds, streams
from core.clock import read_clock
from core.errors import Busy
from core.ids import first_id_at, new_id
from core.settings import Settings
from payments.outbox.views import Interest
from payments.outbox.wake_ups import EventFacts
from tests.api.live.live_screens import happen, org_of, watching, with_streams
from tests.world.cities import set_up_city
from tests.world.hubs import Hub, running_hub

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
async def hub(settings: Settings) -> AsyncIterator[Hub]:
    """The hub with those routes."""
    async with running_hub(settings, build=with_streams) as running:
        yield running


async def test_a_screen_that_receives_nothing_learns_how_far_it_has_read(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.1)
    monkeypatch.setattr(feeds, "LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(feeds, "LOOK_OVERLAP", timedelta(seconds=0.3))
    admin = await set_up_city(hub)
    org_id = await org_of(admin)
    opened = first_id_at(read_clock())
    async with watching(admin) as screen:
        first, second = await screen.receive(), await screen.receive()
    assert (first["event"], second["event"]) == ("tick", "tick")
    told = datetime.fromisoformat(json.loads(second["data"])["now"])
    assert abs(read_clock() - told) < timedelta(seconds=10)  # a page has no other good clock
    assert opened < UUID(first["id"]) < UUID(second["id"]) < first_id_at(read_clock())

    await happen(hub, org_id, "missed")
    async with watching(admin, **{"Last-Event-ID": second["id"]}) as screen:
        assert (await screen.receive())["event"] == "missed"


async def test_a_stream_says_when_all_that_was_missed_was_sent(hub: Hub) -> None:
    admin = await set_up_city(hub)
    org_id = await org_of(admin)
    await happen(hub, org_id, "missed")

    async with watching(admin) as screen:
        names = await screen.receive_names(3)
        await happen(hub, org_id, "afterwards")
        names += await screen.receive_names(1)

    assert names == ["hello", "missed", "caught-up", "afterwards"]


@pytest.mark.parametrize("last_word", ["hello", "caught-up"])
async def test_a_line_that_dies_in_its_first_seconds_loses_nothing(
    hub: Hub, last_word: str
) -> None:
    admin = await set_up_city(hub)
    org_id = await org_of(admin)
    async with watching(admin) as screen:
        last_id = await screen.receive_id_of(last_word)
    await happen(hub, org_id, "missed")
    # Longer than a fresh page looks back, and no tick has said an id yet.
    await anyio.sleep(feeds.OPENING_OVERLAP.total_seconds() + 0.2)

    async with watching(admin, **{"Last-Event-ID": last_id}) as screen:
        assert (await screen.receive())["event"] == "missed"


async def test_what_a_stream_says_of_itself_never_takes_a_page_back(hub: Hub) -> None:
    admin = await set_up_city(hub)
    org_id = await org_of(admin)
    await happen(hub, org_id, "old")
    last_id = str(await happen(hub, org_id, "seen"))

    async with watching(admin, **{"Last-Event-ID": last_id}) as screen:
        assert await screen.receive_id_of("hello") == last_id
        assert await screen.receive_id_of("caught-up") > last_id
        opened = str(await happen(hub, org_id, "afterwards"))
        assert (await screen.receive())["id"] == opened


async def test_ticks_come_by_the_clock_also_while_there_is_other_news(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that listens for other kinds hears only the ticks: else its line would look dead."""
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.5)
    admin = await set_up_city(hub)
    org_id = await org_of(admin)

    async with watching(admin) as screen, anyio.create_task_group() as busy:

        async def tell_often() -> None:
            while True:
                await happen(hub, org_id, "of.no.interest")
                await anyio.sleep(0.1)

        busy.start_soon(tell_often)
        names = await screen.receive_names(16)
        busy.cancel_scope.cancel()

    assert "tick" in names


async def test_the_later_of_what_an_address_and_a_header_say_counts(hub: Hub) -> None:
    admin = await set_up_city(hub)
    org_id = await org_of(admin)
    old = first_id_at(read_clock() - timedelta(hours=7))
    await happen(hub, org_id, "just.now")

    fresh = {"Last-Event-ID": str(new_id())}
    async with watching(admin, f"/v1/live?last_event_id={old}", **fresh) as screen:
        assert (await screen.receive())["event"] == "just.now"


async def test_a_stranger_cannot_make_the_hub_read_hours(hub: Hub) -> None:
    admin = await set_up_city(hub)
    org_id, bill_id = await org_of(admin), uuid4()
    an_hour_ago = str(first_id_at(read_clock() - timedelta(hours=1)))

    address = f"/live/{org_id}/{bill_id}"
    async with watching(hub.client, address, **{"Last-Event-ID": an_hour_ago}) as screen:
        assert (await screen.receive())["event"] == "reload"


async def test_a_page_that_was_away_for_long_is_told_to_load_itself_again(hub: Hub) -> None:
    admin = await set_up_city(hub)
    org_id = await org_of(admin)
    await happen(hub, org_id, "just.now")
    for hours, word in ((1, "just.now"), (7, "reload")):
        last = str(first_id_at(read_clock() - timedelta(hours=hours)))

        async with watching(admin, **{"Last-Event-ID": last}) as screen:
            assert (await screen.receive())["event"] == word


async def test_a_replay_that_cannot_be_read_ends_the_stream(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = await set_up_city(hub)

    async def away(*_: object, **__: object) -> list[EventFacts]:
        raise Busy("The database is away.")

    monkeypatch.setattr(broadcaster, "list_events", away)
    async with watching(admin) as screen:
        assert await screen.receive_end() == []


async def test_after_a_reconnect_what_was_missed_is_sent(hub: Hub) -> None:
    admin = await set_up_city(hub)
    org_id = await org_of(admin)
    async with watching(admin) as screen:
        await happen(hub, org_id, "first")
        seen = await screen.receive()
    await happen(hub, org_id, "missed")

    async with watching(admin, **{"Last-Event-ID": seen["id"]}) as screen:
        replayed = [await screen.receive(), await screen.receive()]
        await happen(hub, org_id, "fresh")
        fresh = await screen.receive()

    # The overlap repeats "first": a page drops the ids that it has seen.
    assert [event["event"] for event in replayed] == ["first", "missed"]
    assert fresh["event"] == "fresh"


async def test_a_fresh_page_receives_the_last_moment_and_nothing_older(hub: Hub) -> None:
    admin = await set_up_city(hub)
    org_id = await org_of(admin)
    minutes_ago = first_id_at(read_clock() - timedelta(minutes=2))
    await happen(hub, org_id, "old", event_id=minutes_ago)
    await happen(hub, org_id, "while.the.page.was.drawn")

    next_year = first_id_at(read_clock() + timedelta(days=365))
    for last in ("", "not-an-id", "f" * 32, str(next_year), str(uuid4())):
        async with watching(admin, **{"Last-Event-ID": last}) as screen:
            assert (await screen.receive())["event"] == "while.the.page.was.drawn"


@pytest.mark.parametrize("read_max", [5_000, 3])
async def test_screens_that_ask_together_each_receive_their_own_past(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, read_max: int
) -> None:
    monkeypatch.setattr(broadcaster, "SHARED_READ_MAX", read_max)
    admin = await set_up_city(hub)
    org_id = await org_of(admin)
    bills = [uuid4() for _ in range(8)]
    now = read_clock()
    for age_s in (50, 5):
        at = first_id_at(now - timedelta(seconds=age_s))
        for n, bill_id in enumerate(bills):
            event_id = UUID(int=at.int + n + 1)
            await happen(hub, org_id, f"{n} {age_s} s ago", bill_id=bill_id, event_id=event_id)
    heard: dict[int, list[str]] = {}

    async def ask(n: int) -> None:
        since = now - timedelta(seconds=60 if n % 2 else 10)
        past = await hub.services.broadcaster.replay(
            org_id, Interest(bill_id=bills[n]), since=since
        )
        heard[n] = [event.kind for event in past]

    async with anyio.create_task_group() as group:
        for n in range(len(bills)):
            group.start_soon(ask, n)

    for n in range(len(bills)):
        assert heard[n] == ([f"{n} 50 s ago"] if n % 2 else []) + [f"{n} 5 s ago"]
