"""The page of tax exports: a month is asked for, and columns are saved or refused."""

import re

import pytest

from core.ids import new_id
from parking.tax_exports.rules import FACTS
from tests.api.manage.parking.conftest import Managed
from tests.world.pages import text_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PATH = "/manage/tax-exports"


async def test_a_month_is_asked_for_once_however_often_its_form_is_sent(managed: Managed) -> None:
    page = (await managed.browser.get(PATH)).text
    assert "chưa phải mẫu 01/TTGD" in page
    form = {
        "seller": re.search(r'<option value="([0-9a-f-]{36})"', page)[1],  # type: ignore[index]
        "month": re.search(r'<option value="(\d{4}-\d{2})"', page)[1],  # type: ignore[index]
        "format": "xlsx",
        "form_id": str(new_id()),
    }

    for _ in range(2):
        answer = await managed.browser.post(PATH, data=form)
        assert answer.status_code == 303, answer.text

    shown = text_of(await managed.browser.get(PATH))
    assert shown.count("Đang chờ") == 1
    assert "Đang chờ" not in text_of(await managed.browser.get(PATH, params={"lang": "en"}))
    late = await managed.browser.post(PATH, data=form | {"month": "2099-01"})
    assert late.status_code == 422
    assert "Chọn một tháng đã kết thúc." in text_of(late)


async def test_columns_are_saved_in_their_places_and_wrong_ones_are_shown_again(
    managed: Managed,
) -> None:
    form = {f"place_{fact}": "" for fact in FACTS} | {f"head_{fact}": "" for fact in FACTS}
    for place, fact in enumerate(("amount_vnd", "sold_at", "transaction"), 1):
        form |= {f"place_{fact}": str(place), f"head_{fact}": f"Cột {place}"}

    saved = await managed.browser.post(f"{PATH}/columns", data=form)

    assert saved.status_code == 303, saved.text
    layout = (await managed.browser.get("/v1/tax-export-layout")).json()
    assert [one["fact"] for one in layout["columns"]] == ["amount_vnd", "sold_at", "transaction"]
    for wrong in ({"place_amount_vnd": ""}, {"head_sold_at": ""}, {"place_sold_at": "x"}):
        answer = await managed.browser.post(f"{PATH}/columns", data=form | wrong)
        assert answer.status_code == 422
        assert "Mỗi cột cần số thứ tự và tên" in text_of(answer)
