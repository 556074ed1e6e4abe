"""Invariants that the time decides: planted faults of each kind are found, sound rows are not."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.ids import first_id_at, new_id
from core.jobs.periodic import JobDatabases
from core.tenancy import open_org_transaction
from ops.postgres.supervisor import Cluster
from parking.exits.paying import collect
from parking.exits.undoing import reverse_collection
from parking.shifts.service import close_shift
from payments.bills.cash import take_back_cash, take_rest_in_cash
from payments.bills.service import cancel_bill
from payments.breaks.service import close_break
from payments.breaks.views import list_breaks as list_open_breaks
from payments.credits.assigning import assign_credit
from payments.invariants.jobs import check_invariants
from payments.invariants.queries import CHECKS, find_violations
from payments.invariants.timed import TIMED_INVARIANTS
from tests.world.bills import a_bill, a_reference
from tests.world.constants import NOON, VENDOR
from tests.world.databases import FreshDatabase, Template, a_template
from tests.world.notices import pay, process_waiting, sepay_body, store_notices
from tests.world.parking_sessions import PER_VISIT_VND, Gate, a_gate, a_stay, cash
from tests.world.reads import list_breaks
from tests.world.references import some_references
from tests.world.refunds import a_refund, enter_account, hold_by, take

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

LATER = "CAST(:now AS timestamptz) - interval '1 day'"
ANY = "(SELECT {} FROM {} ORDER BY id LIMIT 1)"
SOME_ENDPOINT, SOME_BILL = ANY.format("id", "callback_endpoints"), ANY.format("id", "bills")
LOST = "SELECT credit_id FROM matches WHERE verdict = 'no_bill' ORDER BY credit_id"
WITHOUT_FOREIGN_KEYS = """
    DO $$ DECLARE one record; BEGIN
        FOR one IN SELECT conrelid::regclass AS name, conname FROM pg_constraint
            WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND conparentid = 0
        LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', one.name, one.conname); END LOOP;
    END $$
"""

# What is planted → (the check that finds it, and what it calls it).
FAULTS = {
    "a lease that nobody took over": (
        (
            "INSERT INTO jobs (org_id, id, kind, arguments, status, attempts, attempts_max, due_at,"
            " lease_token, queued_at) SELECT id, gen_random_uuid(), 'x', '{}', 'running', 1, 5,"
            f" {LATER}, gen_random_uuid(), {LATER} FROM organisations LIMIT 1"
        ),
        ("nothing_outlives_its_end", "job_lease"),
    ),
    "a block that is valid for longer": (
        "UPDATE reference_blocks SET expires_at = expires_at + interval '1 hour'",
        ("nothing_outlives_its_end", "reference_block"),
    ),
    "a block of serials that its code has not given out": (
        "UPDATE organisation_codes SET next_serial = 0",
        ("nothing_outlives_its_end", "reference_block"),
    ),
    "two blocks with a reference of both": (
        (
            "INSERT INTO reference_blocks SELECT (jsonb_populate_record(k, jsonb_build_object('id',"
            " gen_random_uuid(), 'first_serial', k.last_serial))).* FROM reference_blocks k"
        ),
        ("nothing_outlives_its_end", "reference_block"),
    ),
    "a phone that lets somebody in after it was revoked": (
        (
            "UPDATE devices SET revoked_at = CAST(:now AS timestamptz) - interval '3 hours';"
            " UPDATE parking_sessions SET entry_device_id = (SELECT id FROM devices LIMIT 1)"
        ),
        ("nothing_outlives_its_end", "device_token"),
    ),
    "a phone that lets somebody out after it was revoked": (
        (
            "UPDATE devices SET revoked_at = CAST(:now AS timestamptz) - interval '3 hours';"
            " UPDATE parking_sessions SET exit_device_id = (SELECT id FROM devices LIMIT 1),"
            " left_at = :now, status = 'left'"
        ),
        ("nothing_outlives_its_end", "device_token"),
    ),
    "a code that enrolled a phone after its time": (
        (
            "INSERT INTO device_enrolments (org_id, id, code_hash, name, scope_kind, scope_id,"
            " created_by, created_at, expires_at, used_at, device_id) SELECT org_id, id, '', 'x',"
            f" 'lot', id, id, {LATER}, {LATER}, :now, id FROM devices LIMIT 1"
        ),
        ("nothing_outlives_its_end", "enrolment_code"),
    ),
    "a notice that no sweep finds": (
        f"UPDATE notices SET handled_at = NULL, attempts = 0, next_attempt_at = {LATER}",
        ("nothing_is_overdue", "notice"),
    ),
    "a notice that is not tried again": (
        f"UPDATE notices SET handled_at = NULL, attempts = 3, next_attempt_at = {LATER}",
        ("nothing_is_overdue", "notice"),
    ),
    "an owner who is not notified": (
        (
            "INSERT INTO bill_changes (org_id, id, subject_kind, subject_id, seq, owner_kind,"
            " owner_id, to_status, created_at, next_attempt_at) SELECT org_id, gen_random_uuid(),"
            f" 'bill', id, 1, 'dues', id, 'paid', {LATER}, {LATER} FROM bills LIMIT 1"
        ),
        ("nothing_is_overdue", "bill_change"),
    ),
    "what a phone sent and nobody applied": (
        (
            "INSERT INTO movements (org_id, device_id, id, lot_id, seq, kind, body, signature,"
            " device_at, offset_ms, received_at, received_from) SELECT org_id, id, id, id, 1,"
            f" 'entry', '{{}}', '', {LATER}, 0, {LATER}, id FROM devices LIMIT 1"
        ),
        ("nothing_is_overdue", "movement"),
    ),
    "a request at payOS that nobody resumes": (
        (
            "INSERT INTO rail_requests (org_id, bill_id, rail, endpoint_id, order_id, orders,"
            " status, next_attempt_at, created_at) SELECT b.org_id, b.id, 'payos', e.id, '1', 1,"
            f" 'unknown', {LATER}, {LATER} FROM bills b JOIN callback_endpoints e USING (org_id)"
            " LIMIT 1"
        ),
        ("nothing_is_overdue", "rail_request"),
    ),
    "a toll charge that nobody looks up": (
        (
            "INSERT INTO toll_contracts (org_id, id, name, url, client_id, sealed_secret,"
            " created_at) SELECT org_id, id, 'x', 'x', 'x', '', :now FROM bills LIMIT 1;"
            " INSERT INTO toll_requests (org_id, id, contract_id, bill_id, owner_id, account_kind,"
            " account_label, amount_vnd, status, next_attempt_at, created_by, created_at)"
            " SELECT org_id, id, id, id, id, 'plate', 'x', 1000, 'unknown',"
            f" {LATER}, id, {LATER} FROM bills WHERE id IN (SELECT id FROM toll_contracts)"
        ),
        ("nothing_is_overdue", "toll_request"),
    ),
    "a job that no worker takes": (
        (
            "INSERT INTO jobs (org_id, id, kind, arguments, status, attempts, attempts_max, due_at,"
            " queued_at) SELECT id, gen_random_uuid(), 'x', '{}', 'queued', 0, 5,"
            f" {LATER}, {LATER} FROM organisations LIMIT 1"
        ),
        ("nothing_is_overdue", "job"),
    ),
    "a credit that waits for a phone for a week": (
        (
            "UPDATE matches SET verdict = 'awaiting_sync', matched_at = CAST(:now AS timestamptz)"
            " - interval '7 days' WHERE verdict = 'no_bill'"
        ),
        ("nothing_is_overdue", "awaiting_sync"),
    ),
    "a credit whose bill is there": (
        (
            "UPDATE matches SET matched_at = CAST(:now AS timestamptz) - interval '1 hour',"
            f" named = (SELECT reference FROM bills WHERE id = {SOME_BILL})"
            f" WHERE verdict = 'no_bill'; UPDATE bills SET created_at = {LATER}"
        ),
        ("nothing_is_overdue", "rematch"),
    ),
    "a bill whose expiry is not stored": (
        f"UPDATE bills SET monitor_until = {LATER} WHERE status = 'open'",
        ("nothing_is_overdue", "bill_expiry"),
    ),
    **{
        f"no word of who did it: {action}": (
            f"DELETE FROM audit_log WHERE action = '{action}'",
            ("money_changes_are_audited", what),
        )
        for action, what in {
            "bill.cash_taken": "cash_taken",
            "bill.cash_taken_back": "cash_taken_back",
            "bill.cancelled": "bill_cancelled",
            "credit.corrected": "credit_corrected",
            "account.approved": "account_approved",
            "shift.closed": "shift_closed",
            "collection.reversed": "collection_reversed",
            "break.closed": "break_closed",
        }.items()
    },
    "an act without somebody who did it": (
        "UPDATE audit_log SET actor_id = NULL WHERE action = 'bill.cancelled'",
        ("money_changes_are_audited", "bill_cancelled"),
    ),
    "a correction that was taken back by nobody": (
        (
            "UPDATE matches SET reversed_at = :now, reversed_by = gen_random_uuid()"
            " WHERE verdict = 'settle'"
        ),
        ("money_changes_are_audited", "correction_taken_back"),
    ),
}


async def a_day_of_work(database: Database) -> Gate:
    """A lot and its stall, of whose money people did one of each thing."""
    gate = await a_gate(database)
    stall, org_id = gate.stall, gate.org_id
    await some_references(database, stall)
    await pay(database, stall, await a_bill(database, stall))
    short, wrong, unwanted, _ = [await a_bill(database, stall) for _ in range(4)]
    for bill in (short, wrong):
        await pay(database, stall, bill, amount_vnd=12_000)
    for _ in range(3):
        body = sepay_body(stall, amount_vnd=7_000, memo=a_reference(stall))
        await store_notices(database, stall, body)
    await process_waiting(database, stall)
    stay_id, mistake_id = await a_stay(database, gate), new_id()
    taken, wrongly = cash(PER_VISIT_VND), cash(PER_VISIT_VND)
    by_vendor: dict[str, Any] = {"actor": VENDOR, "now": NOON}
    at_gate: dict[str, Any] = {"actor": gate.attendant, "now": NOON}
    async with open_org_transaction(database, org_id) as session:
        for bill, payment_id in ((short, new_id()), (wrong, mistake_id)):
            await take_rest_in_cash(
                session, org_id, bill.id, payment_id=payment_id, amount_vnd=8_000, **by_vendor
            )
        await take_back_cash(session, org_id, wrong.id, payment_id=mistake_id, **by_vendor)
        await cancel_bill(session, org_id, unwanted.id, reason="thôi", **by_vendor)
        lost = (await session.scalars(text(LOST))).all()
        await assign_credit(
            session, org_id, lost[0], payee_id=stall.payee_id, by_management=True, **by_vendor
        )
        for one in await list_open_breaks(session, org_id, is_open=True, limit=1):
            await close_break(session, org_id, one.id, resolution="seen", **by_vendor)
        await collect(session, org_id, stay_id, wrongly, priced_at=NOON, **at_gate)
        await reverse_collection(
            session, org_id, wrongly.id, may_override=False, reason=None, **at_gate
        )
        await collect(session, org_id, stay_id, taken, priced_at=NOON, **at_gate)
        await close_shift(
            session, org_id, gate.shift_id, counted_vnd=PER_VISIT_VND, note=None, **at_gate
        )
    return gate


@pytest.fixture(scope="module")
def gate_template(cluster: Cluster) -> Iterator[Template[Gate]]:
    with a_template(cluster, a_day_of_work) as template:
        yield template


@pytest.fixture
def gate(gate_template: Template[Gate], fresh_database: FreshDatabase) -> Gate:
    return gate_template.holds


@pytest.fixture
async def databases(app_database: Database, worker_database: Database) -> JobDatabases:
    return JobDatabases(app=app_database, worker=worker_database)


async def test_a_day_of_work_violates_nothing(gate: Gate, databases: JobDatabases) -> None:
    for now in (NOON, NOON + timedelta(minutes=9)):
        for name in CHECKS:
            async with databases.worker.begin() as session:
                assert await find_violations(session, name, now=now) == []


async def test_each_fault_is_found(gate: Gate, owner_database: Database) -> None:
    """All in one database, each in a transaction that is taken back."""
    for fault, (statements, expected) in FAULTS.items():
        async with owner_database() as session:
            await session.execute(text(WITHOUT_FOREIGN_KEYS))
            for statement in statements.split(";"):
                values = {"now": NOON} if ":now" in statement else {}
                done = await session.execute(text(statement), values)
                assert done.rowcount, fault  # type: ignore[attr-defined]
            name, what = expected
            rows = (await session.execute(text(CHECKS[name]), {"now": NOON})).mappings()
            assert what in {row["what"] for row in rows}, fault


async def test_what_a_refund_closed_is_in_the_log_of_changes_by_that_refund(
    gate: Gate, owner_database: Database, databases: JobDatabases
) -> None:
    database, stall = databases.app, gate.stall
    await hold_by(database, stall, "organisation")
    await pay(database, stall, await a_bill(database, stall), amount_vnd=25_000)
    async with open_org_transaction(database, stall.org.id) as session:
        query = text("SELECT credit_id FROM matches WHERE verdict = 'over'")
        (credit_id,) = (await session.scalars(query)).all()
    refund = await a_refund(database, stall, credit_id=credit_id, amount_vnd=5_000)
    await enter_account(database, stall, refund)
    for step, said in (("approve", {}), ("instruct", {}), ("confirm", {"bank_reference": "FT1"})):
        await take(database, stall, refund, step, **said)
    name = "money_changes_are_audited"

    async with databases.worker.begin() as session:
        assert await find_violations(session, name, now=NOON) == []
    async with owner_database.begin() as session:
        query = text("DELETE FROM audit_log WHERE object_id = :id")
        await session.execute(query, {"id": refund.id})
    async with databases.worker.begin() as session:
        (found,) = await find_violations(session, name, now=NOON)
    assert found.evidence["what"] == "break_closed"


async def test_a_clock_that_is_behind_raises_no_alarm(gate: Gate, databases: JobDatabases) -> None:
    for name in TIMED_INVARIANTS:
        async with databases.worker.begin() as session:
            assert await find_violations(session, name, now=NOON - timedelta(days=100)) == []


async def test_work_that_is_overdue_alarms_its_organisation_until_it_is_done(
    gate: Gate, owner_database: Database, databases: JobDatabases
) -> None:
    fault, _ = FAULTS["a notice that is not tried again"]
    async with owner_database.begin() as session:
        await session.execute(text(fault), {"now": NOON})
    assert await check_invariants(databases, now=NOON) > 0
    assert (await list_breaks(databases.app, gate.stall)).count("work_overdue") == 1

    async with owner_database.begin() as session:
        await session.execute(text("UPDATE notices SET handled_at = :now"), {"now": NOON})
    assert await check_invariants(databases, now=NOON) == 0
    assert "work_overdue" not in await list_breaks(databases.app, gate.stall)


async def write_callbacks(database: Database, gate: Gate, instants: list[datetime]) -> None:
    """Write a handled callback of each of these instants."""
    values = [
        {
            "org": gate.org_id,
            "id": UUID(int=first_id_at(at).int + number),
            "endpoint": gate.stall.endpoint_id,
            "at": at,
        }
        for number, at in enumerate(instants)
    ]
    async with database.begin() as session:
        await session.execute(
            text(
                "INSERT INTO notices (org_id, id, endpoint_id, provider, source, body, headers,"
                " received_at, handled_at, outcome, next_attempt_at) VALUES (:org, :id, :endpoint,"
                " 'sepay', 'callback', '', '{}', :at, :at, 'test', :at)"
            ),
            values,
        )


async def test_a_connection_is_silent_when_hours_that_usually_bring_money_bring_none(
    gate: Gate, owner_database: Database, databases: JobDatabases
) -> None:
    opens_at = NOON - timedelta(hours=4)  # 8:00 in Hà Nội, for nine hours each day but the last
    hours = [
        opens_at - timedelta(days=days) + timedelta(hours=hour, minutes=20)
        for days in range(1, 23)
        for hour in range(9)
    ]
    await write_callbacks(owner_database, gate, hours)

    async def count_quiet_hours(now: datetime) -> list[int]:
        async with databases.worker.begin() as session:
            name = "earning_endpoints_are_not_silent"
            found = await find_violations(session, name, now=now)
        return [one.evidence["quiet_hours"] for one in found]

    night, noon_of_a_day_off = opens_at - timedelta(hours=1), NOON
    assert await count_quiet_hours(night) == []
    assert await count_quiet_hours(opens_at + timedelta(hours=2)) == []
    assert await count_quiet_hours(noon_of_a_day_off) == [4]
    assert "endpoint_silent" in await alarm_at(databases, gate, NOON)

    await write_callbacks(owner_database, gate, [NOON - timedelta(minutes=30)])
    assert await count_quiet_hours(NOON) == []
    assert "endpoint_silent" not in await alarm_at(databases, gate, NOON)


async def alarm_at(databases: JobDatabases, gate: Gate, now: datetime) -> list[str]:
    """Check everything, and list what the organisation's people see."""
    await check_invariants(databases, now=now)
    return await list_breaks(databases.app, gate.stall)


def test_each_timed_check_has_a_fault_that_shows_it() -> None:
    shown = {name for _, (name, _) in FAULTS.values()}
    assert shown | {"earning_endpoints_are_not_silent"} == set(TIMED_INVARIANTS)
