"""The manager's tariffs: written in a form, looked at, published, and taken back."""

import html
import json
import re
from datetime import timedelta
from typing import Any

import httpx
import pytest

from core.clock import hanoi_day, read_clock
from tests.api.manage.parking.conftest import Managed
from tests.world.pages import as_reader, submit, text_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SELLER = {"seller_name": "Bãi xe", "seller_address": "Hà Nội", "seller_tax_code": "0100108688"}
HIDDEN = re.compile(r'name="document" value="([^"]*)"')


def fields(**facts: Any) -> dict[str, Any]:
    """The editor's fields of a tariff: motorbikes 5.000 ₫ a visit from today on."""
    return {
        "name": "Xe máy theo lượt",
        "legal_basis": "QĐ 44/2017/QĐ-UBND",
        "valid_from_on": hanoi_day(read_clock()).isoformat(),
        "payment_timing": "payOnEntry",
        "lost_ticket_rule": "added",
        "is_verified": "yes",
        "g0_shape": "per_visit",
        "g0_classes": ["motorbike"],
        "g0_s0_vnd": "5.000",
        **SELLER,
        **facts,
    }


async def add_tariff(managed: Managed, start: str = "blank") -> str:
    path, _ = await submit(managed.browser, "/manage/tariffs", {"name": "Giá thử", "start": start})
    return path


async def preview(managed: Managed, path: str, form: dict[str, Any]) -> dict[str, Any]:
    """Send the form, and return the document that the preview would publish."""
    answer = await managed.browser.post(path, data={**form, "do": "preview"})
    assert answer.status_code == 200, text_of(answer)
    document: dict[str, Any] = json.loads(html.unescape(HIDDEN.findall(answer.text)[0]))
    return document


async def test_a_tariff_is_written_looked_at_published_and_taken_by_a_lot(
    managed: Managed,
) -> None:
    path = await add_tariff(managed)
    document = await preview(managed, path, fields())
    before = await managed.browser.get(path.removesuffix("/edit"))
    assert "Chưa có bản nào" in text_of(before)

    page_path, page = await submit(
        managed.browser, path, {"do": "publish", "document": json.dumps(document)}
    )
    _, taken = await submit(
        managed.browser, f"{page_path}/lots", {"lot_id": str(managed.gate.lot.id)}
    )

    assert "Đang áp dụng" in text_of(page)
    assert "5.000 ₫" in text_of(page)
    assert "Bãi xe Trần Quang Khải" in text_of(taken)
    lot = await managed.gate.manager.get(f"/v1/lots/{managed.gate.lot.id}/tariffs")
    assert [one["standing"] for one in lot.json()["tariffs"]] == ["in_force"]


@pytest.mark.parametrize(
    ("group", "line", "cap_vnd"),
    [
        (
            {"g0_shape": "blocks", "g0_s0_block": "1:30", "g0_s0_vnd": "20.000", "g0_cap": "90000"},
            {"type": "incrementingRate", "increment_minutes": 90, "value_vnd": 20_000},
            90_000,
        ),
        (
            {
                "g0_shape": "day_night",
                "g0_day_from": "06:00",
                "g0_night_from": "18:00",
                "g0_s0_vnd": "5000",
                "g0_s1_vnd": "8 000 ₫",
                "g0_cap": "12.000",
            },
            {"type": "flatRate", "window": "06:00-18:00", "value_vnd": 5_000},
            12_000,
        ),
        (
            {
                "g0_shape": "ladder",
                "g0_s0_until": "2",
                "g0_s0_block": "1",
                "g0_s0_vnd": "25.000",
                "g0_s1_until": "",
                "g0_s1_block": "0:30",
                "g0_s1_vnd": "45.000",
            },
            {
                "type": "incrementingRate",
                "duration_end_minutes": 120,
                "increment_minutes": 60,
                "value_vnd": 25_000,
            },
            None,
        ),
    ],
)
async def test_the_common_shapes_are_written_by_their_fields(
    managed: Managed, group: dict[str, str], line: dict[str, Any], cap_vnd: int | None
) -> None:
    path = await add_tariff(managed)

    document = await preview(managed, path, fields(**group))

    [collection] = document["rate_tables"][0]["rate_line_collections"]
    assert collection["rate_lines"][0] == line
    assert collection.get("max_value_vnd") == cap_vnd


async def test_faults_stand_at_their_fields_and_what_was_typed_stays(managed: Managed) -> None:
    path = await add_tariff(managed)
    ladder = {
        "g0_shape": "ladder",
        "g0_s0_until": "hai",
        "g0_s0_block": "1",
        "g0_s0_vnd": "nhiều",
        "g0_s1_until": "",
        "g0_s1_block": "1",
        "g0_s1_vnd": "45000",
    }

    answer = await managed.browser.post(
        path, data=fields(legal_basis="", seller_tax_code="12", do="preview", **ladder)
    )

    assert answer.status_code == 422
    for name in ("legal_basis", "seller_tax_code", "g0_s0_until", "g0_s0_vnd"):
        assert f'id="{name}-error"' in answer.text, name
    assert 'value="hai"' in answer.text
    assert 'value="nhiều"' in answer.text
    assert "Mã số thuế có 10 số" in text_of(answer)


async def test_faults_of_the_whole_document_are_listed_with_their_paths(managed: Managed) -> None:
    path = await add_tariff(managed)
    document = await preview(managed, path, fields())
    document["rate_tables"][0]["rate_line_collections"][0]["rate_lines"][0]["colour"] = 1
    document["legal_basis"] = 7

    answer = await managed.browser.post(
        path, data={"do": "preview", "document": json.dumps(document)}
    )

    assert answer.status_code == 422
    assert "rate_tables[0].rate_line_collections[0].rate_lines[0].colour" in answer.text
    assert '"legal_basis": 7' in html.unescape(answer.text)
    unreadable = await managed.browser.post(path, data={"do": "preview", "document": "{no"})
    assert unreadable.status_code == 422
    assert "{no" in html.unescape(unreadable.text)


async def test_a_sample_starts_the_form_and_keeps_what_the_form_cannot_hold(
    managed: Managed,
) -> None:
    path, page = await submit(
        managed.browser,
        "/manage/tariffs",
        {"name": "Qua đêm", "start": "sample:hn-iparking-overnight"},
    )

    assert "Nhóm này có quy tắc riêng" in text_of(page)
    tomorrow = (hanoi_day(read_clock()) + timedelta(days=1)).isoformat()
    assert f'value="{tomorrow}"' in page.text
    as_text = await managed.browser.post(path, data=fields_of(page) | {"do": "document"})
    assert "Qua đêm, tối đa 6 lượt" in html.unescape(as_text.text)


async def test_buttons_add_and_remove_vehicles_and_steps(managed: Managed) -> None:
    path = await add_tariff(managed)

    more = await managed.browser.post(path, data=fields(do="add_group"))
    assert more.text.count('id="g1_group"') == 1
    ladder = fields(g0_shape="ladder", g0_s0_block="1", g0_s0_vnd="5000", do="add_step:0")
    step = await managed.browser.post(path, data=ladder)
    assert 'name="g0_s1_vnd"' in step.text
    for wish in ("add_step:9", "drop_group:7", "drop_step:x", "add_step:", "nonsense"):
        answer = await managed.browser.post(path, data=fields(do=wish))
        assert answer.status_code == 200, wish


async def test_a_version_ahead_is_withdrawn_and_one_in_force_is_not(managed: Managed) -> None:
    path = await add_tariff(managed)
    tomorrow = (hanoi_day(read_clock()) + timedelta(days=1)).isoformat()
    for day in (hanoi_day(read_clock()).isoformat(), tomorrow):
        document = await preview(managed, path, fields(valid_from_on=day))
        page_path, page = await submit(
            managed.browser, path, {"do": "publish", "document": json.dumps(document)}
        )
    [withdraw] = re.findall(r'action="([^"]+/versions/[^"]+/withdraw)"', page.text)

    _, after = await submit(managed.browser, withdraw, {"reason": "sai giá"})

    assert "Đã rút" in text_of(after)
    assert "sai giá" in text_of(await managed.browser.get("/manage/audit"))
    versions = (await managed.gate.manager.get(f"/v1{page_path[7:]}")).json()["versions"]
    holds = next(one["id"] for one in versions if one["standing"] == "in_force")
    kept = await managed.browser.post(f"{page_path}/versions/{holds}/withdraw")
    assert kept.status_code == 422
    assert "đã có hiệu lực nên không rút được" in text_of(kept)


async def test_a_form_sent_twice_publishes_one_version(managed: Managed) -> None:
    path = await add_tariff(managed)
    answer = await managed.browser.post(path, data=fields(do="preview"))
    form = fields_of(answer) | {"do": "publish"}

    for _ in range(2):
        page_path, _ = await submit(managed.browser, path, form)

    tariff = await managed.gate.manager.get(f"/v1{page_path[7:]}")
    assert len(tariff.json()["versions"]) == 1


async def test_finance_reads_prices_and_publishes_none(managed: Managed) -> None:
    path = await add_tariff(managed)
    finance = as_reader(await managed.gate.staff("ke.toan", "finance"))

    assert (await finance.get(path.removesuffix("/edit"))).status_code == 200
    assert (await finance.get(path)).status_code == 403
    assert (await finance.post(path, data=fields(do="publish"))).status_code == 403


async def test_an_english_reader_gets_english_words(managed: Managed) -> None:
    path = await add_tariff(managed)
    start = {"start": "sample:hn-dong-da-cars", "lang": "en"}
    page = await managed.browser.get(path, params=start)
    assert "Ladder by the hour" in text_of(page)
    assert 'value="Cars, Đống Đa"' in page.text


def fields_of(page: httpx.Response) -> dict[str, Any]:
    """Return the hidden and filled-in fields of a page's forms, as a browser would send them."""
    found: dict[str, Any] = {}
    for tag in re.findall(r"<input\b[^>]*>", page.text):
        facts = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if facts.get("type") == "checkbox":
            if " checked" in tag:
                found.setdefault(facts["name"], []).append(html.unescape(facts["value"]))
        elif "name" in facts:
            found[facts["name"]] = html.unescape(facts.get("value", ""))
    for name, options in re.findall(
        r'<select[^>]*name="(\w+)"[^>]*>(.*?)</select>', page.text, re.S
    ):
        chosen = re.findall(r'value="([^"]*)" selected', options)
        found[name] = chosen[0] if chosen else ""
    return found
