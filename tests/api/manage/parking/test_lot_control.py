"""The page where a lot is controlled: figures, a recount, and the list of recounts."""

import pytest

from core.ids import new_id
from tests.api.manage.parking.conftest import Managed
from tests.world.pages import submit, text_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def test_an_inspector_counts_on_the_page_and_sees_the_difference(managed: Managed) -> None:
    browser, gate = managed.browser, managed.gate
    entry = {"id": str(new_id()), "vehicle_class": "motorbike", "plate": "29AA12345"}
    entered = await gate.attendant.post(f"/v1/lots/{gate.lot.id}/entries", json=entry)
    assert entered.status_code == 201
    lot = await browser.get(managed.lot_path)
    assert f"{managed.lot_path}/control" in lot.text
    shown = await browser.get(f"{managed.lot_path}/control")
    assert "Lượt vào không có ảnh" in text_of(shown)
    assert "Chưa có lần đếm nào" in text_of(shown)
    recount_id = shown.text.partition('name="recount_id" value="')[2].partition('"')[0]
    form = {"recount_id": recount_id, "counted_motorbike": "4", "counted_car": "0", "note": "Tối"}

    for _ in range(2):
        _, counted = await submit(browser, f"{managed.lot_path}/recounts", form)

    assert text_of(counted).count("Lệch 3") == 1
    assert "đếm 4, hệ thống 1" in text_of(counted)
    for typed in ("vài xe", "-1", "100001", "", "0" * 9 + "9" * 5_000):
        wrong = form | {"recount_id": str(new_id()), "counted_car": typed}
        refused = await browser.post(f"{managed.lot_path}/recounts", data=wrong)
        assert (refused.status_code, "Ghi số xe" in text_of(refused)) == (422, True), typed[:20]
