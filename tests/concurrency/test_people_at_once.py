"""Requests of people and programs at the same instant, in two processes."""

from uuid import UUID

import pytest

from core.db import Database
from core.ids import new_id
from core.sealing import Sealer
from core.settings import Settings
from core.tenancy import open_org_transaction
from payments.bills.references import make_reference
from payments.connections import service
from payments.payees.accounts import propose_account
from tests.concurrency.races import Races
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import MANAGER, NOON, VCB
from tests.world.databases import FreshDatabase
from tests.world.notices import process_waiting, sepay_body, store_notices
from tests.world.reads import count_rows, find_credit, read_ledger, read_status
from tests.world.serials import next_code, next_number
from tests.world.stalls import PayableStall, a_neighbour, a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
async def stall(app_database: Database) -> PayableStall:
    return await a_payable_stall(app_database, code=next_code())


async def test_of_two_stalls_that_take_a_credit_at_once_one_has_it(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    neighbour = await a_neighbour(app_database, stall)
    await store_notices(
        app_database, stall, sepay_body(stall, amount_vnd=30_000, memo="chuyen tien")
    )
    await process_waiting(app_database, stall)
    credit_id = await find_credit(app_database, stall)

    takers = [
        {"what": "assign", "credit_id": credit_id, "payee_id": payee_id}
        for payee_id in (stall.payee_id, neighbour) * 3
    ]
    answers = races.run(stall.org, takers)

    winner, loser = ("assigned", "CreditNotCorrectable")
    assert sorted([answers[0], answers[1]]) == sorted([winner, loser])
    assert answers in ([winner, loser] * 3, [loser, winner] * 3)  # the same tap twice is no error
    assert await count_rows(app_database, stall, "matches") == 2
    assert (await read_ledger(app_database, stall))["unapplied"] == 0
    assert find_violations(fresh_database.owner_url) == []


async def test_a_sale_is_confirmed_for_one_of_two_bills_at_once(
    app_database: Database, stall: PayableStall, races: Races, fresh_database: FreshDatabase
) -> None:
    bills = [await a_bill(app_database, stall, amount_vnd=30_000) for _ in range(2)]
    await store_notices(
        app_database, stall, sepay_body(stall, amount_vnd=30_000, memo="chuyen tien")
    )
    await process_waiting(app_database, stall)
    credit_id = await find_credit(app_database, stall)

    answers = races.run(
        stall.org,
        [
            {
                "what": "confirm",
                "credit_id": credit_id,
                "bill_id": bill.id,
                "payee_id": stall.payee_id,
            }
            for bill in bills
        ],
    )

    assert sorted(answers) == ["CreditNotCorrectable", "confirmed"]
    statuses = sorted([(await read_status(app_database, stall, bill))[0] for bill in bills])
    assert statuses == ["open", "paid"]
    assert find_violations(fresh_database.owner_url) == []


async def test_one_idempotency_key_twenty_times_at_once_is_one_bill(
    app_database: Database, stall: PayableStall, races: Races
) -> None:
    call = {
        "what": "open_bill",
        "payee_id": stall.payee_id,
        "amount_vnd": 20_000,
        "key": "đơn hàng 7",
    }

    answers = races.run(stall.org, [call] * 20)

    assert len(set(answers)) == 1
    assert UUID(answers[0])
    assert await count_rows(app_database, stall, "bills") == 1


async def test_one_client_made_id_twenty_times_at_once_is_one_bill(
    app_database: Database, stall: PayableStall, races: Races
) -> None:
    call = {
        "what": "open_bill",
        "payee_id": stall.payee_id,
        "amount_vnd": 20_000,
        "id": new_id(),
    }

    answers = races.run(stall.org, [call] * 20)

    assert set(answers) == {str(call["id"])}
    assert await count_rows(app_database, stall, "bills") == 1


async def test_two_processes_never_hand_out_the_same_reference(
    stall: PayableStall, races: Races
) -> None:
    answers = races.run(stall.org, [{"what": "take_references", "count": 7}] * 20, run_length=5)

    handed_out = [reference for answer in answers for reference in answer.split()]
    assert len(handed_out) == 140
    assert len(set(handed_out)) == 140


async def test_of_two_people_who_approve_at_once_one_does(
    app_database: Database, stall: PayableStall, races: Races
) -> None:
    async with open_org_transaction(app_database, stall.org.id) as session:
        link = await propose_account(
            session,
            stall.org.id,
            payee_id=stall.payee_id,
            bin_=VCB,
            account_number=f"07{next_number():08d}",
            virtual_account=None,
            holder_name="NGUYEN THI A",
            test_reference=make_reference(stall.org.code, 600),
            actor=MANAGER,
            now=NOON,
        )

    answers = races.run(
        stall.org,
        [{"what": "approve", "link_id": link.id, "actor": person} for person in (11, 12, 13, 14)],
    )

    assert sorted(answers) == ["AccountLinkNotProposed"] * 3 + ["approved"]
    decided = f"action = 'account.approved' AND object_id = '{link.id}'"
    assert await count_rows(app_database, stall, "audit_log", decided) == 1


async def test_two_rotations_at_once_both_hold(
    app_database: Database, stall: PayableStall, races: Races, settings: Settings
) -> None:
    """Each of the two secrets was shown to somebody, who enters it at the provider now."""
    sealer = Sealer.from_settings(settings)
    async with open_org_transaction(app_database, stall.org.id) as session:
        endpoint, _ = await service.create_endpoint(
            session,
            stall.org,
            service.EndpointRequest(provider="sepay", name="SePay", account_ids=[stall.account_id]),
            sealer=sealer,
            actor=MANAGER,
            now=NOON,
        )

    for _ in range(8):
        shown = races.run(stall.org, [{"what": "rotate", "endpoint_id": endpoint.id}] * 2)
        async with open_org_transaction(app_database, stall.org.id) as session:
            stored = await service.get_endpoint(session, stall.org.id, endpoint.id)
            keys = service.open_secrets(stored, sealer, now=NOON).keys
        assert sorted(keys) == sorted(shown)

    rotated = "action = 'callback_endpoint.secret_rotated'"
    assert await count_rows(app_database, stall, "audit_log", rotated) == 16


async def test_one_person_who_proposes_an_account_at_once_proposes_it_once(
    app_database: Database, stall: PayableStall, races: Races
) -> None:
    before = await count_rows(app_database, stall, "payee_accounts")
    number = f"07{next_number():08d}"
    calls = [
        {
            "what": "propose",
            "payee_id": stall.payee_id,
            "account_number": number,
            "reference": make_reference(stall.org.code, 700 + n),
        }
        for n in range(10)
    ]

    answers = races.run(stall.org, calls)

    assert len(set(answers)) == 1
    assert UUID(answers[0])
    assert await count_rows(app_database, stall, "payee_accounts") == before + 1


async def test_one_idempotency_key_at_once_adds_one_payee(
    app_database: Database, stall: PayableStall, races: Races
) -> None:
    before = await count_rows(app_database, stall, "payees")

    answers = races.run(stall.org, [{"what": "add_one_payee", "key": "import-1"}] * 20)

    assert len(set(answers)) == 1
    assert await count_rows(app_database, stall, "payees") == before + 1
