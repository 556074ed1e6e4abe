"""The amount of a bill's code, and that a settled bill has no code."""

from dataclasses import replace
from datetime import timedelta

import pytest

from core.ids import new_id
from payments.bills.errors import BillNotPayable
from payments.bills.rules import BillFacts
from payments.vietqr import parse
from tests.world.constants import NOON

BILL = BillFacts(
    org_id=new_id(), id=new_id(), payee_id=new_id(), payee_name="Phở Lan", place="A1",
    receiving_account_id=new_id(), bin="970422", account_number="0123456789",
    virtual_account=None, holder_name="PHO LAN", rail="vietqr", provider_order_id=None,
    reference="PPHNDXCJF3X84", public_token="x" * 22, amount_vnd=50_000, paid_vnd=0,
    received_vnd=0, purpose="", external_id=None, status="open", is_late=False,
    created_by=new_id(), created_at=NOON, expires_at=NOON + timedelta(minutes=15),
    monitor_until=NOON + timedelta(days=1), paid_at=None, cancelled_at=None,
)  # fmt: skip


@pytest.mark.parametrize(
    ("status", "amount_vnd", "paid_vnd", "asked_vnd"),
    [
        ("open", 50_000, 0, 50_000),
        ("part_paid", 50_000, 49_999, 1),
        ("expired", 50_000, 20_000, 30_000),
        ("open", None, 0, None),
    ],
)
def test_the_code_asks_for_what_is_still_owed(
    status: str, amount_vnd: int | None, paid_vnd: int, asked_vnd: int | None
) -> None:
    bill = replace(BILL, status=status, amount_vnd=amount_vnd, paid_vnd=paid_vnd)

    assert bill.code_amount_vnd == asked_vnd
    assert parse(bill.vietqr).amount_vnd == asked_vnd


@pytest.mark.parametrize("status", ["paid", "over_paid", "cancelled"])
def test_a_bill_that_is_settled_or_cancelled_asks_for_nothing(status: str) -> None:
    paid = replace(BILL, status=status, paid_vnd=50_000)

    with pytest.raises(BillNotPayable):
        _ = paid.code_amount_vnd
    assert not hasattr(paid, "missing_vnd")  # it answered with the whole amount
