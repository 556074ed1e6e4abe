"""The manager's lots: set up, changed and closed, and the dashboard of a day."""

from datetime import timedelta
from typing import Any

import pytest

from core.clock import hanoi_day, read_clock
from tests.api.manage.parking.conftest import Managed
from tests.world.pages import as_reader, submit, text_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def lot_fields(managed: Managed, **facts: Any) -> dict[str, Any]:
    """The form of a lot of the payee that is there."""
    return {
        "name": "Bãi xe Phủ Doãn",
        "address": "Phủ Doãn, Hà Nội",
        "payee_id": str(managed.gate.lot.payee_id),
        "kind": "sidewalk",
        "payment_timing": "payOnEntry",
        "position": "21.028511, 105.854167",
        "offline_cash_max_vnd": "2.000.000",
        "unconfirmed_exits_max": "20",
        **facts,
    }


async def operator_of(managed: Managed) -> str:
    answer = await managed.gate.manager.get("/v1/parking-operators")
    return str(answer.json()["operators"][0]["id"])


async def test_a_lot_is_set_up_with_its_operator_capacity_lane_and_area(managed: Managed) -> None:
    await submit(
        managed.browser,
        "/manage/lots/operators",
        {
            "operator_name": "Hợp tác xã Phủ Doãn",
            "operator_address": "Hà Nội",
            "operator_tax_code": "0100109106",
        },
    )
    form = lot_fields(managed, operator_id=await operator_of(managed))
    path, page = await submit(managed.browser, "/manage/lots", form)
    assert "Đã thêm bãi xe" in text_of(page)
    base = path.removesuffix("/edit")
    for part, facts in (
        ("capacities", {"vehicle_class": "motorbike", "capacity": "120", "licensed": "100"}),
        ("lanes", {"lane_name": "Cổng 1", "direction": "in"}),
        ("areas", {"area_name": "Dãy A"}),
    ):
        _, page = await submit(managed.browser, f"{base}/{part}", facts)

    lot = (await managed.gate.manager.get(f"/v1{base[7:]}")).json()
    said = text_of(page)

    assert (lot["latitude_e6"], lot["longitude_e6"]) == (21_028_511, 105_854_167)
    assert lot["payment_timing"] == "payOnEntry"
    assert "Cổng 1" in said
    assert "Dãy A" in said
    assert 'value="120"' in page.text
    assert "0 / 120" in text_of(await managed.browser.get("/manage/lots"))


async def test_a_form_sent_twice_makes_one_lot_lane_and_operator(managed: Managed) -> None:
    once = {"form_id": "01937c2e-7b1a-7c55-8d0e-3f6f0a5b9c11"}
    form = lot_fields(managed, operator_id=await operator_of(managed), **once)
    operator = {"operator_name": "A", "operator_address": "B", "operator_tax_code": "0100109106"}

    paths = {(await submit(managed.browser, "/manage/lots", form))[0] for _ in range(2)}
    for _ in range(2):
        await submit(managed.browser, "/manage/lots/operators", operator | once)
        await submit(managed.browser, f"{managed.lot_path}/lanes", {"lane_name": "Cổng 9", **once})

    assert len(paths) == 1
    lots = (await managed.gate.manager.get("/v1/lots")).json()["lots"]
    assert [one["name"] for one in lots].count("Bãi xe Phủ Doãn") == 1
    operators = (await managed.gate.manager.get("/v1/parking-operators")).json()["operators"]
    assert [one["name"] for one in operators].count("A") == 1
    lanes = await managed.gate.manager.get(f"/v1/lots/{managed.gate.lot.id}/accesses")
    assert [one["name"] for one in lanes.json()["accesses"]].count("Cổng 9") == 1


WRONG_FACTS = [
    ({"name": " "}, "name"),
    ({"position": "hồ Gươm"}, "position"),
    ({"position": "105.854167, 21.028511"}, "position"),
    ({"licence_until": "2026-01-01"}, "licence_number"),
    (
        {"licence_number": "1", "licence_from": "2026-02-01", "licence_until": "2026-01-01"},
        "licence_until",
    ),
    ({"licence_from": "mai"}, "licence_from"),
    ({"operator_id": ""}, "operator_id"),
    ({"offline_cash_max_vnd": "nhiều"}, "offline_cash_max_vnd"),
    ({"unconfirmed_exits_max": "99999999999999999999"}, "unconfirmed_exits_max"),
]


async def test_what_is_wrong_with_a_lot_stands_at_its_field(
    managed: Managed, subtests: pytest.Subtests
) -> None:
    for facts, field in WRONG_FACTS:
        with subtests.test(facts=facts):
            form = lot_fields(managed, operator_id=await operator_of(managed)) | facts

            for path in ("/manage/lots", f"{managed.lot_path}/edit"):
                answer = await managed.browser.post(path, data=form)
                assert answer.status_code == 422
                assert f'id="{field}-error"' in answer.text, path


async def test_a_changed_lot_keeps_what_the_form_shows_and_its_history(managed: Managed) -> None:
    form = lot_fields(
        managed, operator_id=await operator_of(managed), name="Bãi xe mới", position=""
    )

    await submit(managed.browser, f"{managed.lot_path}/edit", form)

    lot = (await managed.gate.manager.get(f"/v1/lots/{managed.gate.lot.id}")).json()
    assert (lot["name"], lot["latitude_e6"]) == ("Bãi xe mới", None)
    assert "Sửa bãi xe" in text_of(await managed.browser.get("/manage/audit"))


@pytest.mark.parametrize(
    ("until_days", "word"),
    [(365, "còn hiệu lực"), (10, "hết hạn"), (-1, "đã hết hạn")],
)
async def test_a_licence_that_ends_is_warned_of(
    managed: Managed, until_days: int, word: str
) -> None:
    until = (hanoi_day(read_clock()) + timedelta(days=until_days)).isoformat()
    await managed.gate.manager.patch(
        f"/v1/lots/{managed.gate.lot.id}", json={"licence_until": until}
    )

    for path in ("/manage/lots", managed.lot_path):
        assert word in text_of(await managed.browser.get(path)), path


async def test_a_closed_lot_says_so_and_takes_no_changes(managed: Managed) -> None:
    path, page = await submit(
        managed.browser, f"{managed.lot_path}/close", {"reason": "hết giấy phép"}
    )

    assert path == managed.lot_path
    assert "Đã đóng" in text_of(page)
    edit = await managed.browser.get(f"{managed.lot_path}/edit")
    assert "Bãi xe này đã đóng" in text_of(edit)
    assert "Bãi xe Trần Quang Khải" not in text_of(await managed.browser.get("/manage/lots"))


async def test_the_dashboard_counts_who_is_inside_and_came_by_the_hour(managed: Managed) -> None:
    for n in range(3):
        await managed.gate.enter(plate=f"29AA1234{n}")

    page = await managed.browser.get(managed.lot_path)
    live = await managed.browser.get(f"{managed.lot_path}/live")

    for answer in (page, live):
        assert "Vào 3, ra 0" in text_of(answer)
        assert 'class="chart-first"' in answer.text
    assert "<html" not in live.text
    assert 'data-every-s="15"' in page.text


async def test_more_vehicles_than_the_licence_allows_are_an_alarm(managed: Managed) -> None:
    path = f"/v1/lots/{managed.gate.lot.id}/capacities/motorbike"
    await managed.gate.manager.put(path, json={"capacity": 10, "licensed_capacity": 1})
    for _ in range(2):
        await managed.gate.enter()

    said = text_of(await managed.browser.get(managed.lot_path))

    assert "Vượt số xe được cấp phép: Xe máy" in said


async def test_a_capacity_that_is_no_number_is_said_beside_it(managed: Managed) -> None:
    for capacity in ("nhiều", "999999999", "٣"):
        answer = await managed.browser.post(
            f"{managed.lot_path}/capacities",
            data={"vehicle_class": "car", "capacity": capacity, "licensed": "1"},
        )
        assert answer.status_code == 422, capacity
        assert 'id="capacity-car-error"' in answer.text


async def test_finance_sees_lots_and_changes_none(managed: Managed) -> None:
    finance = as_reader(await managed.gate.staff("ke.toan", "finance"))

    assert (await finance.get("/manage/lots")).status_code == 200
    assert (await finance.get(managed.lot_path)).status_code == 200
    assert (await finance.get(f"{managed.lot_path}/edit")).status_code == 403
    assert (await finance.post("/manage/lots", data={"name": "x"})).status_code == 403


NO_DAYS = ["x", "2999-01-01", "0001-01-01", "2026-02-30"]


async def test_a_day_that_is_none_shows_today(managed: Managed, subtests: pytest.Subtests) -> None:
    for day in NO_DAYS:
        with subtests.test(day=day):
            answer = await managed.browser.get(managed.lot_path, params={"day": day})
            assert answer.status_code == 200
            assert f'value="{hanoi_day(read_clock()).isoformat()}"' in answer.text
