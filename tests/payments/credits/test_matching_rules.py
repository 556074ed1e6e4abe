"""By which rule a credit finds its bill or payee, on a real database; never by amount alone."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import text

from core.db import Database
from core.tenancy import open_org_transaction
from ops.postgres.supervisor import Cluster
from payments.bills.references import make_reference
from payments.bills.service import cancel_bill
from tests.payments.bills.test_references import MANGLED, ORG, REFERENCE, SHARED_MEMOS, mangle_like
from tests.payments.invariants import find_violations
from tests.world.bills import a_bill, put_on_rail
from tests.world.callbacks import VIETQRVN_PUSH, to_json
from tests.world.constants import NOON, VENDOR
from tests.world.databases import FreshDatabase, Template, a_template
from tests.world.endpoints import an_endpoint
from tests.world.notices import pay, payos_body, process_waiting, sepay_body, store_notices
from tests.world.payees import a_payee, an_account
from tests.world.reads import count_rows, list_breaks, read_ledger, read_status
from tests.world.stalls import PayableStall, a_payable_stall, another_endpoint

pytestmark = pytest.mark.anyio

FOREIGN = make_reference("ZZZZ", 5)


@pytest.fixture(scope="module")
def stall_template(cluster: Cluster) -> Iterator[Template[PayableStall]]:
    with a_template(cluster, partial(a_payable_stall, code=ORG)) as template:
        yield template


async def read_match(database: Database, stall: PayableStall) -> tuple[str, str, str | None]:
    """Return (verdict, rule, reason) of the newest match in force."""
    async with open_org_transaction(database, stall.org.id) as session:
        rows = await session.execute(
            text("SELECT verdict, rule, reason FROM matches WHERE reversed_at IS NULL ORDER BY id")
        )
        verdict, rule, reason = rows.all()[-1]
    assert reason, "every match says why"
    return verdict, rule, reason


async def count_rules(database: Database, stall: PayableStall) -> dict[str, str]:
    """Return the rule by which each memo was matched to the bill."""
    async with open_org_transaction(database, stall.org.id) as session:
        rows = await session.execute(
            text(
                "SELECT c.memo, m.rule FROM matches m"
                " JOIN bank_transactions c ON c.id = m.credit_id"
            )
        )
        return {memo: rule for memo, rule in rows}  # noqa: C416 (rows are not pairs to mypy)


def read_shared_memos() -> set[str]:
    """Put our reference where each collected memo has its code."""
    lines = SHARED_MEMOS.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {mangle_like(memo, code, REFERENCE) for _, memo, code, *_ in rows if code != "-"}


async def test_every_memo_that_banks_make_of_a_reference_pays_its_bill(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    bill = await a_bill(app_database, stall, reference=REFERENCE, amount_vnd=100_000)
    memos = {memo: rule for _, memo, rule in MANGLED}
    bodies = [sepay_body(stall, amount_vnd=1_000, memo=memo) for memo in memos]
    await store_notices(app_database, stall, *bodies)

    await process_waiting(app_database, stall)

    assert await read_status(app_database, stall, bill) == (
        "part_paid", len(memos) * 1_000, len(memos) * 1_000,
    )  # fmt: skip
    assert sorted((await count_rules(app_database, stall)).values()) == sorted(memos.values())
    assert find_violations(fresh_database.owner_url) == []


@pytest.mark.skipif(not SHARED_MEMOS.exists(), reason="the collection of memos is not here")
async def test_every_memo_of_the_shared_collection_pays_its_bill(
    app_database: Database, stall: PayableStall
) -> None:
    bill = await a_bill(app_database, stall, reference=REFERENCE, amount_vnd=1_000_000)
    memos = read_shared_memos()
    bodies = [sepay_body(stall, amount_vnd=1_000, memo=memo) for memo in memos]
    await store_notices(app_database, stall, *bodies)

    await process_waiting(app_database, stall)

    assert len(memos) > 20
    assert (await read_status(app_database, stall, bill))[1] == len(memos) * 1_000


@pytest.mark.parametrize(
    ("memo", "verdict", "rule", "breaks"),
    [
        ("{A}", "settle", "memo_exact", []),
        ("{a}", "settle", "memo_normalised", []),
        ("{A} {A}", "settle", "memo_exact", []),
        ("tra {A} va {B}", "several_bills", "none", ["several_references"]),
        ("tra {A} va {PAID}", "settle", "memo_exact", []),
        ("tra {PAID} va {CANCELLED}", "several_bills", "none", ["several_references"]),
        ("{CANCELLED}", "closed_bill", "memo_exact", ["refund_due"]),
        ("{A} {UNKNOWN}", "settle", "memo_exact", []),
        ("{UNKNOWN}", "no_bill", "none", ["unknown_reference"]),
        ("{FOREIGN}", "wrong_account", "none", ["wrong_account"]),
        ("{FOREIGN} {A}", "settle", "memo_exact", []),
        ("{FOREIGN} {UNKNOWN}", "no_bill", "none", ["unknown_reference"]),
        ("20000", "counter_sale", "sole_payee", []),
        ("", "counter_sale", "sole_payee", []),
        ("\u202e{A}", "settle", "memo_exact", []),
    ],
)
async def test_what_a_memo_names_decides(
    app_database: Database,
    stall: PayableStall,
    fresh_database: FreshDatabase,
    memo: str,
    verdict: str,
    rule: str,
    breaks: list[str],
) -> None:
    a, b, paid, cancelled = [await a_bill(app_database, stall) for _ in range(4)]
    await a_payable_stall(app_database, code=FOREIGN[2:6])
    await pay(app_database, stall, paid)
    async with open_org_transaction(app_database, stall.org.id) as session:
        await cancel_bill(session, stall.org.id, cancelled.id, actor=VENDOR, reason=None, now=NOON)
    said = memo.format(
        A=a.reference,
        a=a.reference.lower(),
        B=b.reference,
        PAID=paid.reference,
        CANCELLED=cancelled.reference,
        UNKNOWN=make_reference(ORG, 123_456),
        FOREIGN=FOREIGN,
    )

    assert await pay(app_database, stall, a, memo=said) == verdict

    assert (await read_match(app_database, stall))[:2] == (verdict, rule)
    assert (await read_status(app_database, stall, a))[0] == (
        "paid" if verdict == "settle" else "open"
    )
    assert (await read_status(app_database, stall, b))[0] == "open"
    assert await list_breaks(app_database, stall) == breaks
    assert find_violations(fresh_database.owner_url) == []


async def test_the_providers_order_goes_before_what_the_memo_says(
    app_database: Database, owner_database: Database, stall: PayableStall
) -> None:
    payos = await another_endpoint(app_database, stall, provider="payos")
    by_order, by_memo = [await a_bill(app_database, stall) for _ in range(2)]
    await put_on_rail(owner_database, by_order, "902118")

    body = payos_body(stall, order=902_118, memo=f"CSSW5YI4T28 {by_memo.reference}")
    await store_notices(app_database, payos, body)
    await process_waiting(app_database, stall)

    assert (await read_match(app_database, stall))[:2] == ("settle", "provider_order")
    assert (await read_status(app_database, stall, by_order))[0] == "paid"
    assert (await read_status(app_database, stall, by_memo))[0] == "open"


async def test_an_order_of_another_provider_is_not_this_bill(
    app_database: Database, owner_database: Database, stall: PayableStall
) -> None:
    payos = await another_endpoint(app_database, stall, provider="payos")
    bill = await a_bill(app_database, stall)
    await put_on_rail(owner_database, bill, "902118", rail="vietqrvn")

    await store_notices(app_database, payos, payos_body(stall, order=902_118, memo="chuyen tien"))
    await process_waiting(app_database, stall)

    assert (await read_match(app_database, stall))[0] == "no_bill"
    assert await list_breaks(app_database, stall) == ["unknown_reference"]


async def test_vietqrvn_names_the_bill_by_its_order_or_by_the_memo(
    app_database: Database, owner_database: Database, stall: PayableStall
) -> None:
    vietqrvn = await another_endpoint(app_database, stall, provider="vietqrvn")
    bill, by_memo = [await a_bill(app_database, stall) for _ in range(2)]
    await put_on_rail(owner_database, bill, "ORD-7", rail="vietqrvn")
    push = {**VIETQRVN_PUSH, "bankaccount": stall.account_number}
    first = {**push, "orderId": "ORD-7", "content": "VQR1b49cbd3af"}
    second = {
        **push,
        "orderId": "",
        "transactionid": "VQR-2",
        "referencenumber": "FT2",
        "content": f"VQR1b49cbd3af {by_memo.reference}",
    }

    await store_notices(app_database, vietqrvn, to_json(first), to_json(second))
    await process_waiting(app_database, stall)

    for one in (bill, by_memo):
        assert (await read_status(app_database, stall, one))[0] == "paid"


async def share_account(
    database: Database, stall: PayableStall, virtual_accounts: list[str | None]
) -> list[UUID]:
    """Let more payees use the stall's account; returns their ids."""
    payees = []
    async with open_org_transaction(database, stall.org.id) as session:
        for virtual_account in virtual_accounts:
            payee_id = await a_payee(session, stall.org)
            await an_account(
                session,
                stall.org,
                payee_id,
                account_number=stall.account_number,
                virtual_account=virtual_account,
            )
            payees.append(payee_id)
    return payees


@pytest.mark.parametrize(
    ("told", "which", "rule"),
    [
        ("SEPVA01", 0, "virtual_account"),
        ("sepva02", 1, "virtual_account"),
        ("SEPVA99", None, "none"),
    ],
)
async def test_a_virtual_account_says_whose_counter_sale_it_is(
    app_database: Database, stall: PayableStall, told: str, which: int | None, rule: str
) -> None:
    payees = await share_account(app_database, stall, ["SEPVA01", "SEPVA02"])

    body = sepay_body(stall, amount_vnd=9_000, memo="com trua", virtual_account=told)
    await store_notices(app_database, stall, body)
    await process_waiting(app_database, stall)

    assert (await read_match(app_database, stall))[1] == rule
    async with open_org_transaction(app_database, stall.org.id) as session:
        payee_id = await session.scalar(text("SELECT payee_id FROM matches"))
    assert payee_id == (None if which is None else payees[which])


async def test_money_on_a_shared_account_without_a_word_waits_for_a_stall(
    app_database: Database, stall: PayableStall, fresh_database: FreshDatabase
) -> None:
    await share_account(app_database, stall, [None])
    bill = await a_bill(app_database, stall, amount_vnd=9_000)

    assert await pay(app_database, stall, bill, memo="com trua") == "unassigned"

    assert (await read_status(app_database, stall, bill))[0] == "open"  # not by its amount
    assert (await read_ledger(app_database, stall))["unapplied"] == 9_000
    assert await list_breaks(app_database, stall) == ["unassigned"]
    assert find_violations(fresh_database.owner_url) == []


async def test_two_open_bills_of_one_amount_suggest_none(
    app_database: Database, stall: PayableStall
) -> None:
    bills = [await a_bill(app_database, stall) for _ in range(2)]

    assert await pay(app_database, stall, bills[0], memo="com trua") == "counter_sale"

    assert await count_rows(app_database, stall, "matches", "suggested_bill_id IS NULL") == 1


async def test_money_from_before_the_approval_is_not_this_organisations_to_explain(
    app_database: Database, stall: PayableStall
) -> None:
    """The account was approved thirty days ago; the bank reports a line of the day before."""
    bill = await a_bill(app_database, stall)
    before = NOON - timedelta(days=31)

    outcome = await pay(app_database, stall, bill, memo="luong thang 9", occurred_at=before)

    assert outcome == "unassigned"
    assert (await read_ledger(app_database, stall))["takings"] == 0
    on_the_day = NOON - timedelta(days=30, hours=11)
    later = await pay(app_database, stall, bill, memo="com trua", occurred_at=on_the_day)
    assert later == "counter_sale"


@pytest.mark.parametrize(("is_live", "outcome"), [(True, "simulated_refused"), (False, "settle")])
async def test_simulated_money_counts_only_where_money_is_simulated(
    app_database: Database, is_live: bool, outcome: str
) -> None:
    stall = await a_payable_stall(app_database, is_live=is_live)
    bill = await a_bill(app_database, stall)

    told = await pay(app_database, stall, bill, bank_reference="SB0123456789AB")

    assert told == outcome
    assert await count_rows(app_database, stall, "bank_transactions") == (0 if is_live else 1)
    assert await list_breaks(app_database, stall) == (["simulated_in_live"] if is_live else [])


async def test_an_endpoint_speaks_only_for_its_own_accounts(
    app_database: Database, stall: PayableStall
) -> None:
    """Another payee's endpoint, with a right signature, reports on this stall's account."""
    async with open_org_transaction(app_database, stall.org.id) as session:
        other = await a_payee(session, stall.org)
        account = await an_account(session, stall.org, other)
        endpoint = await an_endpoint(session, stall.org, [account])
    stranger = PayableStall(
        org=stall.org,
        payee_id=other,
        account_id=account,
        account_number=stall.account_number,
        endpoint_id=endpoint,
    )
    bill = await a_bill(app_database, stall)

    assert await pay(app_database, stranger, bill) == "waits_for_account"

    assert (await read_status(app_database, stall, bill))[0] == "open"
    assert await list_breaks(app_database, stall) == ["unknown_account"]
