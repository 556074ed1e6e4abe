"""The manager's parking sessions: found, looked at with their evidence, and taken out as files."""

import csv
import io
import zipfile
from typing import Any

import pytest
from sqlalchemy import text

from core.audit import AuditRow, list_changes
from core.clock import HANOI, hanoi_day, read_clock
from core.ids import new_id
from core.tenancy import open_org_transaction
from tests.api.manage.parking.conftest import Managed
from tests.world.pages import as_reader, text_of

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def enter(managed: Managed, plate: str, **facts: Any) -> str:
    """Let a vehicle in at the lot's gate; return its session's id."""
    body = managed.gate.body(plate=plate, **facts)
    answer = await managed.gate.attendant.post(managed.gate.entries_path, json=body)
    assert answer.status_code == 201, answer.text
    return str(body["id"])


async def rows_of_csv(managed: Managed, **query: str) -> list[dict[str, str]]:
    answer = await managed.browser.get("/manage/stays/export.csv", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))


async def audit_of(managed: Managed, action: str) -> list[AuditRow]:
    database, org_id = managed.gate.hub.services.database, managed.gate.lot.org.id
    async with open_org_transaction(database, org_id) as tx:
        return [one for one in await list_changes(tx, org_id, limit=200) if one.action == action]


FOUND_BY = [
    ({}, ["29AA 123.45", "30F-678.90", "30F-111.11"]),
    ({"vehicle": "car"}, ["30F-678.90", "30F-111.11"]),
    ({"find": "30f 678.90"}, ["30F-678.90"]),
    ({"find": "345"}, ["29AA 123.45"]),
    ({"find": "VE-0007"}, ["30F-111.11"]),
    ({"find": "nothing"}, []),
    ({"state": "inside"}, ["29AA 123.45", "30F-678.90", "30F-111.11"]),
    ({"state": "left"}, []),
    ({"state": "owing"}, []),
    ({"day": "2020-01-01"}, []),
]


async def test_sessions_are_found_by_what_is_asked_for(
    managed: Managed, subtests: pytest.Subtests
) -> None:
    await enter(managed, "29AA12345")
    await enter(managed, "30F67890", vehicle_class="car")
    await enter(managed, "30F11111", vehicle_class="car", ticket="VE-0007")

    for query, plates in FOUND_BY:
        with subtests.test(query=query):
            page = text_of(await managed.browser.get("/manage/stays", params=query))

            for plate in ("29AA 123.45", "30F-678.90", "30F-111.11"):
                assert (plate in page) == (plate in plates), plate
            assert len(await rows_of_csv(managed, **query)) == len(plates)


async def test_a_file_has_masked_plates_unless_whole_ones_are_chosen_and_audited(
    managed: Managed,
) -> None:
    await enter(managed, "29AA12345")

    [masked] = await rows_of_csv(managed)
    assert await audit_of(managed, "parking_sessions.exported") == []
    [whole] = await rows_of_csv(managed, plates="whole", find="29AA12345")

    assert masked["Biển số"] == "29A***45"
    assert whole["Biển số"] == "29AA 123.45"
    [row] = await audit_of(managed, "parking_sessions.exported")
    assert row.actor_name == "Quan.Ly"
    assert "29AA12345" not in str(row.after)


async def test_who_only_reads_parking_gets_no_whole_plates(managed: Managed) -> None:
    await enter(managed, "29AA12345")
    finance = as_reader(await managed.gate.staff("ke.toan", "finance"))

    page = await finance.get("/manage/stays")
    refused = await finance.get("/manage/stays/export.xlsx", params={"plates": "whole"})

    assert "plates=whole" not in page.text
    assert refused.status_code == 403
    assert (await finance.get("/manage/stays/export.xlsx")).status_code == 200


@pytest.mark.parametrize("ticket", ['=HYPERLINK("http://x")', "+1", "-1", "@x"])
async def test_a_ticket_that_looks_like_a_formula_stays_text(managed: Managed, ticket: str) -> None:
    session_id = await enter(managed, "29AA12345", ticket="T1")
    database, org_id = managed.gate.hub.services.database, managed.gate.lot.org.id
    async with open_org_transaction(database, org_id) as tx:
        await tx.execute(
            text("UPDATE parking_sessions SET ticket = :ticket WHERE id = :id"),
            {"ticket": ticket, "id": session_id},
        )

    [row] = await rows_of_csv(managed)
    answer = await managed.browser.get("/manage/stays/export.xlsx")

    assert row["Vé"] == f"'{ticket}"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert "<f>" not in sheet
    assert ticket.replace('"', "&quot;")[:2] in sheet


async def test_money_and_times_of_an_excel_file_are_numbers_and_dates(managed: Managed) -> None:
    await enter(managed, "29AA12345")

    answer = await managed.browser.get("/manage/stays/export.xlsx")

    assert answer.headers["content-type"].endswith("spreadsheetml.sheet")
    today = hanoi_day(read_clock()).isoformat()
    assert f"parking-sessions-{today}-{today}.xlsx" in answer.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(answer.content)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    local = read_clock().astimezone(HANOI)
    excel_day = (local.date() - (local.replace(year=1899, month=12, day=30)).date()).days
    assert f"<v>{excel_day}." in sheet


async def test_a_session_shows_who_when_how_and_its_history(managed: Managed) -> None:
    session_id = await enter(managed, "29AA12345", ticket="VE-0001")

    page = await managed.browser.get(f"/manage/stays/{session_id}")

    said = text_of(page)
    for word in ("29AA 123.45", "VE-0001", "Xe máy", "Trong bãi", "Bao.Ve", "Nhìn và gõ"):
        assert word in said, word
    other = await managed.browser.get("/manage/stays/01937c2e-7b1a-7c55-8d0e-3f6f0a5b9c11")
    assert other.status_code == 404


async def test_a_longer_range_than_a_month_is_shortened_and_said_so(managed: Managed) -> None:
    page = await managed.browser.get(
        "/manage/stays", params={"day": "2026-01-01", "until": "2026-12-31"}
    )

    assert "31 ngày" in text_of(page)
    assert 'value="2026-01-31"' in page.text


UNREADABLE = [
    {"day": "x", "until": "2026-99-99"},
    {"lot": "x", "vehicle": "x", "state": "x"},
    {"find": "%_\\"},
    {"find": "\x00"},
    {"day": "0001-01-01"},
]


async def test_what_cannot_be_read_is_left_out(managed: Managed, subtests: pytest.Subtests) -> None:
    for query in UNREADABLE:
        with subtests.test(query=query):
            for path in ("/manage/stays", "/manage/stays/export.csv", "/manage/stays/export.xlsx"):
                answer = await managed.browser.get(path, params=query)
                assert answer.status_code in (200, 422), (path, answer.text)


async def test_long_lists_go_on_where_the_page_ended(managed: Managed) -> None:
    now = read_clock()
    database, lot = managed.gate.hub.services.database, managed.gate.lot
    ids = [new_id() for _ in range(2345)]
    async with open_org_transaction(database, lot.org.id) as tx:
        await tx.execute(
            text("""
                INSERT INTO parking_sessions (
                    org_id, id, lot_id, vehicle_class, plate, ticket_key, status, entered_at,
                    entry_by, request_hash)
                SELECT :org, id, :lot, 'motorbike', '29AA' || lpad(n::text, 5, '0'),
                       gen_random_uuid(), 'inside', :now, :org, ''
                FROM unnest(CAST(:ids AS uuid[])) WITH ORDINALITY AS made (id, n)
            """),
            {"org": lot.org.id, "lot": lot.id, "ids": ids, "now": now},
        )

    day = hanoi_day(now).isoformat()  # also when midnight passes meanwhile
    first = await managed.browser.get("/manage/stays", params={"day": day})
    rows = await rows_of_csv(managed, day=day)

    assert "before=" in first.text
    assert len({row["Mã lượt"] for row in rows}) == 2345
