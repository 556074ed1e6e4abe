"""Ticket, collection, receipt, shift and ledger agree, and whatever parts them is seen."""

import re
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from core.clock import hanoi_day
from core.db import Database
from core.ids import first_id_at, new_id
from core.jobs.periodic import JobDatabases
from core.tenancy import open_org_transaction
from ops.postgres.supervisor import Cluster
from parking.collections.rules import CollectionRail
from parking.exits.owner import handle_bill_change
from parking.exits.paying import Taken, collect, open_bill
from parking.exits.rules import OWNER_KIND
from parking.exits.undoing import reverse_collection
from parking.places import posters
from parking.places.posters import make_poster
from parking.shifts.posters import handle_poster_change
from parking.shifts.service import close_shift
from payments.bills.owners import OwnersInbox
from payments.invariants.jobs import INVARIANTS_EVERY_S, check_invariants, days_to_check
from payments.invariants.parking import PARKING_INVARIANTS, STAYS_OF_A_DAY_AGREE
from tests.payments.invariants import find_violations
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase, Template, a_template
from tests.world.notices import pay, process_waiting, sepay_body, store_notices
from tests.world.parking_sessions import PER_VISIT_VND, Gate, a_bill_wanted, a_gate, a_stay, cash

pytestmark = pytest.mark.anyio

DAMAGES = {
    "a stay forgets what was collected": (
        "UPDATE parking_sessions SET paid_vnd = 0 WHERE paid_vnd > bill_paid_vnd",
        {"stays_agree_with_what_was_paid"},
    ),
    "a stay says that it was paid and nothing was": (
        "UPDATE parking_sessions SET paid_vnd = 5000 WHERE paid_vnd = 0",
        {"stays_agree_with_what_was_paid"},
    ),
    "a stay was not notified of its bill": (
        "UPDATE parking_sessions SET bill_paid_vnd = 0, paid_vnd = 0 WHERE bill_paid_vnd > 0",
        {"stays_agree_with_what_was_paid"},
    ),
    "cash was added to a shift after its close": (
        (
            "UPDATE collections SET amount_vnd = amount_vnd + 1000 WHERE rail = 'cash'"
            " AND reversed_at IS NULL"
        ),
        {"stays_agree_with_what_was_paid", "shifts_agree_with_their_cash"},
    ),
    "a close was not posted": (
        "DELETE FROM postings WHERE cause_kind = 'shift_close' AND step = 0",
        {"shifts_agree_with_their_cash", "balances_follow_from_explanations"},
    ),
    "a variance was posted the wrong way round": (
        (
            "UPDATE postings SET debit_code = credit_code, debit_subject_id = credit_subject_id,"
            " credit_code = debit_code, credit_subject_id = debit_subject_id WHERE step = 1"
        ),
        {"shifts_agree_with_their_cash", "balances_follow_from_explanations"},
    ),
    "a late ticket is posted that nobody took": (
        (
            "INSERT INTO postings (org_id, id, debit_code, debit_subject_id, credit_code,"
            " credit_subject_id, amount_vnd, cause_kind, cause_id, step, effective_at, posted_at)"
            " SELECT org_id, gen_random_uuid(), 'cash_variance', subject_id, 'takings', subject_id,"
            " 5000, 'late_collection', gen_random_uuid(), 0, now(), now() FROM ledger_accounts"
            " WHERE code = 'cash_variance'"
        ),
        {"late_cash_posts_once", "balances_follow_from_explanations"},
    ),
    "a receipt was cancelled and its ticket was not": (
        "UPDATE documents SET cancelled_at = now() WHERE cancelled_at IS NULL",
        {"cash_has_its_receipt"},
    ),
    "a receipt is gone": (
        "DELETE FROM documents WHERE number = 1",
        {"cash_has_its_receipt", "documents_have_no_gaps"},
    ),
    "a sale on the poster was collected short": (
        "UPDATE collections SET amount_vnd = amount_vnd - 1000 WHERE rail = 'poster'",
        {"posters_agree_with_their_sales"},
    ),
    "a number was skipped": (
        "UPDATE document_series SET last_number = last_number + 1",
        {"documents_have_no_gaps"},
    ),
}


async def a_closed_shift(app_database: Database) -> Gate:
    """A shift that was closed with a variance: cash, cash taken back, an exemption, codes."""
    gate = await a_gate(app_database)
    in_cash, taken_back, exempt, by_code, _ = [await a_stay(app_database, gate) for _ in range(5)]
    wrong = cash(PER_VISIT_VND)
    free = Taken(id=new_id(), rail=CollectionRail.EXEMPT, amount_vnd=None, reason="Xe cứu hoả")
    async with open_org_transaction(app_database, gate.org_id) as session:
        for stay_id, taken in (
            (in_cash, cash(PER_VISIT_VND)),
            (taken_back, wrong),
            (exempt, free),
        ):
            await collect(
                session, gate.org_id, stay_id, taken, priced_at=NOON, actor=gate.attendant, now=NOON
            )
        await reverse_collection(
            session,
            gate.org_id,
            wrong.id,
            may_override=False,
            reason=None,
            actor=gate.attendant,
            now=NOON,
        )
        bill = await open_bill(
            session,
            gate.org_id,
            by_code,
            a_bill_wanted(gate, PER_VISIT_VND),
            priced_at=NOON,
            actor=gate.attendant,
            now=NOON,
        )
        await make_poster(session, gate.org_id, gate.lot.id, actor=MANAGER, now=NOON)
    await pay(app_database, gate.stall, bill)
    await store_notices(
        app_database, gate.stall, sepay_body(gate.stall, amount_vnd=PER_VISIT_VND, memo="gui xe")
    )
    await process_waiting(app_database, gate.stall)
    owners = {OWNER_KIND: handle_bill_change, posters.OWNER_KIND: handle_poster_change}
    inbox = OwnersInbox(app_database, owners, read_clock=lambda: NOON)
    await inbox.sweep([gate.org_id], wait_s=5)
    async with open_org_transaction(app_database, gate.org_id) as session:
        await close_shift(
            session,
            gate.org_id,
            gate.shift_id,
            counted_vnd=PER_VISIT_VND - 1_000,
            note=None,
            actor=gate.attendant,
            now=NOON,
        )
    return gate


@pytest.fixture(scope="module")
def gate_template(cluster: Cluster) -> Iterator[Template[Gate]]:
    with a_template(cluster, a_closed_shift) as template:
        yield template


@pytest.fixture
def books(gate: Gate, fresh_database: FreshDatabase) -> FreshDatabase:
    return fresh_database


async def test_the_books_of_a_closed_shift_agree(books: FreshDatabase) -> None:
    assert find_violations(books.owner_url) == []


@pytest.mark.parametrize("damage", DAMAGES)
async def test_whatever_parts_them_is_seen(books: FreshDatabase, damage: str) -> None:
    statement, seen_by = DAMAGES[damage]
    with psycopg.connect(books.owner_url) as owner:
        assert owner.execute(statement).rowcount > 0

    found = {line.partition(":")[0] for line in find_violations(books.owner_url)}
    assert found == seen_by


async def test_the_running_hub_checks_stays_day_by_day_and_an_alarm_stays_until_its_day_holds(
    books: FreshDatabase, app_database: Database, worker_database: Database
) -> None:
    databases = JobDatabases(app=app_database, worker=worker_database)
    damage, _ = DAMAGES["a stay forgets what was collected"]
    with psycopg.connect(books.owner_url) as owner:
        owner.execute(damage)
    assert await check_invariants(databases, now=NOON) == 1

    much_later = NOON + timedelta(days=3_000)  # the rounds of that day look at other days
    assert await check_invariants(databases, now=much_later) == 1
    with psycopg.connect(books.owner_url) as owner:
        alarm = "SELECT count(*) FROM breaks WHERE kind = 'books_disagree' AND closed_at IS NULL"
        assert owner.execute(alarm).fetchone() == (1,)
        owner.execute("UPDATE breaks SET closed_at = now() WHERE kind = 'books_disagree'")
    assert await check_invariants(databases, now=much_later) == 0


def test_each_day_of_two_years_is_checked_within_eight_days() -> None:
    rounds = [NOON + timedelta(seconds=INVARIANTS_EVERY_S * number) for number in range(8 * 96)]
    checked = set().union(*map(days_to_check, rounds))

    today = hanoi_day(NOON)
    assert {today - timedelta(days=days) for days in range(660)} <= checked


async def test_a_day_of_stays_is_read_by_indexes(books: FreshDatabase) -> None:
    values = {
        "org_id": new_id(),
        "first_id": first_id_at(NOON),
        "end_id": first_id_at(NOON + timedelta(days=1)),
    }
    query = re.sub(r"(?<!:):(\w+)", r"%(\1)s", STAYS_OF_A_DAY_AGREE)
    with psycopg.connect(books.owner_url) as owner:
        owner.execute("SET enable_seqscan = off")
        # As good on a table as small as this one.
        owner.execute("DROP INDEX ix_collections_shift, ix_collections_lot")
        owner.execute("ALTER TABLE collections DROP CONSTRAINT pk_collections CASCADE")
        plan = "\n".join(row[0] for row in owner.execute(f"EXPLAIN {query}", values))
        owner.rollback()

    for bounded in ("id >=", "session_id >=", "owner_id >="):
        assert re.search(rf"Index Cond: .*\({bounded}", plan), plan


def test_every_invariant_of_parking_is_damaged_here() -> None:
    seen = {name for _, seen_by in DAMAGES.values() for name in seen_by}
    assert set(PARKING_INVARIANTS) <= seen
