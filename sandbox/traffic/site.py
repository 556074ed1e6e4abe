"""A site: vehicles come as fast as the hour says, and go by one way of paying or another."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sandbox.traffic.papers import draw_papers
from sandbox.traffic.payers import Payers
from sandbox.traffic.phone import HubAway, Phone, new_id
from sandbox.traffic.plan import PassPlate
from sandbox.traffic.rhythm import fullness, moves_an_hour

PASS_SHARE: Final = 0.05
MISTYPED_SHARE: Final = 0.03
TICKET_SHARE: Final = 0.04  # no plate, or a covered one
PAYS_IN_CASH_SHARE: Final = 0.6  # where the price is paid on the way in
LOOKS, LOOKS_EVERY_S = 40, 0.5  # until a transfer is confirmed
LEFT_ALONE_FOR: Final = timedelta(minutes=30)  # a visitor's own vehicle is not let out
ADOPTED_MAX: Final = 50  # what one search answers
RECOVERS_AFTER_S: Final = 5.0
STALLED_S: Final = 20 * 60
PAY_ON_ENTRY: Final = "payOnEntry"  # as the hub writes it
UNPAID: Final = "Khách đi luôn, không trả tiền"
DROVE_OFF: Final = "Xe đã chạy mất"
UNCONFIRMED: Final = "Khách đưa màn hình đã chuyển khoản, ngân hàng chưa báo"


@dataclass(kw_only=True)
class Vehicle:
    """A vehicle inside, as the attendant knows it."""

    session_id: str
    vehicle_class: str
    plate: str | None
    ticket: str | None = None
    pass_id: str | None = None


@dataclass(kw_only=True)
class Site:
    """One lot's gate."""

    phone: Phone
    payers: Payers
    chance: random.Random
    passes: list[PassPlate]
    ways: dict[str, int]  # of going out: {way: how often, beside the others}
    has_toll: bool
    speed: int
    read_clock: Callable[[], datetime]
    note: Callable[..., None]
    inside: list[Vehicle] = field(default_factory=list)

    @property
    def path(self) -> str:
        """The lot's address at the hub."""
        return f"/v1/lots/{self.phone.gate.lot_id}"

    async def run(self) -> None:
        """Let vehicles come and go, for ever. Trouble with the hub is waited out."""
        has_begun = False
        while True:
            try:
                if not has_begun:
                    await self.phone.begin()
                    await self._adopt()
                    has_begun = True
                await asyncio.sleep(self._wait_s())
                await self._move()
            except HubAway as problem:
                self.note("away", site=self.phone.gate.label, problem=str(problem)[:200])
                await asyncio.sleep(RECOVERS_AFTER_S)

    def _wait_s(self) -> float:
        per_hour = moves_an_hour(list(self.phone.gate.classes), self.read_clock()) * self.speed
        return min(STALLED_S, self.chance.expovariate(per_hour / 3_600))

    async def _adopt(self) -> None:
        """Take over the vehicles that are inside for a while already."""
        _, found = await self.phone.ask("GET", f"{self.path}/sessions")
        before = self.read_clock() - LEFT_ALONE_FOR
        for one in found.get("sessions", [])[:ADOPTED_MAX]:
            if datetime.fromisoformat(one["entered_at"]) < before:
                self.inside.append(
                    Vehicle(
                        session_id=one["id"],
                        vehicle_class=one["vehicle_class"],
                        plate=one["plate"],
                        ticket=one["ticket"],
                        pass_id=one["pass_id"],
                    )
                )

    async def _move(self) -> None:
        gate = self.phone.gate
        vehicle_class = self.chance.choice(list(gate.classes))
        wanted = gate.room * min(fullness(one, self.read_clock()) for one in gate.classes)
        comes = self.chance.random() < (0.7 if len(self.inside) < wanted else 0.3)
        if not self.inside or (comes and len(self.inside) < gate.room):
            await self._let_in(vehicle_class)
        else:
            vehicle = self.inside.pop(self.chance.randrange(len(self.inside)))
            await self._let_out(vehicle)

    async def _let_in(self, vehicle_class: str) -> None:
        vehicle = self._draw_vehicle(vehicle_class)
        typed, right = vehicle.plate, vehicle.plate
        if typed is not None and self.chance.random() < MISTYPED_SHARE:
            typed = _mistype(typed)
        entry = {
            "id": vehicle.session_id,
            "vehicle_class": vehicle_class,
            **({"plate": typed} if typed else {"ticket": vehicle.ticket}),
        }
        status, answer = await self.phone.ask("POST", f"{self.path}/entries", entry)
        if status != 201:
            if answer.get("verdict") not in ("full", "already_inside"):
                self.note("odd", what="entry", status=status, answer=answer)
            return
        vehicle.pass_id = answer["pass_id"] if not answer["is_pass_in_use"] else None
        if typed != right:
            change = {"plate": right, "vehicle_class": vehicle_class}
            path = f"/v1/parking-sessions/{vehicle.session_id}"
            status, answer = await self.phone.ask("PATCH", path, change)
            if status != 200:
                vehicle.plate = typed
        self.inside.append(vehicle)
        if self.phone.gate.timing == PAY_ON_ENTRY:
            way = "cash" if self.chance.random() < PAYS_IN_CASH_SHARE else "qr"
            await self._pay(vehicle, way)
        self.note("in", site=self.phone.gate.label)

    async def _let_out(self, vehicle: Vehicle) -> None:
        way = self._draw_way()
        is_through = await self._pay(vehicle, way)
        wanted: dict[str, Any] = {} if vehicle.plate is None else {"plate": vehicle.plate}
        if not is_through and way == "unpaid":
            wanted |= {"forced": "arrears", "reason": UNPAID, "no_photo_reason": DROVE_OFF}
        elif not is_through:
            _, photo = await self.phone.send_photo(f"{self.path}/photos", draw_papers(self.chance))
            forced = {"forced": "unconfirmed", "reason": UNCONFIRMED}
            wanted |= {**forced, "photo": photo.get("hash")}
        path = f"/v1/parking-sessions/{vehicle.session_id}/exit"
        if way == "wrong_plate" and vehicle.plate is not None:
            wrong = {"plate": _mistype(vehicle.plate)}
            status, answer = await self.phone.ask("POST", path, wrong)
            if status == 200:  # the hub did not see that another one goes out
                self.note("odd", what="another plate went out", status=status, answer=answer)
        status, answer = await self.phone.ask("POST", path, wanted)
        if status == 409 and answer.get("code") == "not_paid":  # it stayed over the hour: more
            self.inside.append(vehicle)
            return
        if status == 409 and answer.get("code") == "not_inside":
            return
        if status != 200:
            self.note("odd", what="exit", status=status, answer=answer)
            return
        self.note("out", site=self.phone.gate.label, way=way)

    async def _pay(self, vehicle: Vehicle, way: str) -> bool:
        """Pay what is due; False: it leaves without that."""
        stay = f"/v1/parking-sessions/{vehicle.session_id}"
        lost = {"is_ticket_lost": True} if way == "lost_ticket" else {}
        if lost and not await self._report_lost(stay):
            return True
        status, quoted = await self.phone.ask("POST", f"{stay}/quotes", lost)
        if status != 201:
            self.note("odd", what="quote", status=status, answer=quoted)
            return True
        if not quoted["amount_vnd"]:
            return True
        if vehicle.pass_id is not None:
            taken = {"rail": "pass", "pass_id": vehicle.pass_id}
            if await self._take(stay, taken):
                return True
        if way == "unpaid":
            return False
        if way == "toll" and vehicle.plate is not None and await self._charge(vehicle, quoted):
            return True
        if way == "qr":
            return await self._transfer(stay, quoted)
        money = {"amount_vnd": quoted["amount_vnd"], "quote": quoted["quote"]}
        return await self._take(stay, {"rail": "cash", **money})

    async def _report_lost(self, stay: str) -> bool:
        """Photograph the owner's papers and report the ticket lost."""
        status, photo = await self.phone.send_photo(f"{self.path}/photos", draw_papers(self.chance))
        if status == 201:
            report = {"photo": photo["hash"]}
            status, photo = await self.phone.ask("POST", f"{stay}/lost-ticket", report)
        if status != 201:
            self.note("odd", what="lost ticket", status=status, answer=photo)
        return status == 201

    async def _take(self, stay: str, taken: dict[str, Any]) -> bool:
        body = {"id": str(new_id(self.read_clock())), **taken}
        status, answer = await self.phone.ask("POST", f"{stay}/collections", body)
        is_pass_over = taken["rail"] == "pass" and status == 409  # or in use at another site
        if status != 201 and not is_pass_over:
            self.note("odd", what=f"collection by {taken['rail']}", status=status, answer=answer)
        return status == 201

    async def _charge(self, vehicle: Vehicle, quoted: dict[str, Any]) -> bool:
        assert vehicle.plate is not None
        await self.payers.fill_wallet(vehicle.plate)
        body = {
            "id": str(new_id(self.read_clock())),
            "amount_vnd": quoted["amount_vnd"],
            "quote": quoted["quote"],
        }
        path = f"/v1/parking-sessions/{vehicle.session_id}/toll-charges"
        status, answer = await self.phone.ask("POST", path, body)
        if status != 201:
            self.note("odd", what="toll charge", status=status, answer=answer)
        return status == 201 and answer["next_step"] == "leave"

    async def _transfer(self, stay: str, quoted: dict[str, Any]) -> bool:
        """Show a code and let the driver pay it; the gate waits until the bank confirms."""
        body = {
            "id": str(new_id(self.read_clock())),
            "amount_vnd": quoted["amount_vnd"],
            "quote": quoted["quote"],
        }
        status, bill = await self.phone.ask("POST", f"{stay}/bills", body)
        if status != 201:
            self.note("odd", what="bill", status=status, answer=bill)
            return False
        if not await self.payers.pay(payload=bill["vietqr"]):
            return False
        self.note("transfer", site=self.phone.gate.label)
        for _ in range(LOOKS):
            await asyncio.sleep(LOOKS_EVERY_S)
            _, known = await self.phone.ask("GET", stay)
            if known.get("paid_vnd", 0) >= quoted["price_vnd"]:
                return True
        return False

    def _draw_vehicle(self, vehicle_class: str) -> Vehicle:
        now = self.read_clock()
        of_class = [one.plate for one in self.passes if one.vehicle_class == vehicle_class]
        drawn, plate, ticket = self.chance.random(), None, None
        if of_class and drawn < PASS_SHARE:
            plate = self.chance.choice(of_class)
        elif drawn > 1 - TICKET_SHARE:
            ticket = f"V{self.chance.randrange(10**6):06d}"
        else:
            plate = _draw_plate(self.chance, vehicle_class)
        return Vehicle(
            session_id=str(new_id(now)), vehicle_class=vehicle_class, plate=plate, ticket=ticket
        )

    def _draw_way(self) -> str:
        ways = {way: often for way, often in self.ways.items() if self.has_toll or way != "toll"}
        return self.chance.choices(list(ways), list(ways.values()))[0]


def _draw_plate(chance: random.Random, vehicle_class: str) -> str:
    series, number = chance.choice("ABCDEFGHKLM"), chance.randrange(10_000, 99_999)
    written = f"{number:05d}"
    if vehicle_class == "car":
        return f"30{series}-{written[:3]}.{written[3:]}"
    return f"29-{series}{chance.randint(1, 9)} {written[:3]}.{written[3:]}"


def _mistype(plate: str) -> str:
    """Type the last digit wrong."""
    return plate[:-1] + str((int(plate[-1]) + 1) % 10 if plate[-1].isdigit() else 1)
