"""One transfer that two providers report in different words: it is paired, or a person decides."""

from collections.abc import Callable
from datetime import timedelta
from itertools import count

import pytest
from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from payments.bills.references import make_reference
from payments.bills.rules import BillFacts
from payments.credits import admissions
from tests.payments.credits.test_admissions import find_break
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill
from tests.world.callbacks import VIETQRVN_PUSH, to_json
from tests.world.constants import MANAGER, NOON
from tests.world.databases import FreshDatabase
from tests.world.notices import casso_body, process_waiting, sepay_body, store_notices
from tests.world.orders import ORDERS_OF_FOUR
from tests.world.reads import count_rows, list_breaks, list_outcomes, read_ledger, read_status
from tests.world.stalls import PayableStall, another_endpoint

pytestmark = pytest.mark.anyio

PAIRED = "differences ? 'perhaps'"
OWN = "FT26324000123"


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


async def confirm_same_money(database: Database, stall: PayableStall) -> None:
    break_id = await find_break(database, stall, "possible_duplicate")
    async with open_org_transaction(database, stall.org.id) as session:
        await admissions.confirm_same_money(
            session, stall.org.id, break_id, actor=MANAGER, now=NOON
        )


@pytest.mark.parametrize("is_one_batch", [False, True])
@pytest.mark.parametrize("is_named_first", [False, True])
@pytest.mark.parametrize("cut", [lambda _: "MBVCB chuyen tien", lambda _: "", lambda r: r[:9]])
async def test_a_bill_that_only_one_of_two_providers_names_is_paid_and_a_person_is_asked(
    app_database: Database,
    sepay: PayableStall,
    casso: PayableStall,
    bill: BillFacts,
    fresh_database: FreshDatabase,
    cut: Callable[[str], str],
    is_named_first: bool,
    is_one_batch: bool,
) -> None:
    told = [
        (sepay, sepay_body(sepay, amount_vnd=20_000, memo=cut(bill.reference))),
        (casso, casso_body(casso, amount_vnd=20_000, memo=bill.reference)),
    ]
    for stall, body in reversed(told) if is_named_first else told:
        await store_notices(app_database, stall, body)
        if not is_one_batch:
            await process_waiting(app_database, sepay)
    await process_waiting(app_database, sepay)

    assert await read_status(app_database, sepay, bill) == ("paid", 20_000, 20_000)
    assert "possible_duplicate" in await list_breaks(app_database, sepay)
    assert await count_rows(app_database, sepay, "sightings", PAIRED) == 1
    assert find_violations(fresh_database.owner_url) == []

    await confirm_same_money(app_database, sepay)
    assert await read_status(app_database, sepay, bill) == ("paid", 20_000, 20_000)
    books = await read_ledger(app_database, sepay)
    assert (books["takings"], books["unapplied"], books["clearing"]) == (20_000, 0, -20_000)
    assert await list_breaks(app_database, sepay) == []
    assert find_violations(fresh_database.owner_url) == []


async def test_a_bill_that_an_order_names_is_a_twin_of_what_names_nothing(
    app_database: Database, sepay: PayableStall, bill: BillFacts
) -> None:
    vietqrvn = await another_endpoint(app_database, sepay, provider="vietqrvn")
    said = {"bankaccount": sepay.account_number, "orderId": bill.reference, "content": "x"}
    push = VIETQRVN_PUSH | said | {"amount": 20_000}
    push["transactiontime"] = int(NOON.timestamp() * 1000)
    await store_notices(app_database, sepay, sepay_body(sepay, amount_vnd=20_000, memo="pho"))
    await process_waiting(app_database, sepay)
    await store_notices(app_database, vietqrvn, to_json(push))
    await process_waiting(app_database, sepay)

    assert await list_outcomes(app_database, sepay) == ["counter_sale", "settle"]
    assert await list_breaks(app_database, sepay) == ["possible_duplicate"]


@pytest.mark.slow
@pytest.mark.parametrize("order", ORDERS_OF_FOUR)
async def test_of_two_transfers_in_any_order_none_is_counted_twice_without_a_break(
    app_database: Database,
    sepay: PayableStall,
    casso: PayableStall,
    fresh_database: FreshDatabase,
    order: tuple[str, ...],
) -> None:
    """A, B: the two payments as SePay reports them, without references; a, b: as Casso does."""
    bills = {name: await a_bill(app_database, sepay) for name in "ab"}
    for name in order:
        if name.isupper():
            await store_notices(
                app_database, sepay, sepay_body(sepay, amount_vnd=20_000, memo="ck")
            )
        else:
            memo = bills[name].reference
            await store_notices(
                app_database, casso, casso_body(casso, amount_vnd=20_000, memo=memo)
            )
        await process_waiting(app_database, sepay)

    for bill in bills.values():
        assert (await read_status(app_database, sepay, bill))[0] == "paid"
    counted = await count_rows(app_database, sepay, "bank_transactions")
    doubted = "closed_at IS NULL AND credit_id IS NOT NULL"
    async with open_org_transaction(app_database, sepay.org.id):
        asked = await count_rows(
            app_database, sepay, f"(SELECT DISTINCT credit_id FROM breaks WHERE {doubted}) AS k"
        )
    assert counted - asked <= 2
    assert find_violations(fresh_database.owner_url) == []


async def test_a_sale_that_was_paired_perhaps_hides_no_payment_that_is_the_same_for_certain(
    app_database: Database, sepay: PayableStall, casso: PayableStall, bill: BillFacts
) -> None:
    """Casso reports another sale of the same amount first, then the payment itself."""
    for stall, body in [
        (sepay, sepay_body(sepay, amount_vnd=20_000, memo=bill.reference)),
        (casso, casso_body(casso, amount_vnd=20_000, memo="pho")),
        (casso, casso_body(casso, amount_vnd=20_000, memo=bill.reference)),
    ]:
        await store_notices(app_database, stall, body)
        await process_waiting(app_database, sepay)

    assert await read_status(app_database, sepay, bill) == ("paid", 20_000, 20_000)
    assert await list_outcomes(app_database, sepay) == ["same_money", "settle", "unassigned"]
    assert await list_breaks(app_database, sepay) == ["possible_duplicate", "unassigned"]


ACCENTED = str.maketrans({"A": "Á", "E": "Ê", "P": "p"})
SPELLINGS: dict[str, Callable[[str], str]] = {
    "accents": lambda r: r.translate(ACCENTED),
    "U for W": lambda r: r.replace("W", "U"),
    "a horn": lambda r: r.replace("W", "Ư").lower(),
    "full width": lambda r: "".join(chr(ord(c) + 0xFEE0) for c in r),
    "spaces": lambda r: f"ck {r[:4]} {r[4:9]}.{r[9:]}-mua",
    "both": lambda r: r.replace("W", "ư").translate(ACCENTED)[:7] + " " + r[7:],
}


@pytest.mark.parametrize("is_plain_first", [False, True])
@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_a_reference_in_two_spellings_is_one_reference_and_pays_once(
    app_database: Database,
    sepay: PayableStall,
    casso: PayableStall,
    fresh_database: FreshDatabase,
    spelling: str,
    is_plain_first: bool,
) -> None:
    made = (make_reference(sepay.org.code, serial) for serial in count(1))
    reference = next(one for one in made if {"W", "A"} <= set(one[6:]))
    bill = await a_bill(app_database, sepay, reference=reference)
    told = [
        (sepay, sepay_body(sepay, amount_vnd=20_000, memo=reference)),
        (casso, casso_body(casso, amount_vnd=20_000, memo=SPELLINGS[spelling](reference))),
    ]
    for stall, body in told if is_plain_first else reversed(told):
        await store_notices(app_database, stall, body)
        await process_waiting(app_database, sepay)

    assert await list_outcomes(app_database, sepay) == ["same_money", "settle"]
    assert await read_status(app_database, sepay, bill) == ("paid", 20_000, 20_000)
    assert await list_breaks(app_database, sepay) == []
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("is_longer_first", [False, True])
async def test_any_of_several_references_pairs(
    app_database: Database,
    sepay: PayableStall,
    casso: PayableStall,
    bill: BillFacts,
    is_longer_first: bool,
) -> None:
    quoted = make_reference(sepay.org.code, 700)
    told = [
        (sepay, sepay_body(sepay, amount_vnd=20_000, memo=f"{quoted} {bill.reference}")),
        (casso, casso_body(casso, amount_vnd=20_000, memo=bill.reference)),
    ]
    for stall, body in told if is_longer_first else reversed(told):
        await store_notices(app_database, stall, body)
        await process_waiting(app_database, sepay)

    assert await list_outcomes(app_database, sepay) == ["same_money", "settle"]
    assert await read_status(app_database, sepay, bill) == ("paid", 20_000, 20_000)


async def test_one_bank_reference_over_two_bills_is_two_payments_and_a_person_is_asked(
    app_database: Database, sepay: PayableStall, casso: PayableStall, fresh_database: FreshDatabase
) -> None:
    """A batch of transfers has one number; each provider lost one of them."""
    bills = [await a_bill(app_database, sepay) for _ in range(2)]
    facts = {"amount_vnd": 20_000, "bank_reference": OWN}
    await store_notices(app_database, sepay, sepay_body(sepay, memo=bills[0].reference, **facts))
    await store_notices(app_database, casso, casso_body(casso, memo=bills[1].reference, **facts))
    await process_waiting(app_database, sepay)

    assert [(await read_status(app_database, sepay, bill))[0] for bill in bills] == ["paid"] * 2
    assert await list_breaks(app_database, sepay) == ["possible_duplicate"]
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.parametrize("is_casso_first", [False, True])
async def test_two_transfers_of_one_bank_for_one_bill_are_two_and_a_person_is_asked(
    app_database: Database,
    sepay: PayableStall,
    casso: PayableStall,
    bill: BillFacts,
    fresh_database: FreshDatabase,
    is_casso_first: bool,
) -> None:
    """A payer paid twice; each provider lost one of the transfers."""
    facts = {"amount_vnd": 20_000, "memo": bill.reference}
    later = NOON + timedelta(minutes=9)
    told = [
        (sepay, sepay_body(sepay, **facts, bank_reference="FT26324000111")),
        (casso, casso_body(casso, **facts, bank_reference="FT26324999888", occurred_at=later)),
    ]
    for stall, body in reversed(told) if is_casso_first else told:
        await store_notices(app_database, stall, body)
        await process_waiting(app_database, sepay)

    assert await list_outcomes(app_database, sepay) == ["closed_bill", "settle"]
    assert await read_status(app_database, sepay, bill) == ("paid", 20_000, 40_000)
    assert await list_breaks(app_database, sepay) == ["possible_duplicate", "refund_due"]
    query = "SELECT m.verdict FROM breaks b JOIN matches m ON m.credit_id = b.credit_id"
    async with open_org_transaction(app_database, sepay.org.id) as session:
        asked = await session.execute(text(f"{query} WHERE b.kind = 'possible_duplicate'"))
        assert list(asked.scalars()) == ["closed_bill"]  # about the later one
    assert find_violations(fresh_database.owner_url) == []


async def test_each_of_two_transfers_is_paired_by_the_banks_number_in_whatever_order(
    app_database: Database, sepay: PayableStall, casso: PayableStall
) -> None:
    """Halves of one bill, minutes apart, and both providers report both."""
    bill = await a_bill(app_database, sepay, amount_vnd=40_000)
    for stall, body, numbers in [
        (sepay, sepay_body, ("FT26324000111", "FT26324000222")),
        (casso, casso_body, ("FT26324000222", "FT26324000111")),
    ]:
        for number in numbers:
            facts = {"amount_vnd": 20_000, "memo": bill.reference, "bank_reference": number}
            await store_notices(app_database, stall, body(stall, **facts))
            await process_waiting(app_database, sepay)

    assert await list_outcomes(app_database, sepay) == [
        "part",
        "same_money",
        "same_money",
        "settle",
    ]
    assert await read_status(app_database, sepay, bill) == ("paid", 40_000, 40_000)
    assert await list_breaks(app_database, sepay) == []


async def test_equal_parts_of_a_day_without_times_are_no_silent_repeat(
    app_database: Database, sepay: PayableStall, casso: PayableStall, fresh_database: FreshDatabase
) -> None:
    """SePay lost the second half, and Casso the first and all times."""
    bill = await a_bill(app_database, sepay, amount_vnd=40_000, valid_for=timedelta(hours=12))
    facts = {"amount_vnd": 20_000, "memo": bill.reference}
    evening = casso_body(
        casso, **facts, occurred_at=NOON + timedelta(hours=6), date_only=True, transaction_id=9_001
    )
    await store_notices(app_database, sepay, sepay_body(sepay, **facts))
    await process_waiting(app_database, sepay)
    for _ in range(2):  # and says it twice
        await store_notices(app_database, casso, evening)
        await process_waiting(app_database, sepay)

    assert await read_status(app_database, sepay, bill) == ("part_paid", 20_000, 20_000)
    assert await list_outcomes(app_database, sepay) == ["contradicted", "part", "repeat"]
    assert await list_breaks(app_database, sepay) == ["contradiction"]
    break_id = await find_break(app_database, sepay, "contradiction")
    async with open_org_transaction(app_database, sepay.org.id) as session:
        await admissions.admit(session, sepay.org, break_id, actor=MANAGER, now=NOON)
    assert await read_status(app_database, sepay, bill) == ("paid", 40_000, 40_000)
    await store_notices(app_database, casso, evening)
    await process_waiting(app_database, sepay)
    assert await count_rows(app_database, sepay, "bank_transactions") == 2
    assert find_violations(fresh_database.owner_url) == []


async def test_a_whole_bill_of_a_day_without_times_is_one_payment(
    app_database: Database, sepay: PayableStall, casso: PayableStall, bill: BillFacts
) -> None:
    facts = {"amount_vnd": 20_000, "memo": bill.reference}
    await store_notices(app_database, sepay, sepay_body(sepay, **facts))
    await process_waiting(app_database, sepay)
    await store_notices(app_database, casso, casso_body(casso, **facts, date_only=True))
    await process_waiting(app_database, sepay)

    assert await list_outcomes(app_database, sepay) == ["same_money", "settle"]
    assert await list_breaks(app_database, sepay) == []


async def test_a_payment_with_a_twin_and_a_known_bank_reference_is_doubted_for_both(
    app_database: Database, sepay: PayableStall, casso: PayableStall
) -> None:
    """The twin is a sale without a name; the bank reference is another bill's."""
    bills = [await a_bill(app_database, sepay) for _ in range(2)]
    facts = {"amount_vnd": 20_000, "bank_reference": OWN}
    for stall, body in [
        (sepay, sepay_body(sepay, memo=bills[0].reference, **facts)),
        (sepay, sepay_body(sepay, memo="pho", amount_vnd=20_000)),
        (casso, casso_body(casso, memo=bills[1].reference, **facts)),
    ]:
        await store_notices(app_database, stall, body)
        await process_waiting(app_database, sepay)

    assert await list_breaks(app_database, sepay) == ["possible_duplicate"] * 2
