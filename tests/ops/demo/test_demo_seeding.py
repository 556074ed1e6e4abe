"""Seeding the demo city in one process: what is there already, and where it must not be."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.demo import city
from ops.demo.day import VEHICLES, list_turns
from ops.demo.parking import SITES
from ops.demo.places import DONG_XA, PLACES
from ops.errors import CannotStart
from tests.payments.invariants import find_violations
from tests.world.databases import FreshDatabase

NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens


@pytest.fixture
def seed(fresh_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Seed this test's database; no sandbox runs."""
    for name, value in fresh_database.environment.items():
        monkeypatch.setenv(name, value)
    return lambda: city.seed(hub_url="http://127.0.0.1:8", sandbox_url=NOBODY)


@pytest.mark.slow
def test_a_seeding_that_stopped_half_way_goes_on(
    seed: Callable[[], list[str]], fresh_database: FreshDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as half:
        half.setattr(city, "PLACES", (DONG_XA,))
        first = "\n".join(seed())

    second = "\n".join(seed())

    assert "quanly.dx " in first
    assert "quanly.dx " not in second
    assert "quanly.th " in second
    with psycopg.connect(fresh_database.owner_url) as connection:
        (count,) = connection.execute("SELECT count(*) FROM organisations").fetchone() or (0,)
    assert count == len(PLACES) + 1


@pytest.mark.slow
def test_the_audit_log_of_each_place_begins_with_its_organisation(
    seed: Callable[[], list[str]], fresh_database: FreshDatabase
) -> None:
    seed()

    with psycopg.connect(fresh_database.owner_url) as connection:
        first = connection.execute("""
            SELECT DISTINCT ON (o.code) o.code, a.action, a.after ->> 'code'
            FROM organisations o LEFT JOIN audit_log a ON a.org_id = o.id
            ORDER BY o.code, a.id""").fetchall()
    assert len(first) == len(PLACES) + 1
    assert {action for _, action, _ in first} == {"organisation.added"}
    assert all(code == added for code, _, added in first)


@pytest.mark.slow
def test_a_city_without_its_sandbox_is_made_and_the_person_is_told(
    seed: Callable[[], list[str]],
) -> None:
    told = seed()

    assert any("No sandbox answers" in line for line in told)
    assert any("quantri.hn" in line for line in told)


def test_pretend_places_are_not_put_beside_live_ones(
    seed: Callable[[], list[str]], fresh_database: FreshDatabase
) -> None:
    with psycopg.connect(fresh_database.owner_url) as connection:
        connection.execute("""
            INSERT INTO organisations (id, code, name, kind, is_live, created_at)
            VALUES (gen_random_uuid(), 'XXXX', 'Chợ thật', 'market_board', true, now())""")

    with pytest.raises(CannotStart, match="live organisation"):
        seed()


@pytest.mark.slow
def test_the_parking_sites_have_prices_phones_and_a_day_behind_them(
    seed: Callable[[], list[str]], fresh_database: FreshDatabase
) -> None:
    seed()

    with psycopg.connect(fresh_database.owner_url) as owner:
        lots, priced, devices, open_shifts, inside, counted, left, hours, owing = (
            owner.execute("""
            SELECT (SELECT count(*) FROM lots), (SELECT count(DISTINCT lot_id) FROM lot_tariffs),
                   (SELECT count(DISTINCT scope_id) FROM devices WHERE revoked_at IS NULL),
                   (SELECT count(*) FROM shifts WHERE closed_at IS NULL),
                   (SELECT count(*) FROM inside), (SELECT sum(inside_count) FROM occupancy),
                   (SELECT count(*) FROM parking_sessions WHERE status = 'left'),
                   (SELECT extract(epoch FROM max(entered_at) - min(entered_at)) / 3600
                    FROM parking_sessions),
                   (SELECT count(*) FROM parking_sessions WHERE arrears_vnd > 0)
            """).fetchone()
            or ()
        )
        used = owner.execute("""
            SELECT count(DISTINCT lot_id) FROM parking_sessions WHERE entry_device_id IS NOT NULL
            """).fetchone()
    everywhere = len(SITES)
    assert (lots, priced, devices, open_shifts) == (everywhere,) * 4
    assert used == (everywhere,)
    assert inside == counted
    assert left > sum(VEHICLES[one] for one in SITES[0].room)
    assert hours > 12
    assert 0 < owing < left / 10
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.slow
def test_a_phone_that_was_revoked_is_followed_by_another(
    seed: Callable[[], list[str]], fresh_database: FreshDatabase
) -> None:
    seed()
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        owner.execute("UPDATE devices SET revoked_at = now() WHERE name = 'Cổng LTK'")

        seed()

        rows = owner.execute("SELECT count(*) FROM devices WHERE revoked_at IS NULL").fetchone()
    assert rows == (len(SITES),)


@given(st.datetimes(datetime(2026, 11, 1), datetime(2026, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_at_whatever_time_a_demo_starts_one_shift_runs_and_the_others_are_over(
    now: datetime,
) -> None:
    turns = list_turns(now)

    assert [turn.is_closed for turn in turns] == [*[True] * (len(turns) - 1), False]
    assert turns[-1].ends_at == now
    for earlier, later in pairwise(turns):
        assert earlier.ends_at <= later.opens_at
    for turn in turns:
        assert timedelta(hours=1) <= turn.ends_at - turn.opens_at <= timedelta(hours=18)
        assert turn.opens_at >= now - timedelta(hours=24)
