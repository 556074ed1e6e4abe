"""Live screens: what is told to whom, what survives a lost wake-up, and when a stream ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import anyio
import psycopg
import pytest
from sqlalchemy import text

from api.live import feeds, streams
from api.live.places import Places
from core.clock import read_clock
from core.errors import TooManyRequests
from core.ids import first_id_at, instant_of, new_id
from core.settings import Settings
from core.tenancy import open_org_transaction
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent
from payments.outbox.views import Interest
from payments.outbox.wake_ups import EventFacts
from tests.api.live.live_screens import happen, happen_aloud, org_of, watching, with_streams
from tests.world.cities import add_market, set_up_city
from tests.world.hubs import Hub, running_hub

pytestmark = pytest.mark.anyio


@pytest.fixture
async def hub(settings: Settings) -> AsyncIterator[Hub]:
    """The hub with those routes."""
    async with running_hub(settings, build=with_streams) as running:
        yield running


async def test_a_screen_receives_its_own_stall_and_nothing_of_its_neighbour(hub: Hub) -> None:
    admin = await set_up_city(hub)
    org_id, mine, theirs = await org_of(admin), uuid4(), uuid4()

    async with (
        watching(admin, f"/v1/live?payee_id={mine}") as screen,
        watching(admin, f"/v1/live?payee_id={theirs}") as neighbour,
    ):
        other_id = await happen(hub, org_id, "bill.paid", payee_id=theirs)
        event_id = await happen(hub, org_id, "bill.paid", payee_id=mine)
        heard = await screen.receive()
        assert (await neighbour.receive())["id"] == str(other_id)

    assert heard["id"] == str(event_id)
    assert heard["event"] == "bill.paid"
    assert heard["data"] == '{"note": "hai\\nmươi", "amount_vnd": 20000}'


async def test_all_stalls_of_a_shared_account_receive_what_nobody_was_assigned(hub: Hub) -> None:
    admin = await set_up_city(hub)
    org_id, mine, account = await org_of(admin), uuid4(), uuid4()

    async with watching(admin, f"/v1/live?payee_id={mine}&account_id={account}") as screen:
        await happen(hub, org_id, "a", payee_id=uuid4(), receiving_account_id=account)
        await happen(hub, org_id, "b", receiving_account_id=uuid4())
        await happen(hub, org_id, "c", receiving_account_id=account)
        heard = await screen.receive()

    assert heard["event"] == "c"


async def test_no_organisation_receives_events_of_another(hub: Hub) -> None:
    admin = await set_up_city(hub)
    city_id, market_id = await org_of(admin), await add_market(admin)

    async with watching(admin) as city, watching(admin, "/v1/live?org=DXA2") as market:
        await happen(hub, market_id, "of.market")
        await happen(hub, city_id, "of.city")

        assert (await city.receive())["event"] == "of.city"
        assert (await market.receive())["event"] == "of.market"


async def test_a_lost_wake_up_delays_a_screen_and_loses_nothing(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "LOOK_EVERY_S", 0.3)
    admin = await set_up_city(hub)
    org_id = await org_of(admin)

    async with watching(admin) as screen:
        await happen(hub, org_id, "bill.paid", notify=False)
        assert (await screen.receive())["event"] == "bill.paid"


async def test_the_hub_listens_again_when_its_connection_was_cut(
    hub: Hub, fresh_database: Any
) -> None:
    admin = await set_up_city(hub)
    org_id = await org_of(admin)
    broadcaster = hub.services.broadcaster
    async with watching(admin) as screen:
        async with asyncio.timeout(5):
            await broadcaster.is_listening.wait()
        async with await psycopg.AsyncConnection.connect(
            fresh_database.app_url, autocommit=True
        ) as other:
            cut = await other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'phopay-live' AND datname = current_database()"
            )
            assert await cut.fetchall() == [(True,)]
        await happen(hub, org_id, "while.deaf")
        first = await screen.receive()
        async with asyncio.timeout(5):
            await broadcaster.is_listening.wait()
        await happen(hub, org_id, "heard.again")
        second = await screen.receive(within_s=2)

    assert (first["event"], second["event"]) == ("while.deaf", "heard.again")


async def test_a_lower_id_that_commits_later_is_still_sent_once(hub: Hub) -> None:
    admin = await set_up_city(hub)
    org_id = await org_of(admin)
    async with watching(admin) as screen:
        early_id = UUID(int=first_id_at(read_clock() - timedelta(seconds=2)).int + 1)
        await happen(hub, org_id, "made.second")
        assert (await screen.receive())["event"] == "made.second"
        await happen(hub, org_id, "made.first.committed.last", event_id=early_id)
        assert (await screen.receive())["event"] == "made.first.committed.last"
        await happen(hub, org_id, "last")
        assert (await screen.receive())["event"] == "last"


async def test_an_event_that_commits_slowly_reaches_a_screen_that_opened_meanwhile(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restart: the first screen of an organisation begins its feed."""
    monkeypatch.setattr(feeds, "LOOK_EVERY_S", 0.3)
    admin = await set_up_city(hub)
    org_id = await org_of(admin)
    begun_id = first_id_at(read_clock() - timedelta(seconds=10))
    there_before = UUID(int=begun_id.int + 1)
    await happen(hub, org_id, "shown.by.the.page", event_id=there_before)
    async with watching(admin) as screen:
        await screen.receive_id_of("caught-up")
        event_id = UUID(int=begun_id.int + 2)
        await happen(hub, org_id, "committed.late", notify=False, event_id=event_id)
        assert (await screen.receive())["event"] == "committed.late"
        await happen(hub, org_id, "last")
        assert (await screen.receive())["event"] == "last"


async def test_what_was_there_before_is_news_to_no_screen_that_opens_later(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another screen's feed began before: what it left out was of no interest to it."""
    monkeypatch.setattr(feeds, "LOOK_EVERY_S", 0.1)
    org_id, bill_id = await org_of(await set_up_city(hub)), uuid4()
    ten_seconds_ago = first_id_at(read_clock() - timedelta(seconds=10))
    await happen(hub, org_id, "bill.paid", bill_id=bill_id, event_id=ten_seconds_ago)
    async with watching(hub.client, f"/live/{org_id}/{uuid4()}") as first:
        await first.receive_id_of("caught-up")
        async with watching(hub.client, f"/live/{org_id}/{bill_id}") as later:
            await later.receive_id_of("caught-up")
            await asyncio.sleep(0.5)  # looks that reach far back
            await happen(hub, org_id, "bill.cancelled", bill_id=bill_id)
            assert (await later.receive())["event"] == "bill.cancelled"


@pytest.mark.parametrize("channel", ["phopay_events", "phopay_bill_changes"])
async def test_what_is_no_wake_up_does_not_end_the_listening(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, channel: str
) -> None:
    monkeypatch.setattr(feeds, "LOOK_EVERY_S", 60)
    admin = await set_up_city(hub)
    org_id = await org_of(admin)
    async with watching(admin) as screen:
        async with asyncio.timeout(5):
            await hub.services.broadcaster.is_listening.wait()
        no_instant = [f"{org_id} {since}" for since in ("x", "2026-11-20T12:00:00")]
        for payload in ("", "not-a-uuid", "[1]", '["00", []]', "\u200b", *no_instant):
            async with open_org_transaction(hub.services.database, org_id) as session:
                await session.execute(
                    text("SELECT pg_notify(:channel, :payload)"),
                    {"channel": channel, "payload": payload},
                )
        await happen_aloud(hub, org_id)
        assert (await screen.receive(within_s=3))["event"] == "bill.paid"


@pytest.mark.slow
async def test_wake_ups_without_pause_do_not_keep_a_feed_from_looking_far_back(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "WAKE_OVERLAP", timedelta(0))
    monkeypatch.setattr(feeds, "LOOK_EVERY_S", 0.4)
    admin = await set_up_city(hub)
    org_id = await org_of(admin)
    async with watching(admin) as screen:
        stalled_id = new_id()
        await asyncio.sleep(0.01)
        await happen(hub, org_id, "first")
        assert (await screen.receive())["event"] == "first"
        await happen(hub, org_id, "stalled", notify=False, event_id=stalled_id)
        for number in range(20):
            await happen(hub, org_id, f"after.{number}")
            await asyncio.sleep(0.05)
        heard = [(await screen.receive())["event"] for _ in range(21)]

    assert "stalled" in heard


@pytest.mark.slow
async def test_what_a_blind_feed_missed_is_sent_when_it_sees_again(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile wake-ups carried other events: they must not move what the look reaches back to."""
    monkeypatch.setattr(feeds, "LOOK_EVERY_S", 0.2)
    monkeypatch.setattr(feeds, "LOOK_OVERLAP", timedelta(seconds=0.2))
    monkeypatch.setattr(feeds, "WAKE_OVERLAP", timedelta(0))
    is_blind = False
    read = feeds.list_events

    async def read_if_it_can(*args: Any, **kwargs: Any) -> list[EventFacts]:
        if is_blind:
            raise OSError("the database is away")
        return await read(*args, **kwargs)

    monkeypatch.setattr(feeds, "list_events", read_if_it_can)
    admin = await set_up_city(hub)
    org_id = await org_of(admin)
    async with watching(admin) as screen:
        await asyncio.sleep(0.3)
        is_blind = True
        await happen(hub, org_id, "missed", notify=False)
        await asyncio.sleep(1)
        await happen_aloud(hub, org_id)
        assert (await screen.receive())["event"] == "bill.paid"
        is_blind = False

        assert (await screen.receive())["event"] == "missed"


@pytest.mark.slow
async def test_a_screen_that_opens_a_little_late_receives_what_nobody_wanted_before(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "LOOK_EVERY_S", 0.3)
    admin = await set_up_city(hub)
    org_id, bill_id = await org_of(admin), uuid4()
    live = hub.services.broadcaster
    with live.subscribed(org_id, Interest(bill_id=uuid4())):
        async with asyncio.timeout(5):
            await live.is_listening.wait()
        await happen_aloud(hub, org_id, bill_id=bill_id)
        await asyncio.sleep(0.3)
        with live.subscribed(org_id, Interest(bill_id=bill_id)) as late:
            async with asyncio.timeout(5):
                heard = await late.queue.get()

    assert heard is not None
    assert heard.bill_id == bill_id


async def test_a_strangers_page_receives_only_its_bill_and_only_what_it_may(hub: Hub) -> None:
    admin = await set_up_city(hub)
    org_id, bill_id = await org_of(admin), uuid4()

    async with watching(hub.client, f"/live/{org_id}/{bill_id}") as screen:
        await happen(hub, org_id, "bill.paid", bill_id=uuid4())
        await happen(hub, org_id, "payer.name", bill_id=bill_id)
        await happen(hub, org_id, "bill.paid", bill_id=bill_id)
        heard = await screen.receive()

    assert (heard["event"], heard["data"]) == ("bill.paid", "{}")


@pytest.mark.slow
async def test_a_screen_that_does_not_read_is_cut_off_and_others_go_on(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "QUEUE_MAX", 5)
    admin = await set_up_city(hub)
    org_id = await org_of(admin)
    broadcaster = hub.services.broadcaster
    with broadcaster.subscribed(org_id, Interest()) as slow:
        async with watching(admin) as quick:
            for number in range(10):
                await happen(hub, org_id, f"event.{number}")
                assert (await quick.receive())["event"] == f"event.{number}"

    assert slow.is_cut_off
    queued = [slow.queue.get_nowait() for _ in range(slow.queue.qsize())]
    assert [event and event.kind for event in queued] == [*(f"event.{n}" for n in range(5)), None]


async def test_events_that_travel_in_the_wake_up_are_sent_without_a_query(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin = await set_up_city(hub)
    org_id = await org_of(admin)
    data = {"amount_vnd": 20_000, "payer_name": "HỘ B\n12"}

    async def look_in_vain(*_: object, **__: object) -> list[EventFacts]:
        return []

    async with watching(admin) as screen:
        monkeypatch.setattr(feeds, "list_events", look_in_vain)
        await happen_aloud(hub, org_id, data=data)
        heard = await screen.receive()
        monkeypatch.undo()
    async with watching(admin) as late:
        replayed = await late.receive()

    assert heard["event"] == replayed["event"] == "bill.paid"
    assert heard["id"] == replayed["id"]
    assert json.loads(heard["data"]) == json.loads(replayed["data"]) == data


async def test_what_is_notified_and_found_is_received_once(hub: Hub) -> None:
    admin = await set_up_city(hub)
    org_id = await org_of(admin)

    async with watching(admin) as screen:
        await happen_aloud(hub, org_id)
        assert (await screen.receive())["event"] == "bill.paid"
        await happen(hub, org_id, "afterwards")  # makes the feed look

        assert (await screen.receive())["event"] == "afterwards"


async def test_a_burst_is_sent_whole_and_in_order(hub: Hub) -> None:
    admin = await set_up_city(hub)
    org_id = await org_of(admin)

    async with watching(admin) as screen:
        for number in range(100):
            await happen(hub, org_id, f"event.{number}")
        heard = [(await screen.receive())["event"] for _ in range(100)]

    assert heard == [f"event.{number}" for number in range(100)]


async def test_more_events_in_one_commit_than_a_screen_queues_cut_no_screen_off(hub: Hub) -> None:
    admin = await set_up_city(hub)
    org_id = await org_of(admin)
    events = [NewEvent(kind=EventKind.BILL_PAID, data={"n": n}) for n in range(900)]

    async with watching(admin) as screen, watching(admin) as other:
        await screen.receive_id_of("caught-up")
        await other.receive_id_of("caught-up")
        async with open_org_transaction(hub.services.database, org_id) as session:
            await outbox.record(session, org_id, events, now=read_clock())
        for one in (screen, other):
            heard = [json.loads((await one.receive())["data"])["n"] for _ in events]
            assert heard == list(range(900))


async def test_a_stream_ends_when_its_sign_in_does(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "RECHECK_S", 0.2)
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.1)
    admin = await set_up_city(hub)

    async with watching(admin) as screen:
        await admin.delete("/v1/sign-ins")
        heard = await screen.receive_end()

    assert [event["event"] for event in heard] == ["signed-out"]


async def test_one_stream_too_many_ends_the_callers_oldest_which_says_why(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The oldest may be dead without anybody knowing: the newest has somebody before it."""
    monkeypatch.setattr(streams, "STREAMS_PER_CALLER", 2)
    admin = await set_up_city(hub)
    org_id = await org_of(admin)

    async with watching(admin) as oldest, watching(admin) as second, watching(admin) as newest:
        assert [event["event"] for event in await oldest.receive_end()] == ["replaced"]
        await happen(hub, org_id, "bill.paid")
        assert (await second.receive())["event"] == "bill.paid"
        assert (await newest.receive())["event"] == "bill.paid"


async def test_a_stream_that_was_replaced_waits_until_a_place_is_free(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "STREAMS_PER_CALLER", 1)
    admin = await set_up_city(hub)

    async with watching(admin), watching(admin):
        refused = await admin.get("/v1/live?may_replace=false")
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    await asyncio.sleep(0.2)
    async with watching(admin, "/v1/live?may_replace=false"):
        pass


async def test_a_stranger_ends_nobody_elses_stream(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "STREAMS_PER_ADDRESS", 1)
    admin = await set_up_city(hub)
    org_id, bill_id = await org_of(admin), uuid4()

    async with watching(hub.client, f"/live/{org_id}/{bill_id}") as first:
        assert (await hub.client.get(f"/live/{org_id}/{uuid4()}")).status_code == 429
        await happen(hub, org_id, "bill.paid", bill_id=bill_id)
        assert (await first.receive())["event"] == "bill.paid"


def test_streams_that_were_replaced_and_do_not_end_are_bounded() -> None:
    places = Places(100)
    taken = [places.take("somebody", 3, may_replace=True) for _ in range(6)]

    assert [place.is_replaced for place in taken] == [True] * 3 + [False] * 3
    with pytest.raises(TooManyRequests):
        places.take("somebody", 3, may_replace=True)
    places.leave(taken[0])  # the network gave it up
    taken.append(places.take("somebody", 3, may_replace=True))
    for place in reversed(taken[1:]):
        places.leave(place)
    assert places.open_count == 0


def test_nobody_has_a_place_once_a_process_has_no_more() -> None:
    places = Places(2)
    places.take("one", 2, may_replace=True)
    places.take("one", 2, may_replace=True)
    with pytest.raises(TooManyRequests):
        places.take("one", 2, may_replace=True)
    with pytest.raises(TooManyRequests):
        places.take("other", 2, may_replace=True)


async def test_streams_end_at_once_when_the_hub_stops(settings: Settings) -> None:
    async with running_hub(settings, build=with_streams) as hub:
        admin = await set_up_city(hub)
        async with watching(admin) as screen:
            hub.services.broadcaster.close()
            assert await screen.receive_end(within_s=1) == []
        async with watching(admin) as late:
            assert await late.receive_end(within_s=1) == []


async def test_feeds_stop_when_nobody_watches(hub: Hub) -> None:
    admin = await set_up_city(hub)
    async with watching(admin):
        assert len(hub.services.broadcaster._feeds) == 1
    with anyio.fail_after(20):
        while hub.services.broadcaster._feeds:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert hub.services.broadcaster.places.open_count == 0


def test_an_instant_and_the_ids_made_in_it_agree() -> None:
    now = read_clock()
    assert abs(instant_of(new_id()) - now) < timedelta(seconds=1)
    assert first_id_at(now - timedelta(seconds=2)) < new_id()
