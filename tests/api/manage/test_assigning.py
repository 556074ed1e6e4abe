"""The form that assigns money which nothing explains: it chooses nobody by itself."""

import re
from collections.abc import Callable

import pytest

from payments.bills.references import make_reference
from tests.world.markets import Market
from tests.world.pages import let_in, text_of
from tests.world.reads import read_status

pytestmark = pytest.mark.anyio

FORM = re.compile(r'<form[^>]*action="(/manage/breaks/[0-9a-f-]{36}/assign)".*?</form>', re.S)
OPTION = re.compile(r'<option value="([^"]*)"([^>]*)>')


async def test_a_form_that_nobody_filled_in_gives_money_to_nobody(market: Market) -> None:
    """A browser sends the first option of a list where none is selected."""
    finance = await let_in(market, "finance")
    bill = await market.add_bill()
    await market.pay(bill, memo=make_reference("HKXM", 999_999))
    page = await finance.get("/manage/breaks")
    [form] = FORM.finditer(page.text)
    options = OPTION.findall(form[0])
    values = [value for value, _ in options]
    assert values[0] == ""
    assert str(market.stall.payee_id) in values
    assert not any("selected" in attributes for _, attributes in options)

    answer = await finance.post(form[1], data={"payee_id": values[0], "reference": ""})

    assert answer.status_code == 422
    assert "gian hàng" in text_of(answer)
    assert form[1] in (await finance.get("/manage/breaks")).text  # it still waits for a person


SPELLINGS = [
    str,
    str.lower,
    lambda reference: f" {reference[:6]}-{reference[6:10]} {reference[10:]} ",
    lambda reference: f"{reference[:6]}.{reference[6:]}",
    lambda reference: reference.replace("W", "Ư"),
    lambda reference: reference.replace("D", "Ð"),
    lambda reference: "".join(chr(ord(one) + 0xFEE0) for one in reference),  # full-width
]


@pytest.mark.parametrize("spell", SPELLINGS)
async def test_the_reference_of_a_bill_is_read_as_people_write_it(
    market: Market, spell: Callable[[str], str]
) -> None:
    finance = await let_in(market, "finance")
    bill = await market.add_bill(reference=a_reference_with("HKXM", "WD"))
    await market.pay(bill, memo=make_reference("HKXM", 999_999))
    [form] = FORM.finditer((await finance.get("/manage/breaks")).text)

    missing = {"payee_id": "", "reference": spell(make_reference("HKXM", 999_998))}
    assert (await finance.post(form[1], data=missing)).status_code == 422
    answer = await finance.post(form[1], data={"payee_id": "", "reference": spell(bill.reference)})

    assert answer.status_code == 303, text_of(answer)
    assert (await read_status(market.database, market.stall, bill))[0] == "paid"


def a_reference_with(code: str, letters: str) -> str:
    """Return the first reference with all of these letters."""
    references = (make_reference(code, serial) for serial in range(1_000_000, 2_000_000))
    return next(one for one in references if set(letters) <= set(one))
