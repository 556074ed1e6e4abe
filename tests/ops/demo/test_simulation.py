"""The simulation of the demo: real phones' routes, the sandbox's bank, and books that agree."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from ops.demo import city
from ops.demo.simulation import write_plan
from sandbox.ft_numbers import VIETNAM
from sandbox.traffic.phone import new_id
from sandbox.traffic.rhythm import fullness, moves_an_hour, sales_an_hour
from tests.payments.invariants import find_violations, find_waiting
from tests.world.databases import FreshDatabase
from tests.world.sandboxes import a_sandbox_process
from tests.world.servers import wait_until_served
from tests.world.waits import becomes

SPEED = 60
PLAYED_WITHIN_S = 60.0
EVENTS = ("in", "out", "transfer", "sale")
EQUALLY = dict.fromkeys(("qr", "cash", "toll", "lost_ticket", "unpaid", "wrong_plate"), 1)
WAYS_WANTED = {"qr", "cash", "lost_ticket", "unpaid"}


def at_hour(hour: int) -> datetime:
    return datetime(2026, 11, 27, hour, tzinfo=VIETNAM)


def test_motorbikes_crowd_in_when_offices_open_and_cars_come_later() -> None:
    def busiest(vehicle_class: str) -> int:
        return max(range(12), key=lambda hour: moves_an_hour([vehicle_class], at_hour(hour)))

    assert busiest("motorbike") == 7
    assert busiest("car") > 7
    assert fullness("motorbike", at_hour(9)) > 0.7 > fullness("motorbike", at_hour(6))


def test_at_every_minute_of_a_day_somebody_comes_and_no_site_is_over_full() -> None:
    for minute in range(24 * 60):
        at = at_hour(0) + timedelta(minutes=minute)
        for vehicle_class in ("car", "motorbike"):
            assert 0 < fullness(vehicle_class, at) < 1
            assert moves_an_hour([vehicle_class], at) > 0
        assert sales_an_hour(at) > 0


def test_ids_of_what_phones_record_say_when_and_never_repeat() -> None:
    now = datetime(2026, 11, 27, 7, 30, tzinfo=UTC)
    made = {new_id(now) for _ in range(1_000)}

    assert len(made) == 1_000
    assert {(one.version, one.variant) for one in made} == {(7, "specified in RFC 4122")}
    assert {one.int >> 80 for one in made} == {int(now.timestamp() * 1_000)}


@pytest.mark.slow
def test_vehicles_come_go_and_pay_and_the_books_agree(
    fresh_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        sandbox = stack.enter_context(a_sandbox_process(time_scale=0.05))
        sandbox_url = str(sandbox.base_url).rstrip("/")
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        hub_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        hub_log = tmp_path / "hub.log"
        environment = fresh_database.environment | {
            "PHOPAY_PUBLIC_URL": hub_url,
            "PHOPAY_SANDBOX_ORIGINS": sandbox_url,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        hub = subprocess.Popen(
            [sys.executable, "-m", "ops.hub_process", str(listener.fileno())],
            env={**os.environ, **environment},
            pass_fds=[listener.fileno()],
            stdout=stack.enter_context(hub_log.open("wb")),
            stderr=subprocess.STDOUT,
        )
        stack.callback(hub.wait, 20)
        stack.callback(hub.terminate)
        wait_until_served(f"{hub_url}/health/ready", hub)
        city.seed(hub_url=hub_url, sandbox_url=sandbox_url)
        before = read_books(fresh_database)
        plan = write_plan(
            Path(environment["PHOPAY_DATA_DIR"]),
            hub_url=hub_url,
            sandbox_url=sandbox_url,
            speed=SPEED,
        )
        plan.write_text(json.dumps(json.loads(plan.read_text()) | {"ways": EQUALLY}))
        log = tmp_path / "traffic.log"
        traffic = subprocess.Popen(
            [sys.executable, "-m", "sandbox.traffic", str(plan)],
            stdout=stack.enter_context(log.open("wb")),
            stderr=subprocess.STDOUT,
        )
        stack.callback(traffic.kill)

        def has_played() -> bool:
            assert traffic.poll() is None, log.read_text()
            events = read_events(log)
            ways = {one["way"] for one in events if one["event"] == "out"}
            counts = Counter(one["event"] for one in events)
            is_paid = counts["sale"] > 3 and counts["transfer"] > 0
            return ways >= WAYS_WANTED and is_paid and len(events) > 60

        becomes(has_played, within_s=PLAYED_WITHIN_S)
        traffic.send_signal(signal.SIGTERM)
        assert traffic.wait(10) == 0
        events = read_events(log)
        counts = Counter(one["event"] for one in events)

        def has_heard() -> bool:
            heard = read_books(fresh_database)["reported"]
            return heard >= counts["sale"] + counts["transfer"]

        assert becomes(has_heard, within_s=30), read_books(fresh_database)
        assert becomes(lambda: not find_waiting(fresh_database.owner_url), within_s=20)
        hub.terminate()  # a barrier of the sandbox's still holds a request there
        hub.wait(20)

    assert [one for one in events if one["event"] not in EVENTS] == []
    after = read_books(fresh_database)
    assert after["entered"] - before["entered"] >= counts["in"] > 0
    assert after["left"] - before["left"] >= counts["out"] > 0
    assert min(counts["sale"], after["transfers"]) > 0
    assert find_violations(fresh_database.owner_url) == []
    said = hub_log.read_text()
    assert '"level":"error"' not in said
    assert "ERROR" not in said


def read_events(log: Path) -> list[dict[str, str]]:
    """What the traffic said, without a line that is being written."""
    lines = log.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("\n")]


def read_books(fresh_database: FreshDatabase) -> dict[str, int]:
    """What the hub has of it."""
    names = ("entered", "left", "transfers", "reported")
    with psycopg.connect(fresh_database.owner_url) as owner:
        counted = owner.execute("""
            SELECT (SELECT count(*) FROM parking_sessions),
                   (SELECT count(*) FROM parking_sessions WHERE status = 'left'),
                   (SELECT count(*) FROM parking_sessions WHERE bill_paid_vnd > 0),
                   (SELECT count(*) FROM bank_transactions)
            """).fetchone()
    assert counted is not None
    return dict(zip(names, counted, strict=True))
