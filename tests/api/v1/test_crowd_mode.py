"""A crowd of motorbikes at four gates: tickets, photos, cash, a poster's code, the hand-over.

Over HTTP alone, by a clock that the test sets. A few rounds run every day; the drill is the crowd
that a lot must bear: 3,000 motorbikes in 90 minutes, one every 7.2 s at each gate.
"""

import asyncio
import io
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import httpx
import pytest
from PIL import Image

from core.clock import HANOI, hanoi_day, read_clock
from core.ids import new_id
from core.settings import Settings
from core.tenancy import open_org_transaction
from parking.tariffs.reading import read_sample_document
from parking.vehicles import VehicleClass
from payments.ledger import service as ledger
from payments.ledger.rules import cash_in_drawer, cash_variance, takings
from tests.payments.invariants import find_violations
from tests.world import callbacks
from tests.world.cities import employ
from tests.world.clocks import SetClock, a_set_clock
from tests.world.databases import FreshDatabase
from tests.world.gates import CODE, Gate, set_up_gate
from tests.world.hubs import running_hub
from tests.world.markets import ENDPOINT_SECRET
from tests.world.offline import an_id_at
from tests.world.parking_sessions import a_tariff
from tests.world.waits import LOOKS_EVERY_S

pytestmark = pytest.mark.anyio

GATES: Final = "ABCD"  # and the prefix of the tickets that are torn off there
EVERY: Final = timedelta(seconds=7.2)
PRICE_VND, CHANGE_VND = 5_000, 200_000  # the tariff `crowd-flat`; what a bag begins with
POSTER_EVERY: Final = 4  # one driver of so many pays by the code that hangs there
HANDLED_WITHIN_S: Final = 60.0
# At the first gate: torn off, and the cash kept by whoever tore them off.
PILFERED: Final = (2, 5)
DRILL: Final = [pytest.mark.drill, pytest.mark.timeout(900)]


@dataclass(kw_only=True)
class GatePost:
    """One of the gates: who stands there, with which shift and book of tickets."""

    name: str
    attendant: httpx.AsyncClient
    shift_id: str = field(default_factory=lambda: str(new_id()))
    book_id: str = field(default_factory=lambda: str(new_id()))
    torn_off: int = 0
    entered: int = 0
    cash: int = 0

    def tear_off(self, pilfered: tuple[int, ...]) -> str:
        """Return the next ticket that goes to a driver and into the hub."""
        self.torn_off += 1
        while self.torn_off in pilfered:
            self.torn_off += 1
        return f"{self.name}{self.torn_off:04d}"


class Crowd:
    """A lot in crowd mode, its gates, and the bank that reports what comes by the poster."""

    def __init__(self, gate: Gate, clock: SetClock) -> None:
        self.gate, self.clock = gate, clock
        self.posts: list[GatePost] = []
        self.poster_count = 0
        self._photos = 0
        self._callbacks = ""
        self._account_number = ""

    async def open(self) -> None:
        """Put the poster up, and open a shift with a book of tickets at each gate."""
        await self.ask(self.gate.manager, f"/v1/lots/{self.gate.lot.id}/poster", {})
        account_ids = [str(self.gate.lot.account_id)]
        endpoint = {"provider": "sepay", "name": "SePay", "secret": ENDPOINT_SECRET}
        made = await self.ask(
            self.gate.admin,
            "/v1/callback-endpoints",
            endpoint | {"account_ids": account_ids},
            params={"org": CODE},
        )
        self._callbacks = str(httpx.URL(made["url"]).path)
        listed = await self.gate.admin.get("/v1/accounts", params={"org": CODE})
        (account,) = listed.json()["accounts"]
        self._account_number = account["account_number"]
        for name in GATES:
            login = f"cong.{name.lower()}"
            hired = await employ(
                self.gate.admin, login, "attendant", org=CODE, lot_ids=[self.gate.lot.id]
            )
            assert hired.status_code == 201, hired.text
            post = GatePost(name=name, attendant=await self.gate.hub.browser(login))
            self.posts.append(post)
            shift = {"id": post.shift_id, "lot_id": str(self.gate.lot.id)}
            await self.ask(post.attendant, "/v1/shifts", shift | {"change_vnd": CHANGE_VND})
            numbers = {"prefix": name, "digits": 4, "first_number": 1, "last_number": 1_000}
            book = {"id": post.book_id, "shift_id": post.shift_id, **numbers}
            await self.ask(self.gate.manager, "/v1/ticket-books", book)
            self.clock.now += timedelta(seconds=1)  # the last gate's shift is the newest

    async def come_in(self, rounds: int) -> None:
        """Let a vehicle in at each gate, time after time; one in four pays by the poster."""
        for number in range(rounds):
            pays_by_poster = number % POSTER_EVERY == POSTER_EVERY - 1
            await asyncio.gather(*(self._let_in(one, pays_by_poster) for one in self.posts))
            self.clock.now += EVERY

    async def _let_in(self, post: GatePost, pays_by_poster: bool) -> None:
        pilfered = PILFERED if post.name == GATES[0] else ()
        self._photos += 1
        sent = {"content": a_picture(self._photos), "headers": {"Content-Type": "image/png"}}
        lot = f"/v1/lots/{self.gate.lot.id}"
        photo = await self.ask(post.attendant, f"{lot}/photos", None, **sent)
        entry = {
            "id": str(an_id_at(self.clock.now)),
            "vehicle_class": "motorbike",
            "ticket": post.tear_off(pilfered),
            "photo": photo["hash"],
        }
        entered = await self.ask(post.attendant, f"{lot}/entries", entry)
        assert entered["verdict"] == "opened", entered
        post.entered += 1
        if pays_by_poster:
            self.poster_count += 1
            await self.pay_by_poster(self.poster_count)
            return
        stay = f"/v1/parking-sessions/{entry['id']}"
        said = await self.ask(post.attendant, f"{stay}/quotes", {})
        assert said["amount_vnd"] == PRICE_VND
        paid = {"rail": "cash", "amount_vnd": PRICE_VND, "quote": said["quote"]}
        await self.ask(post.attendant, f"{stay}/collections", paid | {"id": str(new_id())})
        post.cash += 1

    async def pay_by_poster(self, number: int, *, occurred_at: datetime | None = None) -> None:
        """Let the bank report a driver's payment by the code, for which no bill was opened."""
        at = (occurred_at or self.clock.now).astimezone(HANOI)
        told = {
            "id": number,
            "transactionDate": at.strftime("%Y-%m-%d %H:%M:%S"),
            "accountNumber": self._account_number,
            "content": "gui xe",
            "transferAmount": PRICE_VND,
            "referenceCode": f"FT26{number:08d}",
        }
        notice = {**callbacks.SEPAY_NOTICE, **told}
        signed = callbacks.sepay_callback(notice, key=ENDPOINT_SECRET, at=self.clock.now)
        headers = {**signed.headers, "Content-Type": "application/json"}
        answer = await self.gate.hub.client.post(
            self._callbacks, content=signed.body, headers=headers
        )
        assert answer.is_success, answer.text

    async def wait_for_poster(self, count: int) -> None:
        """Wait until all that the bank has reported is collected by the shift that ran."""

        async def collected() -> int:
            by_rail = (await self.report(self.posts[-1]))["by_rail"]
            return int(by_rail.get("poster", {"count": 0})["count"])

        async with asyncio.timeout(HANDLED_WITHIN_S):
            while await collected() < count:  # noqa: ASYNC110 (another process would tell nothing)
                await asyncio.sleep(LOOKS_EVERY_S)

    async def report(self, post: GatePost) -> dict[str, Any]:
        """Return a gate's hand-over as it stands."""
        answer = await post.attendant.get(f"/v1/shifts/{post.shift_id}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def hand_over(self, post: GatePost) -> dict[str, Any]:
        """Hand the book back and close the shift, with the bag as it should be."""
        back = {"last_used": post.torn_off}
        await self.ask(self.gate.manager, f"/v1/ticket-books/{post.book_id}/return", back)
        counted = {"counted_vnd": CHANGE_VND + post.cash * PRICE_VND}
        closed: dict[str, Any] = await self.ask(
            post.attendant, f"/v1/shifts/{post.shift_id}/close", counted
        )
        return closed

    async def ask(
        self, client: httpx.AsyncClient, path: str, body: dict[str, Any] | None, **more: Any
    ) -> Any:
        """Ask for what must not be refused."""
        answer = await client.post(path, json=body, **more)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def read_books(self) -> tuple[list[int], int, int]:
        """Return what the ledger has in each shift's drawer, as takings, and as variance."""
        lot = self.gate.lot
        keys = [cash_in_drawer(UUID(one.shift_id)) for one in self.posts]
        keys += [takings(lot.payee_id), cash_variance(lot.payee_id)]
        async with open_org_transaction(self.gate.hub.services.database, lot.org.id) as session:
            *drawers, taken, variance = [
                await ledger.read_balance(session, lot.org.id, key) for key in keys
            ]
        return [-one for one in drawers], taken, -variance


def a_picture(number: int) -> bytes:
    """Return a small picture that no other number has."""
    out = io.BytesIO()
    tiles = Image.new("L", (4, 4))
    tiles.putdata([255 * (number >> bit & 1) for bit in range(16)])
    tiles.resize((32, 32), Image.Resampling.NEAREST).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def clock() -> Iterator[SetClock]:
    """Half past five in the afternoon of this day, when offices close and a match begins."""
    day = hanoi_day(read_clock())
    with a_set_clock(datetime(day.year, day.month, day.day, 10, 30, tzinfo=UTC)) as clock:
        yield clock


@pytest.fixture
async def crowd(settings: Settings, clock: SetClock) -> AsyncIterator[Crowd]:
    """A lot of 4,000 motorbikes, where a visit has one price and is paid on the way in."""
    async with running_hub(settings) as hub:
        gate = await set_up_gate(
            hub,
            capacity={VehicleClass.MOTORBIKE: 4_000},
            payment_timing="payOnEntry",
            is_crowd_mode=True,
        )
        document = read_sample_document("crowd-flat")
        await a_tariff(hub.services.database, gate.lot, document, now=clock.now)
        made = Crowd(gate, clock)
        await made.open()
        yield made


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [8, pytest.param(750, marks=DRILL)])
async def test_tickets_collections_shifts_and_ledger_of_a_crowd_agree_and_lost_tickets_are_named(
    crowd: Crowd, clock: SetClock, fresh_database: FreshDatabase, rounds: int
) -> None:
    began_at, vehicles = clock.now, rounds * len(GATES)

    await crowd.come_in(rounds)
    assert clock.now - began_at == rounds * EVERY
    await crowd.wait_for_poster(crowd.poster_count)
    closed = [await crowd.hand_over(one) for one in crowd.posts]
    # The bank is late: the money came while the last shift ran, and is that shift's.
    await crowd.pay_by_poster(10**6, occurred_at=clock.now - EVERY)
    clock.now += timedelta(minutes=1)
    await crowd.wait_for_poster(crowd.poster_count + 1)

    # Tickets: each that was torn off is a stay with a photo of its own, but for two.
    lot, manager = crowd.gate.lot, crowd.gate.manager
    books = (await manager.get("/v1/ticket-books", params={"lot_id": str(lot.id)})).json()
    by_book = {one["id"]: one for one in books["ticket_books"]}
    missing = [f"{GATES[0]}{number:04d}" for number in PILFERED]
    assert [by_book[one.book_id]["missing"] for one in crowd.posts] == [missing, [], [], []]
    assert [by_book[one.book_id]["used_count"] for one in crowd.posts] == [rounds] * len(GATES)
    occupancy = (await manager.get(f"/v1/lots/{lot.id}/occupancy")).json()["classes"]
    assert [one["inside_count"] for one in occupancy] == [vehicles]

    # Collections and shifts: cash in whose bag it is, the poster's with the shift that ran.
    in_cash = [one.cash for one in crowd.posts]
    assert sum(in_cash) + crowd.poster_count == vehicles
    assert [(one["entered"], one["variance_vnd"]) for one in closed] == [(rounds, 0)] * len(GATES)
    assert [one["by_rail"]["cash"] for one in closed] == [
        {"count": count, "amount_vnd": count * PRICE_VND} for count in in_cash
    ]
    by_poster = [(await crowd.report(one))["by_rail"].get("poster") for one in crowd.posts]
    of_last = {
        "count": crowd.poster_count + 1,
        "amount_vnd": (crowd.poster_count + 1) * PRICE_VND,
    }
    assert by_poster == [None, None, None, of_last]

    # The ledger has each bag, and all that was taken; the books agree with all of it.
    drawers, taken, variance = await crowd.read_books()
    assert drawers == [count * PRICE_VND for count in in_cash]
    assert (taken, variance) == ((vehicles + 1) * PRICE_VND, 0)
    assert find_violations(fresh_database.owner_url) == []

    # Leakage names what the tickets lack, and nothing else.
    day = {"day": hanoi_day(began_at).isoformat()}
    leakage = (await manager.get(f"/v1/lots/{lot.id}/leakage", params=day)).json()
    told = ("entered", "entered_without_photo", "entered_on_same_photo", "missing_tickets")
    assert [leakage[name] for name in told] == [vehicles, 0, 0, len(PILFERED)]
    assert (leakage["stray_tickets"], leakage["opened_by_hand"], leakage["undone"]) == (0, 0, 0)
