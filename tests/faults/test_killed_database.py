"""F18: PostgreSQL itself is killed under two hubs and a worker, and comes back."""

import asyncio

import pytest
from sqlalchemy import text

from core.clock import read_clock
from core.db import open_database, open_engine
from core.tenancy import open_org_transaction
from ops import migrate
from ops.environment import role_passwords
from ops.postgres.supervisor import running_postgres
from ops.roles import ensure_embedded_database
from tests.payments.invariants import find_violations, find_waiting
from tests.world.bills import a_bill
from tests.world.databases import (
    TEST_SECRET_KEY,
    chosen_binaries,
    create_database,
    reachable_folder,
)
from tests.world.installation import (
    SentNotice,
    deliver,
    new_client,
    running_installation,
    wait_until_settled,
    wait_until_up,
)
from tests.world.notices import sepay_body
from tests.world.reads import read_status
from tests.world.stalls import a_callable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.faults, pytest.mark.database]

DRILL = [pytest.mark.drill, pytest.mark.timeout(600)]


@pytest.mark.parametrize(("bills_count", "kills"), [(60, 1), pytest.param(500, 5, marks=DRILL)])
async def test_what_was_acknowledged_survives_a_killed_database(
    tmp_path_factory: pytest.TempPathFactory, bills_count: int, kills: int
) -> None:
    logs = tmp_path_factory.mktemp("logs")
    with reachable_folder() as folder, running_postgres(folder, bin_dir=chosen_binaries()) as own:
        ensure_embedded_database(own, role_passwords(TEST_SECRET_KEY), database="phopay_killed")
        with create_database(own, template="template0") as fresh_database:
            migrate.upgrade(fresh_database.owner_url)
            own._wanted_port = own.port  # it comes back where everybody looks for it
            with running_installation(fresh_database.environment, logs) as installation:
                hubs = [installation.start_hub(), installation.start_hub()]
                worker = installation.start_worker()
                engine = open_engine(fresh_database.app_url, fresh_database.settings)
                database = open_database(engine)
                to = await a_callable_stall(database, fresh_database.settings, code="HKXM")
                now = read_clock()
                bills = [await a_bill(database, to, now=now) for _ in range(bills_count)]
                await wait_until_up(*hubs)

                done: list[SentNotice] = []
                async with new_client() as client:

                    async def send(number: int) -> None:
                        await asyncio.sleep(number * 0.01)
                        body = sepay_body(
                            to,
                            amount_vnd=20_000,
                            memo=bills[number].reference,
                            occurred_at=now,
                        )
                        done.append(await deliver(client, to, hubs[number % 2 :], body))

                    async with asyncio.TaskGroup() as group:
                        for number in range(bills_count):
                            group.create_task(send(number))
                        for kill in range(kills):
                            while len(done) < bills_count * (kill + 1) // (4 * kills):  # noqa: ASYNC110
                                await asyncio.sleep(0.005)
                            own.crash()
                            await asyncio.to_thread(own.start)

                await engine.dispose()  # its connections died with the server
                await wait_until_settled(database, to)
                assert worker.is_running
                assert all(hub.is_running for hub in hubs)
                assert all(one.is_acknowledged for one in done)
                assert any(503 in one.statuses for one in done), "the kill hit nothing"
                for bill in bills:
                    status = await read_status(database, to, bill)
                    assert status == ("paid", 20_000, 20_000)
                async with open_org_transaction(database, to.org.id) as session:
                    stored = await session.scalar(text("SELECT count(*) FROM bank_transactions"))
                assert stored == bills_count
                assert find_violations(fresh_database.owner_url) == []
                assert find_waiting(fresh_database.owner_url) == []
                await engine.dispose()
