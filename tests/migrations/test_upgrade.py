"""A database of a release, with rows in every table, upgraded to the newest migration."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from alembic import command

from ops import migrate
from ops.postgres.supervisor import Cluster
from tests.migrations.frozen import (
    WITHOUT_ROWS,
    compare_stock,
    dump_rows,
    find_empty,
    list_columns,
    load_rows,
    take_stock,
    without_values,
)
from tests.migrations.release_people import NEXT_SECRET, City, Office, Place
from tests.migrations.releases import NEWEST_RELEASE, RELEASES, find_changed, frozen_file
from tests.payments.invariants import find_violations, find_waiting
from tests.world.databases import FreshDatabase, create_database
from tests.world.hubs import running_hub

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
OWNER = "stall2.hkxm"
NEXT_MIGRATION = '''
"""A migration that a test made up."""

from alembic import op

revision = "m9001"
down_revision = "{newest}"


def upgrade() -> None:
    op.execute({statement!r})


def downgrade() -> None:
    pass
'''


@contextmanager
def loaded(cluster: Cluster, release: str) -> Iterator[FreshDatabase]:
    """A database as a release left it: at its newest migration, and full of rows."""
    with create_database(cluster, template="template0") as database:
        migrate.upgrade(database.owner_url, RELEASES[release])
        load_rows(database.owner_url, frozen_file(release).read_text())
        yield database


@pytest.fixture(params=list(RELEASES))
def release(request: pytest.FixtureRequest) -> str:
    """Each release."""
    name: str = request.param
    return name


@pytest.fixture
def frozen(release: str, cluster: Cluster) -> Iterator[FreshDatabase]:
    """The database of each release."""
    with loaded(cluster, release) as database:
        yield database


def test_a_release_is_frozen_with_a_row_in_every_table_and_a_value_in_every_column(
    release: str, frozen: FreshDatabase
) -> None:
    with psycopg.connect(frozen.owner_url) as owner:
        columns = list_columns(owner)
    known = {f"{table}.{name}" for table, names in columns.items() for name in names}
    # What the lists name besides came after this release.
    without_rows = set(WITHOUT_ROWS) & columns.keys()
    assert find_empty(frozen.owner_url) == (without_rows, without_values(release) & known)
    assert find_violations(frozen.owner_url, is_earlier_release=True) == []


def test_an_upgrade_keeps_every_row_and_every_dong_and_the_books_agree(
    frozen: FreshDatabase,
) -> None:
    before = take_stock(frozen.owner_url)
    assert sum(before.values()) > 1_000_000  # đồng, mostly

    migrate.upgrade(frozen.owner_url)

    assert migrate.read_current(frozen.owner_url) == migrate.read_newest()
    assert compare_stock(before, take_stock(frozen.owner_url)) == []
    assert find_violations(frozen.owner_url) == []


async def test_a_hub_works_on_an_upgraded_database(frozen: FreshDatabase) -> None:
    migrate.upgrade(frozen.owner_url)
    waiting = find_waiting(frozen.owner_url)
    async with running_hub(frozen.settings) as hub:
        city = City(hub, frozen)
        stall = await sign_in_at_the_stall(city)
        assert len((await city.ask(stall.owner, "GET", "/v1/bills"))["bills"]) > 10

        bill = await city.open_bill(stall, stall.owner, amount_vnd=35_000)
        await city.transfer(stall, 35_000, bill["reference"], secret=NEXT_SECRET)
        paid = await city.ask(stall.owner, "GET", f"/v1/bills/{bill['id']}")

    assert (paid["status"], paid["paid_vnd"]) == ("paid", 35_000)
    assert len(find_waiting(frozen.owner_url)) <= len(waiting)
    assert find_violations(frozen.owner_url) == []


async def sign_in_at_the_stall(city: City) -> Place:
    """Let people of the frozen city sign in; return the stall that one of them owns."""
    city.numbers = iter(range(5_000, 6_000))  # type: ignore[assignment]
    manager, approver, finance = [
        await city.hub.browser(f"{role}.hkxm") for role in ("manager", "approver", "finance")
    ]
    owner = await city.hub.browser(OWNER)
    me = await city.ask(owner, "GET", "/v1/me")
    (scope,) = me["scopes"]
    office = Office(code="HKXM", id="", manager=manager, approver=approver, finance=finance)
    listed = await city.ask(manager, "GET", f"/v1/accounts?payee_id={scope['id']}")
    link = next(one for one in listed["accounts"] if one["status"] == "active")
    stall = Place(
        office=office, payee_id=scope["id"], number=link["account_number"], link=link, owner=owner
    )
    endpoints = (await city.ask(approver, "GET", "/v1/callback-endpoints"))["endpoints"]
    stall.endpoints["sepay"] = next(
        one
        for one in endpoints
        if one["provider"] == "sepay" and stall.account_id in [a["id"] for a in one["accounts"]]
    )
    return stall


@pytest.mark.parametrize(
    ("statement", "reported"),
    [
        ("DELETE FROM idempotency_keys WHERE key = 'order-1'", "idempotency_keys of"),
        ("UPDATE bills SET purpose = 'x'", None),
        ("ALTER TABLE bills ADD COLUMN note text NOT NULL DEFAULT ''", None),
        ("UPDATE payments SET refundable_vnd = 0", "refundable_vnd:"),
        ("ALTER TABLE bills DROP COLUMN paid_vnd CASCADE", "paid_vnd:"),
    ],
)
def test_a_migration_that_loses_a_row_or_a_dong_is_reported(
    frozen: FreshDatabase, tmp_path: Path, statement: str, reported: str | None
) -> None:
    before = take_stock(frozen.owner_url)

    upgrade_by(frozen, tmp_path, statement)

    found = compare_stock(before, take_stock(frozen.owner_url))
    assert bool(found) == (reported is not None), found
    assert all(reported in line for line in found if reported is not None)


@pytest.mark.parametrize(
    ("statement", "violated"),
    [
        (
            "UPDATE bank_transactions SET amount_vnd = amount_vnd + 1",
            "bank_clearing_equals_unproved_credits",
        ),
        ("UPDATE bills SET status = 'open' WHERE status = 'paid'", "bills_agree"),
        ("UPDATE breaks SET closed_at = now()", "what_is_unapplied_is_on_a_list"),
        ("ALTER TABLE bills ALTER paid_vnd TYPE numeric", "money_is_whole"),
    ],
)
def test_a_migration_that_makes_the_books_disagree_is_reported(
    frozen: FreshDatabase, tmp_path: Path, statement: str, violated: str
) -> None:
    upgrade_by(frozen, tmp_path, statement)

    assert any(line.startswith(violated) for line in find_violations(frozen.owner_url))


def upgrade_by(database: FreshDatabase, folder: Path, statement: str) -> None:
    """Upgrade a database by our migrations and by one more that does this."""
    made_up = folder / "m9001_made_up.py"
    made_up.write_text(NEXT_MIGRATION.format(newest=migrate.read_newest(), statement=statement))
    config = migrate.build_config(database.owner_url)
    config.set_main_option("version_locations", f"{migrate.MIGRATIONS}\n{folder}")
    command.upgrade(config, "head")
    assert migrate.read_current(database.owner_url) == "m9001"


def test_what_is_frozen_is_loaded_as_it_was(cluster: Cluster) -> None:
    if RELEASES[NEWEST_RELEASE] != migrate.read_newest():
        pytest.skip("the models are ahead of the newest release")
    with loaded(cluster, NEWEST_RELEASE) as database:
        assert dump_rows(database.owner_url) == frozen_file(NEWEST_RELEASE).read_text()


@pytest.mark.drill
@pytest.mark.timeout(300)  # a minute on a quiet machine, two on a busy one
def test_the_next_release_can_be_frozen() -> None:
    """Whatever tables were added since: the city that is frozen has rows in them."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.migrations.freeze_release", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_the_migrations_of_a_release_are_as_they_were_released() -> None:
    changed = find_changed(migrate.MIGRATIONS, until=RELEASES[NEWEST_RELEASE])
    assert changed == [], (
        "A released migration is never changed: add another. Before the release: "
        "python -m tests.migrations.freeze_release"
    )


def test_a_released_migration_that_is_changed_gone_or_put_between_is_found(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(migrate.MIGRATIONS, folder, ignore=shutil.ignore_patterns("environment"))
    first, second, *_ = sorted(folder.glob("*_*.py"))
    first.write_text(first.read_text() + "\n")
    second.unlink()
    (folder / "m0003_between.py").write_text("")
    (folder / "m9001_added.py").write_text("")

    found = find_changed(folder, until=RELEASES[NEWEST_RELEASE])

    assert found == ["m0001_organisations.py", "m0002_people.py", "m0003_between.py"]


def test_a_table_that_was_added_before_the_freeze_is_not_missed(
    release: str, frozen: FreshDatabase
) -> None:
    with psycopg.connect(frozen.owner_url) as owner:
        owner.execute("CREATE TABLE stalls (org_id uuid, name text)")
        owner.execute("ALTER TABLE bills ADD COLUMN note text")

    tables, columns = find_empty(frozen.owner_url)

    assert tables - set(WITHOUT_ROWS) == {"stalls"}
    assert columns - without_values(release) == {"bills.note"}
