"""Breaks over HTTP: owners, notes, files, decisions by two people, bulk, and lists by filters."""

from typing import Any

import httpx
import pytest

from core.clock import hanoi_day, read_clock
from core.ids import new_id
from payments.breaks.rules import FILE_BYTES_MAX, FILES_MAX
from tests.world.breaks import REASON
from tests.world.constants import PASSWORD
from tests.world.markets import Market
from tests.world.stalls import a_payable_stall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

PDF = b"%PDF-1.7\n%%EOF\n"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


async def a_break(market: Market, who: httpx.AsyncClient) -> dict[str, Any]:
    """Let a bill be paid twice, and return what asks for the second payment's return."""
    bill = await market.add_bill()
    for _ in range(2):
        await market.pay(bill)
    found: dict[str, Any] = (await who.get("/v1/breaks", params={"is_open": True})).json()[
        "breaks"
    ][0]
    assert found["kind"] == "refund_due"
    return found


async def propose(who: httpx.AsyncClient, break_id: str, **facts: Any) -> httpx.Response:
    body = {"id": str(new_id()), "action": "write_off", "amount_vnd": 20_000, "reason": REASON}
    return await who.post(f"/v1/breaks/{break_id}/decisions", json=body | facts)


async def test_a_decision_takes_two_people_and_is_undone_by_two(market: Market) -> None:
    finance, approver = (
        await market.staff("phuong", "finance"),
        await market.staff("duyet", "approver"),
    )
    one = await a_break(market, finance)
    assert (one["type"], one["may_decide"], one["is_overdue"]) == (
        "over",
        ["correct", "write_off"],
        False,
    )
    facts = {"id": str(new_id())}
    for _ in range(2):  # the same id is one decision
        made = await propose(finance, one["id"], **facts)
        assert (made.status_code, made.json()["status"]) == (201, "proposed"), made.text
    path = f"/v1/break-decisions/{facts['id']}"
    waiting = (await approver.get("/v1/break-decisions")).json()["decisions"]
    assert [each["id"] for each in waiting] == [facts["id"]]
    held = await finance.post(f"/v1/breaks/{one['id']}/close", json={"resolution": "xong"})
    assert (held.status_code, held.json()["code"]) == (409, "break_held")

    assert (await finance.post(f"{path}/approve", json={})).status_code == 403
    assert (await approver.post(f"{path}/approve", json={})).json()["status"] == "approved"

    story = (await finance.get(f"/v1/breaks/{one['id']}")).json()
    assert (story["resolution"], story["outcome"]) == ("written_off", "decided")
    assert [each["action"] for each in story["history"]] == [
        "break.decision_approved",
        "break.closed",
        "break.decision_proposed",
    ]
    assert {story["people"][each["proposed_by"]] for each in story["decisions"]} == {"Phuong"}

    undo = {"id": str(new_id()), "reason": "nhầm khoản"}
    assert (await finance.post(f"{path}/undo", json=undo)).status_code == 201
    undone = await approver.post(f"/v1/break-decisions/{undo['id']}/approve", json={})
    assert undone.json()["status"] == "approved"
    assert (await finance.get(f"/v1/breaks/{one['id']}")).json()["closed_at"] is None
    assert (await finance.get(path)).json()["undone_at"] is not None


async def test_the_only_person_gives_the_password_again_and_stands_on_a_list(
    market: Market,
) -> None:
    alone = await market.staff("mot-minh", "admin")
    one = await a_break(market, alone)
    decision = (await propose(alone, one["id"])).json()
    path = f"/v1/break-decisions/{decision['id']}"

    for said, status, code in (
        ({}, 403, "decision_needs_another"),
        ({"password": "not this one at all"}, 422, "wrong_password"),
    ):
        refused = await alone.post(f"{path}/approve", json=said)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
    done = (await alone.post(f"{path}/approve", json={"password": PASSWORD})).json()
    assert (done["status"], done["is_decided_alone"]) == ("approved", True)
    assert (await alone.post(f"{path}/review")).json()["code"] == "decision_needs_another"

    approver = await market.staff("duyet", "approver")
    listed = (await approver.get("/v1/break-decisions", params={"to_review": True})).json()
    assert [each["id"] for each in listed["decisions"]] == [decision["id"]]
    assert (await approver.post(f"{path}/review")).json()["reviewed_at"] is not None
    listed = (await approver.get("/v1/break-decisions", params={"to_review": True})).json()
    assert listed["decisions"] == []


async def test_who_is_not_alone_gives_no_password_in_place_of_a_second_person(
    market: Market,
) -> None:
    alone = await market.staff("mot-minh", "admin")
    await market.staff("duyet", "approver")
    one = await a_break(market, alone)
    decision = (await propose(alone, one["id"])).json()

    refused = await alone.post(
        f"/v1/break-decisions/{decision['id']}/approve", json={"password": PASSWORD}
    )

    assert (refused.status_code, refused.json()["code"]) == (403, "decision_needs_another")


@pytest.mark.parametrize(
    ("facts", "status", "code"),
    [
        ({"amount_vnd": 19_999}, 409, "decision_not_possible"),
        ({"action": "undo"}, 422, "invalid_request"),
        ({"action": "correct"}, 422, "invalid_request"),
        ({"action": "correct", "target": "bank"}, 422, "invalid_request"),
        ({"target": "interest"}, 422, "invalid_request"),
        ({"action": "correct", "target": "not_takings"}, 422, "invalid_request"),
        ({"id": "00000000-0000-0000-0000-000000000001"}, 422, "invalid_request"),
        ({"reason": "x" * 501}, 422, "invalid_request"),
    ],
    ids=["amount", "undo", "untargeted", "bank", "target", "payee", "id", "long"],
)
async def test_a_decision_that_cannot_be_is_refused(
    market: Market, facts: dict[str, Any], status: int, code: str
) -> None:
    finance = await market.staff("phuong", "finance")
    one = await a_break(market, finance)

    refused = await propose(finance, one["id"], **facts)

    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text


async def test_a_break_is_taken_once_given_and_let_go(market: Market) -> None:
    finance = await market.staff("phuong", "finance")
    other = await market.staff("tam", "finance")
    one = await a_break(market, finance)
    me, them = [(await who.get("/v1/me")).json()["id"] for who in (finance, other)]
    path = f"/v1/breaks/{one['id']}/owner"

    taken = await finance.post(path, json={"owner_id": me, "is_taken_free": True})
    assert taken.json()["owner_id"] == me
    late = await other.post(path, json={"owner_id": them, "is_taken_free": True})
    assert (late.status_code, late.json()["code"]) == (409, "break_owned")
    for owner, found in (("me", 1), ("none", 0), (me, 1), (them, 0)):
        listed = await finance.get("/v1/breaks", params={"owner": owner})
        assert len(listed.json()["breaks"]) == found, owner
    assert (await other.post(path, json={"owner_id": them})).json()["owner_id"] == them
    for nobody in (str(new_id()), (await market.admin.get("/v1/me")).json()["id"]):
        unknown = await other.post(path, json={"owner_id": nobody})
        assert (unknown.status_code, unknown.json()["code"]) == (404, "break_owner_not_found")
    assert (await other.post(path, json={"owner_id": None})).json()["owner_id"] is None
    await finance.post(f"/v1/breaks/{one['id']}/close", json={"resolution": "xong"})
    assert (await other.post(path, json={"owner_id": them})).json()["code"] == "break_closed"


async def test_notes_are_only_added_and_hide_plates(market: Market) -> None:
    finance = await market.staff("phuong", "finance")
    one = await a_break(market, finance)
    path, note = f"/v1/breaks/{one['id']}/notes", {"id": str(new_id()), "words": "xe 29A-123.45"}

    for _ in range(2):
        written = await finance.post(path, json=note)
        assert written.status_code == 201
        assert "123.45" not in written.text
    taken = await finance.post(path, json=note | {"words": "khác"})
    assert (taken.status_code, taken.json()["code"]) == (409, "break_note_id_taken")

    story = (await finance.get(f"/v1/breaks/{one['id']}")).json()
    assert [each["id"] for each in story["notes"]] == [note["id"]]
    approver = await market.staff("duyet", "approver")
    assert (await approver.post(path, json=note)).status_code == 403


async def test_files_are_what_they_begin_with_and_come_back_as_they_were(market: Market) -> None:
    finance = await market.staff("phuong", "finance")
    one = await a_break(market, finance)
    path = f"/v1/breaks/{one['id']}/files"

    async def send(content: bytes, **query: str) -> httpx.Response:
        params = {"id": str(new_id()), "file_name": "ủy nhiệm chi.pdf", **query}
        return await finance.post(path, params=params, content=content)

    first = await send(PDF, file_name='x".html')
    assert (first.status_code, first.json()["content_type"]) == (201, "application/pdf")
    assert (await send(PDF)).json()["id"] == first.json()["id"]  # the same content is one file
    again = await send(PNG, id=first.json()["id"])
    assert (again.status_code, again.json()["code"]) == (409, "break_file_id_taken")
    got = await finance.get(f"{path}/{first.json()['id']}")
    assert got.content == PDF
    assert got.headers["content-disposition"] == "attachment; filename*=UTF-8''x%22.html"
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["content-type"] == "application/pdf"
    for wrong in (b"<html>", b"", b"%PDF-" + bytes(FILE_BYTES_MAX)):
        refused = await send(wrong)
        code = "break_file_not_taken" if len(wrong) <= FILE_BYTES_MAX else "body_too_large"
        assert refused.json()["code"] in (code, "break_file_not_taken")
    for number in range(FILES_MAX - 1):
        assert (await send(PNG + bytes([number]))).status_code == 201
    full = await send(PNG + b"one more")
    assert (full.status_code, full.json()["code"]) == (409, "break_full")
    till = await market.till.get(f"{path}/{new_id()}")
    assert (till.status_code, till.json()["code"]) == (404, "break_file_not_found")


async def test_many_are_closed_at_once_and_each_answers_for_itself(market: Market) -> None:
    finance = await market.staff("phuong", "finance")
    closed, held, free = [await a_break(market, finance) for _ in range(3)]
    await finance.post(f"/v1/breaks/{closed['id']}/close", json={"resolution": "trước rồi"})
    await propose(finance, held["id"])
    unknown = str(new_id())
    ids = [free["id"], unknown, held["id"], closed["id"]]
    body = {"break_ids": ids, "close": {"resolution": "tiền mặt", "outcome": "received"}}

    done = (await finance.post("/v1/breaks/bulk", json=body)).json()

    assert [(each["break_id"], each["code"]) for each in done["answers"]] == [
        (free["id"], None),
        (unknown, "break_not_found"),
        (held["id"], "break_held"),
        (closed["id"], "break_closed"),
    ]
    assert done["done"] == 1
    story = (await finance.get(f"/v1/breaks/{free['id']}")).json()
    assert (story["resolution"], story["outcome"]) == ("tiền mặt", "received")
    assert (await finance.post("/v1/breaks/bulk", json=body)).json()["done"] == 1  # the same again

    me = (await finance.get("/v1/me")).json()["id"]
    given = {"break_ids": [held["id"]], "owner": {"owner_id": me}}
    assert (await finance.post("/v1/breaks/bulk", json=given)).json()["done"] == 1
    for wrong in (
        {"break_ids": [str(new_id()) for _ in range(201)], "owner": {"owner_id": me}},
        {"break_ids": [held["id"]]},
        {"break_ids": [held["id"]] * 2, "owner": {"owner_id": me}},
        body | {"owner": {"owner_id": me}},
    ):
        assert (await finance.post("/v1/breaks/bulk", json=wrong)).status_code == 422


async def test_the_list_is_held_to_what_is_asked_for(market: Market) -> None:
    finance = await market.staff("phuong", "finance")
    due = await a_break(market, finance)
    short = await market.add_bill()
    await market.pay(short, amount_vnd=15_000)
    reported = await finance.post("/v1/breaks", json={"bill_id": str(short.id)})
    assert (reported.status_code, reported.json()["amount_vnd"]) == (201, 5_000)
    again = await finance.post("/v1/breaks", json={"bill_id": str(short.id)})
    assert again.json()["id"] == reported.json()["id"]
    today = str(hanoi_day(read_clock()))
    both, neither = {due["id"], reported.json()["id"]}, set[str]()
    account = str(market.stall.account_id)

    for asked, found in (
        ({}, both),
        ({"type": "short"}, {reported.json()["id"]}),
        ({"type": "over", "kind": "refund_due"}, {due["id"]}),
        ({"type": "expected"}, neither),
        ({"type": "missing"}, neither),
        ({"is_overdue": True}, neither),
        ({"is_open": True, "receiving_account_id": account}, both),
        ({"is_open": True, "receiving_account_id": str(new_id())}, neither),
        ({"opened_from": today, "opened_to": today}, both),
        ({"opened_from": "2026-01-01", "opened_to": "2026-01-31"}, neither),
        ({"is_open": True, "find": short.reference[2:9].lower()}, {reported.json()["id"]}),
        ({"is_open": True, "find": "%"}, neither),
        ({"is_open": False}, neither),
    ):
        answer = await finance.get("/v1/breaks", params={**asked})
        assert answer.status_code == 200, answer.text
        assert {each["id"] for each in answer.json()["breaks"]} == found, asked
    first = (await finance.get("/v1/breaks", params={"limit": 1})).json()
    rest = await finance.get("/v1/breaks", params={"cursor": first["next_cursor"]})
    assert {each["id"] for each in first["breaks"] + rest.json()["breaks"]} == both


@pytest.mark.parametrize(
    "asked",
    [
        {"find": "x"},
        {"receiving_account_id": str(new_id()), "is_open": False},
        {"opened_from": "2026-01-01"},
        {"opened_from": "2026-01-01", "opened_to": "2026-02-01"},
        {"opened_from": "2026-01-02", "opened_to": "2026-01-01"},
        {"owner": "everybody"},
        {"type": "odd"},
    ],
    ids=["find", "account", "half", "long", "back", "owner", "type"],
)
async def test_a_list_that_would_read_a_whole_history_is_refused(
    market: Market, asked: dict[str, Any]
) -> None:
    assert (await market.till.get("/v1/breaks", params=asked)).status_code == 422


async def test_a_neighbour_finds_nothing_of_it(market: Market) -> None:
    finance = await market.staff("phuong", "finance")
    one = await a_break(market, finance)
    decision = (await propose(finance, one["id"])).json()
    theirs = await a_payable_stall(market.database, code="QQQQ")
    elsewhere = {"org": theirs.org.code}

    for method, path in (
        ("GET", f"/v1/breaks/{one['id']}"),
        ("GET", f"/v1/break-decisions/{decision['id']}"),
        ("POST", f"/v1/break-decisions/{decision['id']}/approve"),
        ("POST", f"/v1/break-decisions/{decision['id']}/refuse"),
    ):
        body = {"json": {"reason": "x"} if path.endswith("refuse") else {}}
        answer = await market.admin.request(
            method, path, params=elsewhere, **({} if method == "GET" else body)
        )
        assert answer.status_code == 404, path
    listed = await market.admin.get("/v1/breaks", params=elsewhere)
    assert listed.json()["breaks"] == []
