"""A day behind the demo's parking sites: shifts of yesterday and today, and vehicles that came.

Everything is made by the services that a gate's phone uses; only the times are those of the last
24 hours. What a bank reports is missing: the sandbox moves money now, not yesterday.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor
from core.clock import day_bounds, hanoi_day
from core.db import Database
from core.ids import first_id_at, new_id
from core.tenancy import open_org_transaction
from identity.organisations.rules import OrgFacts
from ops.demo.parking import CAR, MOTORBIKE, SITES, Site
from parking.collections.rules import CollectionRail
from parking.exits.leaving import LeaveRequest, leave
from parking.exits.paying import Taken, collect
from parking.exits.rules import ExitReason
from parking.exits.standing import get_stay, read_standing
from parking.places.rules import PaymentTiming
from parking.sessions import queries as sessions
from parking.sessions.rules import EntryRequest, Method, TimeSource, hash_entry, read_vehicle_plate
from parking.shifts.service import close_shift, open_shift
from parking.vehicles import VehicleClass

DAY: Final = timedelta(hours=24)
OPENS_AT: Final = timedelta(hours=6)
CLOSES_AT: Final = timedelta(hours=22)
JUST_BEGUN: Final = timedelta(hours=1)  # what a shift has behind it at least
CHANGE_VND: Final = 200_000
MISSING_VND: Final = 5_000  # in the bag of the first site when yesterday's shift was closed
# In a whole day. A real site has ten times as many; the demo starts in seconds.
VEHICLES: Final = {CAR: 12, MOTORBIKE: 24}
# How many come in an hour of the day, from 6 to 21: shares of the busiest.
RHYTHM: Final = {
    CAR: (3, 6, 9, 10, 9, 8, 6, 6, 8, 9, 8, 8, 9, 8, 5, 2),
    MOTORBIKE: (6, 10, 9, 5, 3, 3, 5, 5, 3, 3, 4, 7, 8, 6, 4, 2),
}
EXEMPT_EVERY: Final = 17  # of those who leave a site, the ninth first
UNPAID_EVERY: Final = 25  # and the fourth first
UNPAID: Final = "Khách phóng xe đi, không trả tiền"
EXEMPT: Final = "Xe của tổ trật tự phường"


@dataclass(frozen=True, kw_only=True)
class Worker:
    """Who stood at a site, and the phone in their hand."""

    actor: Actor
    device_id: UUID


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A shift's time: one that runs has no end."""

    opens_at: datetime
    ends_at: datetime  # now, for one that runs
    is_closed: bool


@dataclass(frozen=True, kw_only=True)
class _Visit:
    vehicle_class: VehicleClass
    plate: str
    came_at: datetime
    leaves_at: datetime


async def add_day(
    database: Database,
    gate: Database,
    org: OrgFacts,
    lots: Mapping[str, UUID],
    workers: Mapping[str, Worker],
    *,
    now: datetime,
) -> None:
    """Let vehicles come in the last 24 hours, and most of them pay and go again.

    Args:
        gate: sessions of the role that lets vehicles in.
        workers: label of a site → who works there; a site without one stays empty.
    """
    at_work = [
        _work(database, gate, org, site, lots[site.label], workers[site.label], now=now)
        for site in SITES
        if site.label in workers
    ]
    await asyncio.gather(*at_work)


def list_turns(now: datetime) -> list[Turn]:
    """Return the shifts of the last 24 hours; one runs, and at night it has just begun."""
    turns = []
    for day in (hanoi_day(now) - timedelta(days=1), hanoi_day(now)):
        midnight = day_bounds(day)[0]
        opens_at = max(midnight + OPENS_AT, now - DAY)
        closes_at = midnight + CLOSES_AT
        is_closed = closes_at + JUST_BEGUN <= now
        ends_at = closes_at if is_closed else now
        if ends_at - opens_at >= JUST_BEGUN:
            turns.append(Turn(opens_at=opens_at, ends_at=ends_at, is_closed=is_closed))
    if not turns or turns[-1].is_closed:
        turns.append(Turn(opens_at=now - JUST_BEGUN, ends_at=now, is_closed=False))
    return turns


async def _work(
    database: Database,
    gate: Database,
    org: OrgFacts,
    site: Site,
    lot_id: UUID,
    worker: Worker,
    *,
    now: datetime,
) -> None:
    """Work through a site's shifts."""
    chance = random.Random(org.code + site.label)  # noqa: S311 (the same day at every start)
    staff_id = worker.actor.id
    assert staff_id is not None
    is_paid_first = site.timing is PaymentTiming.PAY_ON_ENTRY
    gone = 0
    for turn in list_turns(now):
        shift_id = _id_at(turn.opens_at)
        async with open_org_transaction(database, org.id) as session:
            await open_shift(
                session,
                org.id,
                shift_id,
                lot_id=lot_id,
                staff_id=staff_id,
                change_vnd=CHANGE_VND,
                actor=worker.actor,
                now=turn.opens_at,
            )
        visits = _draw_visits(chance, site, turn, now)
        entries = [_an_entry(org, lot_id, worker, shift_id, one) for one in visits]
        async with gate.begin() as session:
            await sessions.enter_vehicles(session, entries, now=turn.ends_at)
        taken_vnd = 0
        going = sorted(zip(entries, visits, strict=True), key=lambda one: one[1].leaves_at)
        for entry, visit in going:
            async with open_org_transaction(database, org.id) as session:
                if is_paid_first:
                    taken_vnd += await _pay(session, org, entry.id, worker, at=visit.came_at)
                if visit.leaves_at < turn.ends_at:
                    gone += 1
                    taken_vnd += await _let_out(session, org, entry.id, worker, visit, gone)
        if turn.is_closed:
            missing_vnd = MISSING_VND if site is SITES[0] else 0
            async with open_org_transaction(database, org.id) as session:
                await close_shift(
                    session,
                    org.id,
                    shift_id,
                    counted_vnd=CHANGE_VND + max(0, taken_vnd - missing_vnd),
                    note=None,
                    actor=worker.actor,
                    now=turn.ends_at,
                )


def _draw_visits(chance: random.Random, site: Site, turn: Turn, now: datetime) -> Sequence[_Visit]:
    """Draw a shift's vehicles, in the order in which they came; before a close they are gone."""
    midnight = day_bounds(hanoi_day(turn.opens_at))[0]
    hours = [
        (midnight + OPENS_AT + timedelta(hours=hour), hour)
        for hour in range(len(RHYTHM[CAR]))
        if turn.opens_at <= midnight + OPENS_AT + timedelta(hours=hour + 1)
        and midnight + OPENS_AT + timedelta(hours=hour) < turn.ends_at
    ]
    visits = []
    for vehicle_class in site.room:
        rhythm = RHYTHM[vehicle_class]
        share = sum(rhythm[hour] for _, hour in hours) / sum(rhythm)
        for _ in range(max(1, round(VEHICLES[vehicle_class] * share))):
            came_at = turn.opens_at + (turn.ends_at - turn.opens_at) * chance.uniform(0.02, 0.9)
            if hours:
                begins_at = chance.choices(hours, [rhythm[hour] for _, hour in hours])[0][0]
                drawn_at = begins_at + timedelta(minutes=chance.uniform(0, 60))
                came_at = min(max(drawn_at, turn.opens_at), turn.ends_at - timedelta(minutes=9))
            leaves_at = came_at + timedelta(minutes=chance.triangular(20, 360, 90))
            if turn.is_closed:
                leaves_at = min(leaves_at, turn.ends_at - timedelta(minutes=chance.uniform(1, 8)))
            visits.append(
                _Visit(
                    vehicle_class=vehicle_class,
                    plate=draw_plate(chance, vehicle_class),
                    came_at=came_at,
                    leaves_at=leaves_at,
                )
            )
    return sorted(visits, key=lambda one: one.came_at)


def draw_plate(chance: random.Random, vehicle_class: VehicleClass) -> str:
    """Draw a plate of Hà Nội's."""
    number = f"{chance.randint(100, 999)}.{chance.randint(10, 99)}"
    series = chance.choice("ABCDEFGHK")
    return f"30{series}-{number}" if vehicle_class is CAR else f"29-{series}1 {number}"


def _an_entry(
    org: OrgFacts, lot_id: UUID, worker: Worker, shift_id: UUID, visit: _Visit
) -> EntryRequest:
    assert worker.actor.id is not None
    compact = read_vehicle_plate(visit.plate, visit.vehicle_class)
    return EntryRequest(
        org_id=org.id,
        lot_id=lot_id,
        id=_id_at(visit.came_at),
        vehicle_class=visit.vehicle_class,
        plate=compact,
        ticket_kind=None,
        ticket=None,
        ticket_key=new_id(),
        access_id=None,
        device_id=worker.device_id,
        shift_id=shift_id,
        entered_by=worker.actor.id,
        photo=None,
        method=Method.VISUAL,
        read_text=None,
        read_score_bps=None,
        entered_at=visit.came_at,
        time_source=TimeSource.HUB,
        request_hash=hash_entry(
            lot_id=lot_id,
            vehicle_class=visit.vehicle_class.value,
            plate=compact,
            ticket_kind=None,
            ticket=None,
            access_id=None,
            photo=None,
        ),
    )


def _id_at(instant: datetime) -> UUID:
    """Make an id of an instant: its milliseconds, and the rest of a new one."""
    return UUID(int=first_id_at(instant).int | new_id().int & ((1 << 80) - 1))


async def _let_out(
    session: AsyncSession,
    org: OrgFacts,
    session_id: UUID,
    worker: Worker,
    visit: _Visit,
    number: int,
) -> int:
    """Let a vehicle out that pays, is exempt, or drives off; return the cash."""
    at = visit.leaves_at
    forced, taken_vnd = None, 0
    if number % UNPAID_EVERY == 4:
        stay = await get_stay(session, org.id, session_id)
        standing = await read_standing(session, org.id, stay, at=at)
        forced = ExitReason.ARREARS if standing.due_vnd else None
    else:
        is_exempt = number % EXEMPT_EVERY == 9
        taken_vnd = await _pay(session, org, session_id, worker, at=at, is_exempt=is_exempt)
    leaving = LeaveRequest(
        session_id=session_id,
        actor=worker.actor,
        forced=forced,
        words=UNPAID if forced else None,
        device_id=worker.device_id,
    )
    await leave(session, org.id, [leaving], now=at)
    return taken_vnd


async def _pay(
    session: AsyncSession,
    org: OrgFacts,
    session_id: UUID,
    worker: Worker,
    *,
    at: datetime,
    is_exempt: bool = False,
) -> int:
    """Take what is due; return the cash."""
    stay = await get_stay(session, org.id, session_id)
    standing = await read_standing(session, org.id, stay, at=at)
    if not standing.due_vnd:
        return 0
    taken = Taken(
        id=new_id(),
        rail=CollectionRail.EXEMPT if is_exempt else CollectionRail.CASH,
        amount_vnd=None if is_exempt else standing.due_vnd,
        reason=EXEMPT if is_exempt else None,
        device_id=worker.device_id,
    )
    await collect(session, org.id, session_id, taken, priced_at=at, actor=worker.actor, now=at)
    return 0 if is_exempt else standing.due_vnd
