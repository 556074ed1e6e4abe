"""Seeding the demo city in one process: what is there already, and where it must not be."""

from collections.abc import Callable

import psycopg
import pytest

from ops.demo import city
from ops.demo.parking import SITES, VEHICLES_A_LOT
from ops.demo.places import DONG_XA, PLACES
from ops.errors import CannotStart
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
def test_the_parking_sites_have_prices_and_a_morning_behind_them(
    seed: Callable[[], list[str]], fresh_database: FreshDatabase
) -> None:
    seed()

    with psycopg.connect(fresh_database.owner_url) as owner:
        lots, priced, inside, counted, left, collected, open_shifts = (
            owner.execute("""
            SELECT (SELECT count(*) FROM lots), (SELECT count(DISTINCT lot_id) FROM lot_tariffs),
                   (SELECT count(*) FROM inside), (SELECT sum(inside_count) FROM occupancy),
                   (SELECT count(*) FROM parking_sessions WHERE status = 'left'),
                   (SELECT count(*) FROM collections WHERE rail = 'cash' AND amount_vnd > 0),
                   (SELECT count(*) FROM shifts WHERE closed_at IS NULL)
            """).fetchone()
            or ()
        )
    assert (lots, priced, open_shifts) == (len(SITES), len(SITES), 2)
    assert inside == counted
    assert inside + left == 2 * VEHICLES_A_LOT
    assert 0 < collected <= left
