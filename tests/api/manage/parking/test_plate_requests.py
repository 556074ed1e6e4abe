"""A person's request about their vehicle: what is held, and what is erased of it."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from core.audit import list_changes
from core.clock import read_clock
from core.tenancy import open_org_transaction
from tests.api.manage.parking.conftest import Managed
from tests.world.pages import as_reader, text_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PATH = "/manage/plate-requests"
ASKED = {"plate": "29AA 123.45", "proof": "giấy đăng ký xe, căn cước"}


async def left_days_ago(managed: Managed, session_id: str, days: int, *, arrears: int = 0) -> None:
    """Let a stay have ended some days ago, with a price and photos."""
    lot = managed.gate.lot
    async with open_org_transaction(managed.gate.hub.services.database, lot.org.id) as tx:
        await tx.execute(
            text("""
                UPDATE parking_sessions SET status = 'left', left_at = :left, price_vnd = 5000,
                       paid_vnd = 5000, arrears_vnd = :arrears, entry_photo = :photo
                WHERE id = :id
            """),
            {
                "left": read_clock() - timedelta(days=days),
                "arrears": arrears,
                "photo": b"\x01" * 32,
                "id": session_id,
            },
        )
        await tx.execute(text("DELETE FROM inside WHERE session_id = :id"), {"id": session_id})


async def a_stay(managed: Managed, days: int | None, **facts: int) -> str:
    body = managed.gate.body(plate="29AA12345")
    answer = await managed.gate.attendant.post(managed.gate.entries_path, json=body)
    assert answer.status_code == 201, answer.text
    if days is not None:
        await left_days_ago(managed, body["id"], days, **facts)
    return str(body["id"])


async def rows_with_plate(managed: Managed) -> dict[str, int]:
    lot = managed.gate.lot
    async with open_org_transaction(managed.gate.hub.services.database, lot.org.id) as tx:
        return {
            table: await tx.scalar(text(f"SELECT count(*) FROM {table} WHERE plate = '29AA12345'"))
            for table in ("parking_sessions", "observations")
        }


async def test_what_is_held_is_listed_with_why_it_is_kept(managed: Managed) -> None:
    await a_stay(managed, 100)
    await a_stay(managed, 100, arrears=5_000)
    await a_stay(managed, 3)
    await a_stay(managed, None)

    said = text_of(await managed.browser.post(PATH, data=ASKED))

    for words in ("còn nợ tiền gửi", "giữ 30 ngày", "xe chưa ra", "Xóa được"):
        assert words in said, words
    assert "Xóa biển số và ảnh của 1 lượt" in said


async def test_erasure_takes_plates_and_photos_and_leaves_the_figures(managed: Managed) -> None:
    old = await a_stay(managed, 100)
    await a_stay(managed, 3)

    said = text_of(await managed.browser.post(PATH, data={**ASKED, "do": "erase"}))

    assert "Đã xóa biển số và ảnh của 1 lượt" in said
    assert await rows_with_plate(managed) == {"parking_sessions": 1, "observations": 1}
    lot = managed.gate.lot
    async with open_org_transaction(managed.gate.hub.services.database, lot.org.id) as tx:
        row = (
            await tx.execute(
                text(
                    "SELECT plate, entry_photo, price_vnd, paid_vnd FROM parking_sessions"
                    " WHERE id = :id"
                ),
                {"id": old},
            )
        ).one()
    assert tuple(row) == (None, None, 5_000, 5_000)


async def test_a_stay_whose_plate_was_corrected_is_listed_and_loses_the_old_reading(
    managed: Managed,
) -> None:
    old = await a_stay(managed, None)
    correct = {"plate": "29AA54321", "vehicle_class": "motorbike", "reason": "gõ nhầm"}
    path = f"/v1/parking-sessions/{old}"
    assert (await managed.gate.manager.patch(path, json=correct)).status_code == 200
    await left_days_ago(managed, old, 100)

    said = text_of(await managed.browser.post(PATH, data=ASKED))
    assert "Đã sửa sang biển số khác" in said
    await managed.browser.post(PATH, data={**ASKED, "do": "erase"})

    assert await rows_with_plate(managed) == {"parking_sessions": 0, "observations": 0}
    lot = managed.gate.lot
    async with open_org_transaction(managed.gate.hub.services.database, lot.org.id) as tx:
        kept = text("SELECT plate FROM parking_sessions WHERE id = :id")
        assert await tx.scalar(kept, {"id": old}) == "29AA54321"


async def test_each_look_and_erasure_is_audited_with_the_proof_and_no_whole_plate(
    managed: Managed,
) -> None:
    await a_stay(managed, 100)
    await managed.browser.post(PATH, data={**ASKED, "do": "erase"})

    lot = managed.gate.lot
    async with open_org_transaction(managed.gate.hub.services.database, lot.org.id) as tx:
        rows = [
            one
            for one in await list_changes(tx, lot.org.id, limit=50)
            if one.action.startswith("plate_data.")
        ]
    assert {one.action for one in rows} == {"plate_data.read", "plate_data.erased"}
    assert {one.reason for one in rows} == {ASKED["proof"]}
    assert "12345" not in str([one.after for one in rows])


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"plate": "", "proof": "x"}, "plate"),
        ({"plate": "29AA12345", "proof": " "}, "proof"),
        ({"plate": "!!!", "proof": "x"}, "plate"),
    ],
)
async def test_without_a_plate_or_a_proof_nothing_is_shown(
    managed: Managed, form: dict[str, str], field: str
) -> None:
    answer = await managed.browser.post(PATH, data=form)
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text


async def test_only_who_manages_parking_answers_requests(managed: Managed) -> None:
    finance = as_reader(await managed.gate.staff("ke.toan", "finance"))
    assert (await finance.get(PATH)).status_code == 403
    assert (await finance.post(PATH, data=ASKED)).status_code == 403
