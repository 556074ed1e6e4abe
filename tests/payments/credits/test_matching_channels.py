"""One account that two providers report on: the same money is one credit, whatever the order."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from payments.bills.rules import BillFacts
from payments.credits.assigning import assign_credit
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.constants import NOON, VENDOR
from tests.world.databases import FreshDatabase
from tests.world.notices import casso_body, process_waiting, sepay_body, store_notices
from tests.world.orders import ORDERS_OF_FOUR
from tests.world.reads import list_breaks, list_outcomes, read_ledger, read_status
from tests.world.stalls import PayableStall, another_endpoint

pytestmark = pytest.mark.anyio


@pytest.fixture
def sepay(stall: PayableStall) -> PayableStall:
    """The stall as SePay sees it."""
    return stall


@pytest.fixture
async def casso(app_database: Database, sepay: PayableStall) -> PayableStall:
    """The same stall as Casso sees it."""
    return await another_endpoint(app_database, sepay, provider="casso")


@pytest.fixture
async def bill(app_database: Database, sepay: PayableStall) -> BillFacts:
    return await a_bill(app_database, sepay)


def from_sepay(stall: PayableStall, bill: BillFacts, number: int = 71) -> bytes:
    reference = f"FT{number}"
    return sepay_body(
        stall,
        amount_vnd=20_000,
        memo=bill.reference,
        transaction_id=number,
        bank_reference=reference,
    )


def from_casso(stall: PayableStall, bill: BillFacts, number: int = 88) -> bytes:
    return casso_body(stall, amount_vnd=20_000, memo=bill.reference, transaction_id=number)


async def test_two_providers_in_one_batch_make_one_credit(
    app_database: Database,
    sepay: PayableStall,
    casso: PayableStall,
    bill: BillFacts,
    fresh_database: FreshDatabase,
) -> None:
    await store_notices(app_database, sepay, from_sepay(sepay, bill))
    await store_notices(app_database, casso, from_casso(casso, bill))

    await process_waiting(app_database, sepay)

    assert await list_outcomes(app_database, sepay) == ["same_money", "settle"]
    assert await read_status(app_database, sepay, bill) == ("paid", 20_000, 20_000)
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("is_one_batch", [False, True])
async def test_a_repeat_of_what_the_second_provider_reported_is_no_new_money(
    app_database: Database,
    sepay: PayableStall,
    casso: PayableStall,
    bill: BillFacts,
    is_one_batch: bool,
) -> None:
    await store_notices(app_database, sepay, from_sepay(sepay, bill))
    for _ in range(3):
        await store_notices(app_database, casso, from_casso(casso, bill))
        if not is_one_batch:
            await process_waiting(app_database, sepay)
    await process_waiting(app_database, sepay)

    outcomes = await list_outcomes(app_database, sepay)
    assert outcomes == ["repeat", "repeat", "same_money", "settle"]
    assert (await read_ledger(app_database, sepay))["clearing"] == -20_000
    assert await list_breaks(app_database, sepay) == []


async def test_what_the_second_provider_contradicts_later_is_evidence_and_no_money(
    app_database: Database, sepay: PayableStall, casso: PayableStall, bill: BillFacts
) -> None:
    await store_notices(app_database, sepay, from_sepay(sepay, bill))
    await store_notices(app_database, casso, from_casso(casso, bill))
    await process_waiting(app_database, sepay)

    other = casso_body(casso, amount_vnd=90_000, memo=bill.reference, transaction_id=88)
    await store_notices(app_database, casso, other)
    await process_waiting(app_database, sepay)

    outcomes = await list_outcomes(app_database, sepay)
    assert outcomes == ["contradicted", "same_money", "settle"]
    assert (await read_ledger(app_database, sepay))["clearing"] == -20_000
    assert await list_breaks(app_database, sepay) == ["contradiction"]


@pytest.mark.parametrize("is_one_batch", [False, True])
@pytest.mark.parametrize("order", ORDERS_OF_FOUR)
async def test_a_bill_paid_twice_is_two_credits_in_any_order_of_four_reports(
    app_database: Database,
    sepay: PayableStall,
    casso: PayableStall,
    bill: BillFacts,
    order: tuple[str, ...],
    is_one_batch: bool,
) -> None:
    """A, B: the two payments as SePay tells them; a, b: as Casso does. No id is shared."""
    told = {
        "A": (sepay, from_sepay(sepay, bill, 1)),
        "B": (sepay, from_sepay(sepay, bill, 2)),
        "a": (casso, from_casso(casso, bill, 3)),
        "b": (casso, from_casso(casso, bill, 4)),
    }
    for one in order:
        await store_notices(app_database, *told[one])
        if not is_one_batch:
            await process_waiting(app_database, sepay)
    await process_waiting(app_database, sepay)

    assert await read_status(app_database, sepay, bill) == ("paid", 20_000, 40_000)
    assert (await list_outcomes(app_database, sepay)).count("same_money") == 2


async def test_a_repeat_is_not_paired_with_other_money_that_looks_alike(
    app_database: Database, sepay: PayableStall, casso: PayableStall, bill: BillFacts
) -> None:
    """Two payments: SePay repeats the first while only Casso has reported the second."""
    told = [
        (sepay, from_sepay(sepay, bill, 1)),
        (casso, from_casso(casso, bill, 3)),
        (casso, from_casso(casso, bill, 4)),
        (sepay, from_sepay(sepay, bill, 1)),
        (sepay, from_sepay(sepay, bill, 2)),
    ]
    for stall, body in told:
        await store_notices(app_database, stall, body)
        await process_waiting(app_database, sepay)

    assert await read_status(app_database, sepay, bill) == ("paid", 20_000, 40_000)


async def test_a_provider_that_agreed_on_an_id_may_tell_of_more_money(
    app_database: Database, sepay: PayableStall, casso: PayableStall, bill: BillFacts
) -> None:
    """Casso repeats SePay's bank reference, then reports a second payment that SePay lost."""
    shared = {"amount_vnd": 20_000, "memo": bill.reference, "bank_reference": "FT26324000123"}
    agreed = casso_body(casso, **shared)
    await store_notices(app_database, sepay, sepay_body(sepay, **shared))
    await store_notices(app_database, casso, agreed)
    await store_notices(app_database, casso, from_casso(casso, bill, 4))

    await process_waiting(app_database, sepay)

    assert await list_outcomes(app_database, sepay) == ["closed_bill", "same_money", "settle"]
    assert await read_status(app_database, sepay, bill) == ("paid", 20_000, 40_000)


async def test_the_same_amount_a_quarter_of_an_hour_apart_is_other_money(
    app_database: Database, sepay: PayableStall, casso: PayableStall, bill: BillFacts
) -> None:
    await store_notices(app_database, sepay, from_sepay(sepay, bill))
    later = NOON + timedelta(minutes=16)
    body = casso_body(casso, amount_vnd=20_000, memo=bill.reference, occurred_at=later)
    await store_notices(app_database, casso, body)

    await process_waiting(app_database, sepay)

    assert await read_status(app_database, sepay, bill) == ("paid", 20_000, 40_000)


async def test_money_without_a_reference_is_never_taken_for_the_same_by_its_amount(
    app_database: Database, sepay: PayableStall, casso: PayableStall
) -> None:
    await store_notices(app_database, sepay, sepay_body(sepay, amount_vnd=20_000, memo="an trua"))
    await store_notices(app_database, casso, casso_body(casso, amount_vnd=20_000, memo="an trua"))

    await process_waiting(app_database, sepay)

    assert (await read_ledger(app_database, sepay))["clearing"] == -40_000


@pytest.mark.parametrize("is_sepay_first", [True, False])
async def test_a_report_with_a_date_only_is_the_same_money_on_that_day(
    app_database: Database,
    sepay: PayableStall,
    casso: PayableStall,
    bill: BillFacts,
    is_sepay_first: bool,
) -> None:
    dated = casso_body(casso, amount_vnd=20_000, memo=bill.reference, date_only=True)
    told = [(sepay, from_sepay(sepay, bill)), (casso, dated)]
    for stall, body in told if is_sepay_first else reversed(told):
        await store_notices(app_database, stall, body)
        await process_waiting(app_database, sepay)

    assert await list_outcomes(app_database, sepay) == ["same_money", "settle"]
    assert await read_status(app_database, sepay, bill) == ("paid", 20_000, 20_000)
    assert await list_breaks(app_database, sepay) == []


async def test_a_date_of_another_day_is_other_money(
    app_database: Database, sepay: PayableStall, casso: PayableStall, bill: BillFacts
) -> None:
    await store_notices(app_database, sepay, from_sepay(sepay, bill))
    body = casso_body(
        casso,
        amount_vnd=20_000,
        memo=bill.reference,
        date_only=True,
        occurred_at=NOON + timedelta(days=1),
    )
    await store_notices(app_database, casso, body)

    await process_waiting(app_database, sepay)

    assert await read_status(app_database, sepay, bill) == ("paid", 20_000, 40_000)


async def test_a_counter_sale_that_two_providers_tell_of_is_in_the_takings_once(
    app_database: Database, sepay: PayableStall, casso: PayableStall, fresh_database: FreshDatabase
) -> None:
    await store_notices(app_database, sepay, sepay_body(sepay, amount_vnd=33_000, memo="pho"))
    await store_notices(app_database, casso, casso_body(casso, amount_vnd=33_000, memo="PHO"))

    await process_waiting(app_database, sepay)

    assert await list_outcomes(app_database, sepay) == ["counter_sale", "unassigned"]
    books = await read_ledger(app_database, sepay)
    assert (books["takings"], books["unapplied"]) == (33_000, 33_000)
    assert await list_breaks(app_database, sepay) == ["unassigned"]
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("order", ["AaBb", "ABab", "aABb", "AabB"])
async def test_each_of_several_equal_sales_has_its_own_twin(
    app_database: Database, sepay: PayableStall, casso: PayableStall, order: str
) -> None:
    for name in order:
        if name.isupper():
            await store_notices(
                app_database, sepay, sepay_body(sepay, amount_vnd=33_000, memo="pho")
            )
        else:
            await store_notices(
                app_database, casso, casso_body(casso, amount_vnd=33_000, memo="pho")
            )
        await process_waiting(app_database, sepay)

    assert (await read_ledger(app_database, sepay))["takings"] == 66_000


async def test_a_doubtful_report_that_comes_again_is_a_repeat(
    app_database: Database, sepay: PayableStall, casso: PayableStall
) -> None:
    await store_notices(app_database, sepay, sepay_body(sepay, amount_vnd=33_000, memo="pho"))
    twin = casso_body(casso, amount_vnd=33_000, memo="pho")
    for _ in range(2):
        await store_notices(app_database, casso, twin)
        await process_waiting(app_database, sepay)

    assert await list_outcomes(app_database, sepay) == ["counter_sale", "repeat", "unassigned"]


async def test_a_doubtful_report_that_was_a_sale_after_all_is_assigned(
    app_database: Database, sepay: PayableStall, casso: PayableStall
) -> None:
    await store_notices(app_database, sepay, sepay_body(sepay, amount_vnd=33_000, memo="pho"))
    await store_notices(app_database, casso, casso_body(casso, amount_vnd=33_000, memo="bun"))
    await process_waiting(app_database, sepay)

    async with open_org_transaction(app_database, sepay.org.id) as session:
        query = text("SELECT credit_id FROM matches WHERE verdict = 'unassigned'")
        credit_id = (await session.execute(query)).scalar_one()
        await assign_credit(
            session, sepay.org.id, credit_id, payee_id=sepay.payee_id, actor=VENDOR, now=NOON
        )

    assert (await read_ledger(app_database, sepay))["takings"] == 66_000
    assert await list_breaks(app_database, sepay) == []


@pytest.mark.parametrize(("minutes", "amount_vnd"), [(16, 33_000), (0, 34_000)])
async def test_sales_apart_in_time_or_amount_are_both_sales(
    app_database: Database, sepay: PayableStall, casso: PayableStall, minutes: int, amount_vnd: int
) -> None:
    later = NOON + timedelta(minutes=minutes)
    await store_notices(app_database, sepay, sepay_body(sepay, amount_vnd=33_000, memo="pho"))
    body = casso_body(casso, amount_vnd=amount_vnd, memo="pho", occurred_at=later)
    await store_notices(app_database, casso, body)

    await process_waiting(app_database, sepay)

    assert (await read_ledger(app_database, sepay))["takings"] == 33_000 + amount_vnd
