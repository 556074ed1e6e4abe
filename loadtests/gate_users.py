"""Users of the load tests: lanes where vehicles come in and go out, and phones that come back.

Only the load generator imports this: Locust patches the process that it is in.
"""

import random
import time
from collections import deque
from pathlib import Path
from typing import Any, ClassVar, Final

import gevent
import msgspec
from locust import FastHttpUser, constant_pacing, task

from core.ids import new_id
from loadtests.noted import Notebook, What
from loadtests.vehicles import write_entries
from loadtests.wire import Batch, Booth, GeneratorJob, Vehicle

PAID_WITHIN_S: Final = 30.0
LOOK_EVERY_S: Final = 0.5
TIMEOUT_S: Final = 20.0
PAUSE_S: Final = 0.25  # before what failed is tried again
RETURN_WITHIN_S: Final = 0.8  # the share of the time within which devices come back
SENT_TWICE_SHARE: Final = 0.1  # of batches whose answer a device did not get
PAYER: Final = "tai"
ONCE_MORE: Final = (0, 429, 500, 502, 503, 504)  # nothing is known, or it says so itself


class Work:
    """What the users of one process share: what is to be done, and the log."""

    def __init__(self, job: GeneratorJob) -> None:
        self.job = job
        self.notebook = Notebook(Path(job.notes_path))
        self.chance = random.Random(job.seed)
        self.entries = write_entries(job.first_vehicle, seed=job.seed)
        self.inside: deque[Vehicle] = deque(job.inside)
        within_s = RETURN_WITHIN_S * job.plan.seconds
        due = sorted(self.chance.uniform(0, within_s) for _ in job.returning)
        self.returning = deque(zip(due, job.returning, strict=True))
        self.started_at_s = time.monotonic()
        self._next_booth = 0

    def take_booth(self) -> int:
        """Return a lot for a user that begins: one after the other."""
        self._next_booth += 1
        return self._next_booth % len(self.job.booths)


def make_user(name: str, weight: int, work: Work) -> type["GateUser"]:
    """Return a class of users with what they share."""
    pace_s = work.job.plan.pace_s
    facts = {
        "work": work,
        "weight": weight,
        "wait_time": constant_pacing(pace_s),
        "abstract": False,
    }
    return type(name, (USERS[name],), facts)


class GateUser(FastHttpUser):
    """Somebody at a gate."""

    abstract = True
    work: ClassVar[Work]
    network_timeout = TIMEOUT_S
    connection_timeout = TIMEOUT_S
    max_retries = 0

    def on_start(self) -> None:
        """Take a lot."""
        self.booth_number = self.work.take_booth()
        self.kept: Any = None  # what got no answer: sent again before anything else

    def ask(
        self,
        method: str,
        path: str,
        name: str,
        body: Any,
        booth: Booth,
        good: tuple[int, ...],
    ) -> tuple[int, Any]:
        """Ask the hub; return the status and the answer, None where it is not a good one."""
        headers = {"Authorization": f"Bearer {booth.token}", "Content-Type": "application/json"}
        with self.client.request(
            method, path, data=body, headers=headers, name=name, catch_response=True
        ) as answer:
            status = answer.status_code
            if status in good:
                answer.success()
                return status, msgspec.json.decode(answer.content)
            self.fail(answer, f"{method} {name}", status, (answer.text or "")[:300])
            return status, None

    def fail(self, answer: Any, request: str, status: int, detail: str) -> None:
        """Count what went wrong."""
        what = What.FAILED if status in ONCE_MORE else What.REFUSED
        answer.failure(f"{status} {detail[:80]}")
        self.work.notebook.note(what, request=request, status=status, detail=detail)
        if what is What.FAILED:
            gevent.sleep(PAUSE_S)

    def enter(self, entry: dict[str, object], booth_number: int) -> Vehicle | None:
        """Let one vehicle in; None: it is not known whether it is."""
        booth = self.work.job.booths[booth_number]
        path = f"/v1/lots/{booth.lot_id}/entries"
        body = msgspec.json.encode(entry)
        _, answer = self.ask("POST", path, "/v1/lots/:id/entries", body, booth, (200, 201))
        if answer is None:
            return None
        vehicle = Vehicle(
            booth=booth_number,
            session_id=str(entry["id"]),
            vehicle_class=str(entry["vehicle_class"]),
            plate=str(entry["plate"]),
        )
        self.note_entry(vehicle, answer["verdict"])
        return vehicle

    def note_entry(self, vehicle: Vehicle, verdict: str) -> None:
        """Write down that the hub says a vehicle is in."""
        booth = self.work.job.booths[vehicle.booth]
        if verdict not in ("opened", "repeat"):
            detail = f"{verdict} {vehicle.session_id}"
            self.work.notebook.note(What.REFUSED, request="entry", status=200, detail=detail)
            return
        self.work.notebook.note(
            What.ENTERED,
            org_id=booth.org_id,
            lot_id=booth.lot_id,
            id=vehicle.session_id,
            vehicle_class=vehicle.vehicle_class,
            plate=vehicle.plate,
        )

    def take_inside(self) -> Vehicle | None:
        """Return a vehicle that is inside; where there is none, one comes in first."""
        if self.work.inside:
            return self.work.inside.popleft()
        self.kept = self.kept or next(self.work.entries)
        vehicle = self.enter(self.kept, self.booth_number)
        if vehicle is not None:
            self.kept = None
        return vehicle


class WayIn(GateUser):
    """A lane in: one vehicle after the other. What got no answer is sent again, as it was."""

    abstract = True

    @task
    def let_in(self) -> None:
        """Let the next vehicle in."""
        self.kept = self.kept or next(self.work.entries)
        vehicle = self.enter(self.kept, self.booth_number)
        if vehicle is not None:
            self.kept = None
            self.work.inside.append(vehicle)


class WayOut(GateUser):
    """A lane out: found by its plate, quoted, paid, and let out."""

    abstract = True
    pays_in_cash = False

    @task
    def let_out(self) -> None:
        """Let a vehicle out."""
        vehicle = self.take_inside()
        if vehicle is None:
            return
        booth = self.work.job.booths[vehicle.booth]
        if not self.find(vehicle, booth):
            return
        quoted = self.on_stay(vehicle, booth, "quotes", {}, (201,))
        if quoted is None or not self.pay(vehicle, booth, quoted):
            return
        exit_ = {"plate": vehicle.plate, "method": "anpr"}
        if self.on_stay(vehicle, booth, "exit", exit_, (200,)) is not None:
            self.note(What.LEFT, vehicle, booth)

    def find(self, vehicle: Vehicle, booth: Booth) -> bool:
        """Find a vehicle by its plate; True: it owes something."""
        wanted = {"plate": vehicle.plate, "vehicle_class": vehicle.vehicle_class}
        path, name = f"/v1/lots/{booth.lot_id}/exits", "/v1/lots/:id/exits"
        status, found = self.ask("POST", path, name, msgspec.json.encode(wanted), booth, (200, 201))
        if found is None:
            return False
        if status == 201:
            self.note(What.LEFT, vehicle, booth)
        elif found["verdict"] != "due" or found["session_id"] != vehicle.session_id:
            detail = f"{found['verdict']} {found['session_id']} for {vehicle.session_id}"
            self.work.notebook.note(What.REFUSED, request=name, status=status, detail=detail)
        return bool(found["verdict"] == "due")

    def pay(self, vehicle: Vehicle, booth: Booth, quoted: dict[str, Any]) -> bool:
        """Pay what was quoted by QR, and wait until the hub knows."""
        wanted = {
            "id": str(new_id()),
            "amount_vnd": quoted["amount_vnd"],
            "quote": quoted["quote"],
        }
        bill = self.on_stay(vehicle, booth, "bills", wanted, (201,))
        if bill is None or not self.transfer(bill["vietqr"]):
            return False
        self.note(What.PAID, vehicle, booth, id=bill["id"], amount_vnd=quoted["amount_vnd"])
        began_s = time.monotonic()
        while time.monotonic() - began_s < PAID_WITHIN_S:
            gevent.sleep(LOOK_EVERY_S)
            path = f"/v1/parking-sessions/{vehicle.session_id}"
            name = "/v1/parking-sessions/:id"
            _, stay = self.ask("GET", path, name, None, booth, (200,))
            if stay is not None and stay["paid_vnd"] >= quoted["amount_vnd"]:
                self.count_wait(began_s, None)
                return True
        self.count_wait(began_s, TimeoutError("the payment did not arrive"))
        return False

    def transfer(self, payload: str) -> bool:
        """Pay a code in the sandbox's bank app."""
        url, name = f"{self.work.job.sandbox_url}/api/pay", "sandbox: pay the code"
        with self.client.post(
            url, json={"payload": payload, "payer": PAYER}, name=name, catch_response=True
        ) as answer:
            if answer.status_code == 201:
                answer.success()
                return True
            self.fail(answer, name, answer.status_code, (answer.text or "")[:300])
            return False

    def count_wait(self, began_s: float, problem: Exception | None) -> None:
        """Count how long a payment took from the bank app to the stay."""
        self.environment.events.request.fire(
            request_type="WAIT",
            name="from the transfer to a paid stay",
            response_time=(time.monotonic() - began_s) * 1_000,
            response_length=0,
            exception=problem,
            context={},
        )

    def on_stay(
        self, vehicle: Vehicle, booth: Booth, what: str, body: dict[str, Any], good: tuple[int, ...]
    ) -> Any:
        """Ask something about a stay."""
        path = f"/v1/parking-sessions/{vehicle.session_id}/{what}"
        name = f"/v1/parking-sessions/:id/{what}"
        return self.ask("POST", path, name, msgspec.json.encode(body), booth, good)[1]

    def note(self, what: What, vehicle: Vehicle, booth: Booth, **facts: Any) -> None:
        """Write down what was acknowledged about a stay."""
        of_stay = {"org_id": booth.org_id, "lot_id": booth.lot_id, "id": vehicle.session_id}
        self.work.notebook.note(what, **{**of_stay, **facts})


class WayOutInCash(WayOut):
    """A lane out where drivers pay in cash."""

    abstract = True

    def pay(self, vehicle: Vehicle, booth: Booth, quoted: dict[str, Any]) -> bool:
        """Take cash for what was quoted."""
        wanted = {
            "id": str(new_id()),
            "rail": "cash",
            "amount_vnd": quoted["amount_vnd"],
            "quote": quoted["quote"],
        }
        taken = self.on_stay(vehicle, booth, "collections", wanted, (201,))
        if taken is None:
            return False
        self.note(What.CASH, vehicle, booth, id=wanted["id"], amount_vnd=quoted["amount_vnd"])
        return True


class Returning(GateUser):
    """Phones that come back online, one after the other, and send what they kept."""

    abstract = True

    @task
    def come_back(self) -> None:
        """Send all that the next device kept, in its order."""
        if not self.work.returning:
            gevent.sleep(1)
            return
        due_s, batches = self.work.returning.popleft()
        gevent.sleep(max(0.0, self.work.started_at_s + due_s - time.monotonic()))
        for batch in batches:
            answer = self.send(batch)
            if answer is not None and self.work.chance.random() < SENT_TWICE_SHARE:
                answer = self.send(batch)
            while answer is None:
                answer = self.send(batch)

    def send(self, batch: Batch) -> Any:
        """Send one batch, and write down what was acknowledged."""
        booth = self.work.job.booths[batch.booth]
        path, name = f"/v1/lots/{booth.lot_id}/movements", "/v1/lots/:id/movements"
        status, answer = self.ask("POST", path, name, batch.body, booth, (200,))
        if answer is None:
            return None if status in ONCE_MORE else {}
        for vehicle, result in zip(batch.entered, answer["results"], strict=True):
            if vehicle is not None:
                self.note_entry(vehicle, result["verdict"])
            else:
                of_device = {"org_id": booth.org_id, "lot_id": booth.lot_id, "id": result["id"]}
                self.work.notebook.note(What.MOVED, **of_device)
        return answer


USERS: Final[dict[str, type[GateUser]]] = {
    "WayIn": WayIn,
    "WayOut": WayOut,
    "WayOutInCash": WayOutInCash,
    "Returning": Returning,
}
