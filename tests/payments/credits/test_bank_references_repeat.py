"""Honest transfers that share a bank reference, and one transfer that two messages report."""

from datetime import timedelta

import psycopg
import pytest

from core.db import Database
from core.jobs.periodic import JobDatabases
from core.tenancy import open_org_transaction
from payments.bills.references import find_references, make_reference
from payments.credits.jobs import rematch_waiting
from payments.credits.queries_matches import find_waiting
from payments.providers import PROVIDERS
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.callbacks import PAYOS_DATA, VIETQRVN_PUSH, to_json
from tests.world.constants import NOON, VCB
from tests.world.databases import FreshDatabase
from tests.world.endpoints import an_endpoint
from tests.world.notices import casso_body, pay, process_waiting, sepay_body, store_notices
from tests.world.orders import ORDERS_OF_FOUR
from tests.world.organisations import GIVEN_OUT
from tests.world.payees import a_payee, an_account
from tests.world.reads import count_rows, list_breaks, list_outcomes, read_ledger, read_status
from tests.world.stalls import PayableStall, a_payable_stall, another_endpoint

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

OWN = "FT26324000123"  # a reference that looks like one transfer's own


@pytest.fixture
async def casso(app_database: Database, stall: PayableStall) -> PayableStall:
    """The same stall as Casso sees it."""
    return await another_endpoint(app_database, stall, provider="casso")


@pytest.mark.parametrize("is_one_batch", [False, True])
@pytest.mark.parametrize("reference", ["-", "0", "NULL", "N/A", ".", "0007", "5012", "12", OWN])
async def test_three_sales_with_one_reference_are_three_credits(
    app_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
    reference: str,
    is_one_batch: bool,
) -> None:
    for memo in ("an sang", "mua trai cay", "tra da"):
        body = sepay_body(stall, amount_vnd=45_000, memo=memo, bank_reference=reference)
        await store_notices(app_database, stall, body)
        if not is_one_batch:
            await process_waiting(app_database, stall)
    await process_waiting(app_database, stall)

    assert await list_outcomes(app_database, stall) == ["counter_sale"] * 3
    assert (await read_ledger(app_database, stall))["takings"] == 135_000
    breaks = ["possible_duplicate"] * 2 if reference == OWN else []
    assert await list_breaks(app_database, stall) == breaks
    assert find_violations(fresh_database.owner_url) == []


async def test_bills_paid_under_one_reference_are_all_paid(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    amounts = (45_000, 45_000, 42_000)
    bills = [await a_bill(app_database, stall, amount_vnd=vnd) for vnd in amounts]

    said = [await pay(app_database, stall, bill, bank_reference=OWN) for bill in bills]

    assert said == ["settle"] * 3
    assert [(await read_status(app_database, stall, bill))[0] for bill in bills] == ["paid"] * 3
    assert await list_breaks(app_database, stall) == ["possible_duplicate"]
    assert find_violations(fresh_database.owner_url) == []


async def test_a_bill_paid_twice_under_one_reference_is_due_for_refund(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall)

    said = [await pay(app_database, stall, bill, bank_reference="5012") for _ in range(2)]

    assert said == ["settle", "closed_bill"]
    assert await read_status(app_database, stall, bill) == ("paid", 20_000, 40_000)
    assert await list_breaks(app_database, stall) == ["refund_due"]


async def test_a_reference_that_comes_back_days_later_alarms_nobody(
    app_database: Database, stall: PayableStall
) -> None:
    for days in (0, 2, 4):
        at = NOON + timedelta(days=days)
        body = sepay_body(stall, amount_vnd=20_000, memo="pho", bank_reference=OWN, occurred_at=at)
        await store_notices(app_database, stall, body, now=at)
        await process_waiting(app_database, stall, now=at)

    assert await list_outcomes(app_database, stall) == ["counter_sale"] * 3
    assert await list_breaks(app_database, stall) == []


async def test_the_same_id_at_another_time_is_no_silent_repeat(
    app_database: Database, stall: PayableStall
) -> None:
    for hours in (0, 0, 3):
        at = NOON + timedelta(hours=hours)
        body = sepay_body(stall, amount_vnd=20_000, memo="pho", transaction_id=77, occurred_at=at)
        await store_notices(app_database, stall, body)
        await process_waiting(app_database, stall)

    assert await list_outcomes(app_database, stall) == ["contradicted", "counter_sale", "repeat"]
    assert await list_breaks(app_database, stall) == ["contradiction"]


async def test_each_report_that_contradicts_opens_a_break_of_its_own(
    app_database: Database, stall: PayableStall
) -> None:
    for amount_vnd in (20_000, 30_000, 40_000, 30_000):
        body = sepay_body(stall, amount_vnd=amount_vnd, memo="pho", transaction_id=77)
        await store_notices(app_database, stall, body)
        await process_waiting(app_database, stall)

    assert await list_breaks(app_database, stall) == ["contradiction"] * 2


@pytest.mark.parametrize("order", ORDERS_OF_FOUR)
@pytest.mark.parametrize("memo", ["pho", ""])
async def test_two_sales_with_one_reference_reported_by_two_providers_are_two_credits(
    app_database: Database,
    stall: PayableStall,
    casso: PayableStall,
    fresh_database: FreshDatabase,
    order: tuple[str, ...],
    memo: str,
) -> None:
    for one in order:
        facts = {"amount_vnd": 20_000, "memo": memo, "bank_reference": OWN}
        teller, write = (stall, sepay_body) if one.isupper() else (casso, casso_body)
        number = 1 + "ABab".index(one)
        await store_notices(app_database, teller, write(teller, transaction_id=number, **facts))
        await process_waiting(app_database, stall)

    assert await count_rows(app_database, stall, "bank_transactions") == 2
    assert (await read_ledger(app_database, stall))["takings"] == 40_000
    assert set(await list_breaks(app_database, stall)) == {"possible_duplicate"}
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("reference", ["-", "0007", "N/A"])
async def test_fillers_pair_nothing_across_providers(
    app_database: Database, stall: PayableStall, casso: PayableStall, reference: str
) -> None:
    bills = [await a_bill(app_database, stall) for _ in range(2)]
    facts = {"amount_vnd": 20_000, "bank_reference": reference}
    await store_notices(app_database, stall, sepay_body(stall, memo=bills[0].reference, **facts))
    await store_notices(app_database, casso, casso_body(casso, memo=bills[1].reference, **facts))

    await process_waiting(app_database, stall)

    assert [(await read_status(app_database, stall, bill))[0] for bill in bills] == ["paid"] * 2


@pytest.mark.parametrize(
    ("amount_vnd", "later"),
    [(21_000, timedelta(0)), (20_000, timedelta(days=2))],
    ids=["another amount", "days apart"],
)
async def test_one_reference_reported_otherwise_by_another_provider_counts_and_is_a_break(
    app_database: Database,
    stall: PayableStall,
    casso: PayableStall,
    amount_vnd: int,
    later: timedelta,
) -> None:
    sepay = sepay_body(stall, amount_vnd=20_000, memo="pho", bank_reference=OWN)
    body = casso_body(
        casso, amount_vnd=amount_vnd, memo="pho", bank_reference=OWN, occurred_at=NOON + later
    )
    await store_notices(app_database, stall, sepay)
    await store_notices(app_database, casso, body)

    await process_waiting(app_database, stall)

    assert await list_outcomes(app_database, stall) == ["counter_sale"] * 2
    assert await list_breaks(app_database, stall) == ["possible_duplicate"]


async def test_money_reported_by_a_provider_that_took_over_from_another_is_no_second_credit(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    """SePay's endpoint no longer speaks for the account when Casso reports the same transfer."""
    body = sepay_body(stall, amount_vnd=20_000, memo="pho", bank_reference=OWN)
    await store_notices(app_database, stall, body)
    await process_waiting(app_database, stall)
    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute("DELETE FROM callback_endpoint_accounts")
    casso = await another_endpoint(app_database, stall, provider="casso")
    again = casso_body(casso, amount_vnd=20_000, memo="PHO", bank_reference=OWN)
    await store_notices(app_database, casso, again)

    await process_waiting(app_database, stall)

    assert await list_outcomes(app_database, stall) == ["counter_sale", "same_money"]
    assert await count_rows(app_database, stall, "bank_transactions") == 1


@pytest.mark.parametrize(
    "memo", ["CK QUA APP KHACH NGAN HANG", "NPP TRANG HANG GAS", "TT QUA APP NGAN SANG 35K"]
)
async def test_words_that_name_no_organisation_are_no_reference(
    app_database: Database, stall: PayableStall, memo: str
) -> None:
    body = sepay_body(stall, amount_vnd=35_000, memo=memo)
    await store_notices(app_database, stall, body)

    await process_waiting(app_database, stall)

    assert await list_outcomes(app_database, stall) == ["counter_sale"]
    assert await list_breaks(app_database, stall) == []


async def test_words_that_name_no_organisation_pair_no_sales_of_two_providers(
    app_database: Database, stall: PayableStall, casso: PayableStall
) -> None:
    facts = {"amount_vnd": 35_000, "memo": "CK QUA APP KHACH NGAN HANG"}
    await store_notices(app_database, stall, sepay_body(stall, **facts))
    await store_notices(app_database, casso, casso_body(casso, **facts))

    await process_waiting(app_database, stall)

    assert await list_outcomes(app_database, stall) == ["counter_sale", "unassigned"]


WORDS = {
    "KHAC": "CK QUA APP KHACH NGAN HANG",
    "TRAN": "NPP TRANG HANG GAS",
    "NGAN": "TT QUA APP NGAN SANG 35K",
}


@pytest.mark.parametrize("code", WORDS)
async def test_words_are_no_reference_where_they_name_an_organisation_either(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase, code: str
) -> None:
    """Not in its own organisation, not in another, as long as it has not had so many bills."""
    named = await a_payable_stall(app_database, code=code)
    for one in (named, stall):
        await store_notices(app_database, one, sepay_body(one, amount_vnd=35_000, memo=WORDS[code]))
        await process_waiting(app_database, one)

        assert await list_outcomes(app_database, one) == ["counter_sale"]
        assert await list_breaks(app_database, one) == []

    (found,) = find_references(WORDS[code])
    with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
        given_out = "UPDATE organisation_codes SET next_serial = %s WHERE code = %s"
        owner.execute(given_out, [found.serial + 1, code])
    for one, outcome in ((named, "no_bill"), (stall, "wrong_account")):
        await store_notices(app_database, one, sepay_body(one, amount_vnd=36_000, memo=WORDS[code]))
        await process_waiting(app_database, one)

        assert await list_outcomes(app_database, one) == ["counter_sale", outcome]


async def test_what_a_lost_server_may_have_given_out_is_a_reference(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    """A standby that was promoted by itself: it does not know the last references."""
    lost = make_reference(stall.org.code, GIVEN_OUT + 900_000)
    for taken_on, outcomes in (("", ["counter_sale"]), ("x/00000001", ["counter_sale", "no_bill"])):
        if taken_on:
            with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
                owner.execute("UPDATE organisation_codes SET taken_on = %s", [taken_on])
        await store_notices(app_database, stall, sepay_body(stall, amount_vnd=35_000, memo=lost))
        await process_waiting(app_database, stall)

        assert await list_outcomes(app_database, stall) == outcomes


async def test_a_reference_of_another_organisation_here_is_the_wrong_account(
    app_database: Database, stall: PayableStall
) -> None:
    await a_payable_stall(app_database, code="KHAC")
    memo = make_reference("KHAC", 77)
    await store_notices(app_database, stall, sepay_body(stall, amount_vnd=35_000, memo=memo))

    await process_waiting(app_database, stall)

    assert await list_outcomes(app_database, stall) == ["wrong_account"]


async def test_the_most_specific_number_says_whose_account_it_is(
    app_database: Database, stall: PayableStall
) -> None:
    """The neighbour's account is a virtual account of the stall's."""
    async with open_org_transaction(app_database, stall.org.id) as session:
        neighbour = await a_payee(session, stall.org)
        own = await an_account(session, stall.org, neighbour, account_number="VQRQ0001", bin_=VCB)
        endpoint_id = await an_endpoint(session, stall.org, [stall.account_id, own])
    both = PayableStall(
        org=stall.org,
        payee_id=neighbour,
        account_id=own,
        account_number=stall.account_number,
        endpoint_id=endpoint_id,
    )
    body = sepay_body(both, amount_vnd=35_000, memo="pho", virtual_account="vqrq0001")
    await store_notices(app_database, both, body)

    await process_waiting(app_database, both)

    assert (await read_ledger(app_database, both))["takings"] == 35_000
    assert (await read_ledger(app_database, stall))["takings"] == 0


def push(teller: PayableStall, *, order: str, memo: str = "VQR1b49cbd3af") -> bytes:
    """Write the project's VietQR.vn vector for this stall's account."""
    said = {"bankaccount": teller.account_number, "orderId": order, "content": memo}
    return to_json({**VIETQRVN_PUSH, **said})


@pytest.mark.parametrize("is_lower", [False, True])
async def test_an_order_that_is_a_bills_reference_pays_it(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase, is_lower: bool
) -> None:
    vietqrvn = await another_endpoint(app_database, stall, provider="vietqrvn")
    bill, quoted = [await a_bill(app_database, stall) for _ in range(2)]
    order = bill.reference.lower() if is_lower else bill.reference
    await store_notices(app_database, vietqrvn, push(vietqrvn, order=order, memo=quoted.reference))

    await process_waiting(app_database, stall)

    assert await list_outcomes(app_database, stall) == ["settle"]
    assert (await read_status(app_database, stall, bill))[0] == "paid"
    assert (await read_status(app_database, stall, quoted))[0] == "open"
    assert await count_rows(app_database, stall, "matches", "rule = 'order_reference'") == 1
    assert find_violations(fresh_database.owner_url) == []


async def test_money_whose_order_names_a_bill_to_come_waits_for_it_and_no_longer(
    app_database: Database, worker_database: Database, stall: PayableStall
) -> None:
    """What the worker finds, it can also rematch: nothing is found again for ever."""
    vietqrvn = await another_endpoint(app_database, stall, provider="vietqrvn")
    reference = make_reference(stall.org.code, 77)
    await store_notices(app_database, vietqrvn, push(vietqrvn, order=reference.lower()))
    await process_waiting(app_database, stall)
    assert await list_outcomes(app_database, stall) == ["no_bill"]
    bill = await a_bill(app_database, stall, reference=reference)
    databases = JobDatabases(app=app_database, worker=worker_database)

    assert [await rematch_waiting(databases, now=NOON) for _ in range(2)] == [1, 0]

    assert (await read_status(app_database, stall, bill))[0] == "paid"
    async with worker_database.begin() as session:
        since = NOON - timedelta(days=1)
        assert await find_waiting(session, since=since, limit=10, now=NOON) == []


@pytest.mark.parametrize("reference", ["-", "0007", "NULL"])
def test_two_transfers_by_one_payos_link_with_a_filler_are_told_apart_by_their_times(
    reference: str,
) -> None:
    data = {**PAYOS_DATA, "orderCode": 7, "description": "x", "reference": reference}
    times = ("2026-11-20 12:00:00", "2026-11-20 12:03:00", "2026-11-20 12:03:00")

    bodies = [to_json({"data": {**data, "transactionDateTime": time}}) for time in times]
    ids = [PROVIDERS["payos"].read(body).transactions[0].provider_transaction_id for body in bodies]

    assert ids[0] != ids[1] == ids[2]
