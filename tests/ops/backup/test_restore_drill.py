"""Drills: a backup is restored after more has happened; no reference of that time comes twice."""

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest

from core.db import Database
from core.ids import new_id
from ops.backup.backup import make_backup
from ops.backup.photos import PutBack
from ops.backup.restore import Restored, advance_serials, restore_backup
from ops.environment import build_environment, embedded_owner_url, role_passwords
from ops.errors import CannotStart
from ops.migrate import upgrade
from ops.postgres.place import find_place
from ops.postgres.supervisor import Cluster, running_postgres
from ops.roles import ensure_embedded_database
from parking.photos.store import find_folder, name_file
from payments.bills.references import SERIAL_COUNT
from payments.bills.rules import BillFacts
from payments.bills.serials import ReferenceSource, serials_to_skip
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill_request, open_bills_as
from tests.world.databases import (
    TEST_SECRET_KEY,
    FreshDatabase,
    create_database,
    open_database_at,
    reachable_folder,
)
from tests.world.hubs import running_hub
from tests.world.lots import a_lot
from tests.world.notices import pay, process_waiting, sepay_body, store_notices
from tests.world.organisations import GIVEN_OUT
from tests.world.photos import keep_photos, photos_in
from tests.world.reads import list_breaks, read_ledger, read_status
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.drill]

ROOT = Path(__file__).parents[3]
BILLS = 30
RUN_LENGTH = 10  # of serials: three runs' worth of bills


@pytest.fixture
def target(cluster: Cluster) -> Iterator[FreshDatabase]:
    """An empty database on a server that has the roles, as on a new machine."""
    with create_database(cluster, template="template0") as empty:
        yield empty


@asynccontextmanager
async def a_hub_on(fresh_database: FreshDatabase) -> AsyncIterator[Database]:
    """Sessions of the hub's role; they are gone at the end, as when the hub is stopped."""
    async with open_database_at(fresh_database.app_url, fresh_database.settings) as database:
        yield database


async def open_more(database: Database, stall: PayableStall, count: int = BILLS) -> list[BillFacts]:
    """Open bills as a hub process does that has just started: its serials come in runs."""
    now = datetime.now(UTC)
    references = await ReferenceSource(database, run_length=RUN_LENGTH).take(stall.org, count)
    request = a_bill_request(stall, now=now)
    return await open_bills_as(database, stall, [request] * count, references, now=now)


def restore(fresh_database: FreshDatabase, folder: Path, *, may_replace: bool = False) -> Restored:
    return restore_backup(
        fresh_database.owner_url,
        TEST_SECRET_KEY,
        folder,
        photo_dir=find_folder(fresh_database.settings),
        may_replace=may_replace,
    )


def back_up(fresh_database: FreshDatabase, folder: Path) -> Path:
    photo_dir = find_folder(fresh_database.settings)
    return make_backup(
        fresh_database.owner_url, TEST_SECRET_KEY, folder, has_key=False, photo_dir=photo_dir
    ).folder


def references_of(bills: list[BillFacts]) -> set[str]:
    return {bill.reference for bill in bills}


def ask(fresh_database: FreshDatabase, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(fresh_database.owner_url) as owner:
        return owner.execute(query.encode()).fetchall()


async def test_no_reference_of_the_lost_time_comes_again_and_its_payer_pays_no_stranger(
    fresh_database: FreshDatabase, target: FreshDatabase, tmp_path: Path
) -> None:
    async with a_hub_on(fresh_database) as hub:
        stall = await a_payable_stall(hub)
        before = await open_more(hub, stall)
        await pay(hub, stall, before[0])
        books = await read_ledger(hub, stall)
        folder = back_up(fresh_database, tmp_path)
        lost = await open_more(hub, stall)

    restored = restore(target, folder)

    assert restored.violations == []
    assert restored.used_up == []
    async with a_hub_on(target) as hub:
        assert await read_ledger(hub, stall) == books  # I19
        after = await open_more(hub, stall)
        assert not references_of(after) & (references_of(before) | references_of(lost))
        for bill in lost:  # the lost bills' payers pay now
            body = sepay_body(stall, amount_vnd=20_000, memo=bill.reference)
            await store_notices(hub, stall, body)
        await process_waiting(hub, stall)
        assert {await read_status(hub, stall, bill) for bill in after} == {("open", 0, 0)}
        assert await list_breaks(hub, stall) == ["unknown_reference"] * BILLS
        assert await pay(hub, stall, before[1]) == "settle"
    assert find_violations(target.owner_url) == []


async def test_a_restored_hub_shows_the_photos_of_the_backup_by_their_links(
    fresh_database: FreshDatabase, target: FreshDatabase, tmp_path: Path
) -> None:
    async with a_hub_on(fresh_database) as hub:
        lot = await a_lot(hub)
        photos = photos_in(find_folder(fresh_database.settings), hub)
        kept = await keep_photos(photos, lot, 3)
    folder = back_up(fresh_database, tmp_path)
    shutil.rmtree(find_folder(fresh_database.settings))  # the machine is lost

    restored = restore(target, folder)

    assert restored.photos == PutBack(is_in_backup=True, put_back=3)
    files = [find_folder(target.settings) / name_file(lot.org.id, one.hash) for one in kept]
    assert [sha256(file.read_bytes()).digest() for file in files] == [one.hash for one in kept]
    async with running_hub(target.settings) as served:
        for one in kept:
            link = photos.link(lot.org.code, lot.org.id, one.hash, now=datetime.now(UTC))
            shown = await served.client.get(link)
            assert (shown.status_code, shown.content) == (200, one.jpeg)


async def test_one_backup_restored_twice_on_new_machines_never_repeats_a_reference(
    cluster: Cluster, fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    async with a_hub_on(fresh_database) as hub:
        stall = await a_payable_stall(hub)
        folder = back_up(fresh_database, tmp_path)
        given_out = references_of(await open_more(hub, stall, 1_500))

    for _ in range(3):
        with create_database(cluster, template="template0") as machine:
            restore(machine, folder)
            async with a_hub_on(machine) as hub:
                more = references_of(await open_more(hub, stall, 1_500))
        assert not more & given_out
        given_out |= more


async def test_a_database_that_is_replaced_says_how_far_it_had_come(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    """Also past any estimate, and from a copy that does not know of the first restore."""
    async with a_hub_on(fresh_database) as hub:
        stall = await a_payable_stall(hub)
    folder = back_up(fresh_database, tmp_path)
    copy = shutil.copytree(folder, tmp_path / "copy")
    far = 300_000_000
    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute("UPDATE organisation_codes SET next_serial = %s", [far])

    restore(fresh_database, folder, may_replace=True)
    async with a_hub_on(fresh_database) as hub:
        first = references_of(await open_more(hub, stall))
    restore(fresh_database, copy, may_replace=True)
    async with a_hub_on(fresh_database) as hub:
        second = references_of(await open_more(hub, stall))

    assert not first & second
    assert ask(fresh_database, "SELECT next_serial >= 300000000 FROM organisation_codes") == [
        (True,)
    ]


async def test_an_organisation_of_the_lost_time_that_is_made_again_repeats_no_reference(
    fresh_database: FreshDatabase, target: FreshDatabase, tmp_path: Path
) -> None:
    async with a_hub_on(fresh_database) as hub:
        await a_payable_stall(hub)
        folder = back_up(fresh_database, tmp_path)
        lost = references_of(await open_more(hub, await a_payable_stall(hub, code="HKXN")))

    restore(target, folder)
    async with a_hub_on(target) as hub:
        once_more = references_of(await open_more(hub, await a_payable_stall(hub, code="HKXN")))
    assert not lost & once_more

    again = back_up(target, tmp_path / "again")
    restore(target, again, may_replace=True)
    starts = (
        "SELECT column_default FROM information_schema.columns WHERE column_name = 'next_serial'"
    )
    assert int(str(ask(target, starts)[0][0])) >= 2 * serials_to_skip(timedelta(0))


async def test_a_promoted_standby_moves_its_serials_on(fresh_database: FreshDatabase) -> None:
    async with a_hub_on(fresh_database) as hub:
        stall = await a_payable_stall(hub)
        with psycopg.connect(fresh_database.owner_url) as owner:
            before = owner.execute("SELECT code, next_serial FROM organisation_codes").fetchall()
        lost = references_of(await open_more(hub, stall))
    with psycopg.connect(fresh_database.owner_url) as owner:  # what the standby had not received
        owner.execute("DELETE FROM bills")
        owner.execute("UPDATE organisation_codes SET next_serial = %s", [before[0][1]])

    since = datetime.now(UTC) - timedelta(minutes=1)
    restored = advance_serials(fresh_database.owner_url, lost_since=since, is_sign_out_wanted=False)

    assert restored.skipped == serials_to_skip(timedelta(seconds=60))
    async with a_hub_on(fresh_database) as hub:
        assert not lost & references_of(await open_more(hub, stall))


async def test_a_new_timeline_moves_serials_on_by_itself() -> None:
    """What a promoted standby begins, here by a recovery to the end of the log; nobody is asked."""
    with reachable_folder() as home:
        with a_server(home) as fresh_database:
            async with a_hub_on(fresh_database) as hub:
                stall = await a_payable_stall(hub)
                before = references_of(await open_more(hub, stall))
                known = ask(fresh_database, "SELECT taken_on FROM organisation_codes")
        with a_server(home) as fresh_database:  # an ordinary restart is no new timeline
            async with a_hub_on(fresh_database) as hub:
                before |= references_of(await open_more(hub, stall))
            assert ask(fresh_database, "SELECT taken_on FROM organisation_codes") == known
            lowest = ask(
                fresh_database, f"SELECT next_serial < {GIVEN_OUT} + 1000 FROM organisation_codes"
            )
            assert lowest == [(True,)]
        data = find_place(home).data
        (data / "recovery.signal").touch()
        shutil.chown(data / "recovery.signal", data.stat().st_uid, data.stat().st_gid)
        # Nobody is let in before the recovery has ended.
        with a_server(home, restore_command="false", hot_standby="off") as fresh_database:
            async with a_hub_on(fresh_database) as hub:
                after = references_of(await open_more(hub, stall))
            moved = f"SELECT taken_on, next_serial > {GIVEN_OUT} * 2 FROM organisation_codes"
            assert ask(fresh_database, moved) == [(str(known[0][0])[:-1] + "2", True)]
    assert not before & after


def test_the_commands_carry_an_installation_to_another_machine(tmp_path: Path) -> None:
    def phopay(*words: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "ops.cli", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    with reachable_folder() as old, reachable_folder() as new:
        assert phopay("migrate", "--data", str(old)).returncode == 0
        made = phopay("backup", str(tmp_path), "--data", str(old))
        assert made.returncode == 0, made.stderr
        folder = made.stdout.strip()

        without_key = phopay("restore", folder, "--data", str(new))
        assert without_key.returncode == 1
        assert "secret key" in without_key.stderr
        assert not (new / "secret_key").exists()  # a new one would open nothing
        shutil.copy(old / "secret_key", new / "secret_key")
        first = phopay("restore", folder, "--data", str(new))
        again = phopay("restore", folder, "--data", str(new))
        replaced = phopay("restore", folder, "--data", str(new), "--replace")

    assert (first.returncode, again.returncode, replaced.returncode) == (0, 1, 0), first.stderr
    assert "no reference comes twice" in first.stderr
    assert "--replace" in again.stderr


@contextmanager
def a_server(home: Path, **settings: str) -> Iterator[FreshDatabase]:
    """A server of its own, started anew on the same data; stopped at the end."""
    with running_postgres(home, settings={"fsync": "off", **settings}) as cluster:
        ensure_embedded_database(cluster, role_passwords(TEST_SECRET_KEY))
        owner_url = embedded_owner_url(cluster, TEST_SECRET_KEY)
        upgrade(owner_url)
        environment = build_environment(owner_url, TEST_SECRET_KEY, home)
        yield FreshDatabase(
            name="phopay",
            owner_url=owner_url,
            app_url=environment["PHOPAY_APP_DATABASE_URL"],
            gate_url=environment["PHOPAY_GATE_DATABASE_URL"],
            worker_url=environment["PHOPAY_WORKER_DATABASE_URL"],
            environment=environment,
        )


async def test_a_code_without_serials_left_is_named_and_gives_none(
    fresh_database: FreshDatabase, target: FreshDatabase, tmp_path: Path
) -> None:
    async with a_hub_on(fresh_database) as hub:
        stall = await a_payable_stall(hub)
    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute("UPDATE organisation_codes SET next_serial = %s", [SERIAL_COUNT - 500_000])

    restored = restore(target, back_up(fresh_database, tmp_path))

    assert restored.used_up == [stall.org.code]


async def test_sessions_and_setup_tokens_do_not_come_back_to_life(
    fresh_database: FreshDatabase, target: FreshDatabase, tmp_path: Path
) -> None:
    async with a_hub_on(fresh_database) as hub:
        stall = await a_payable_stall(hub)
    staff, org = new_id(), stall.org.id
    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute(
            "INSERT INTO setup_tokens VALUES ('\\x01', now(), NULL), ('\\x02', now(), now())"
        )
        columns = "org_id, id, login, display_name, password_hash, roles, created_at"
        owner.execute(
            f"INSERT INTO staff ({columns}) VALUES (%s, %s, 'a', 'A', 'x', '{{cashier}}', now())",
            [org, staff],
        )
        owner.execute(
            "INSERT INTO sign_ins VALUES"
            " (%s, %s, %s, '\\x01', now(), now(), now() + interval '1 day', NULL, '')",
            [org, new_id(), staff],
        )
    folder = back_up(fresh_database, tmp_path)

    restore(target, folder)

    assert ask(target, "SELECT count(*) FROM sign_ins WHERE revoked_at IS NULL") == [(0,)]
    assert ask(target, "SELECT count(*) FROM setup_tokens WHERE used_at IS NULL") == [(0,)]
    assert ask(target, "SELECT action, org_id FROM audit_log WHERE action LIKE 'database%'") == [
        ("database.restored", org)
    ]


async def test_what_must_not_be_restored_is_refused_and_changes_nothing(
    fresh_database: FreshDatabase, target: FreshDatabase, tmp_path: Path
) -> None:
    async with a_hub_on(fresh_database) as hub:
        stall = await a_payable_stall(hub)
        await open_more(hub, stall)
    folder = back_up(fresh_database, tmp_path)
    count = "SELECT count(*) FROM bills"

    with pytest.raises(CannotStart, match="not empty"):
        restore(fresh_database, folder)
    async with a_hub_on(fresh_database) as hub:
        await read_ledger(hub, stall)
        with pytest.raises(CannotStart, match="stop them first"):
            restore(fresh_database, folder, may_replace=True)
    dump = folder / "database.dump"
    whole = dump.read_bytes()
    dump.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CannotStart, match="changed or cut off"):
        restore(target, folder)
    assert ask(fresh_database, count) == [(BILLS,)]
    assert ask(target, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


async def test_a_restore_that_fails_half_way_leaves_the_database_as_it_was(
    fresh_database: FreshDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_hub_on(fresh_database) as hub:
        stall = await a_payable_stall(hub)
        await open_more(hub, stall)
    folder = back_up(fresh_database, tmp_path)
    monkeypatch.setattr("ops.backup.restore.END_SIGN_INS", "SELECT 1 / 0;")

    with pytest.raises(CannotStart, match="division by zero"):
        restore(fresh_database, folder, may_replace=True)

    assert ask(fresh_database, "SELECT count(*) FROM bills") == [(BILLS,)]
