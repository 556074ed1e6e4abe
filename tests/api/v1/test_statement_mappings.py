"""Columns given by hand: for one file, saved for an account, used by themselves, and removed."""
# ruff: noqa: F811 (fixtures of another file)

import asyncio
from typing import Any

import httpx
import pytest

from core.db import Database
from core.ids import new_id
from payments.statements.rules import MAPPINGS_MAX
from tests.api.v1.test_statements import (
    D1,
    D2,
    TODAY,
    accept,
    clerk,  # noqa: F401 (a fixture)
    file_of,
    read,
    rows,
    send,
    wait_for_job,
    worker,  # noqa: F401 (a fixture)
)
from tests.world.cities import add_market
from tests.world.markets import Market

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

STRANGE = "Ngày giờ,Mã,Ra,Vào,Còn lại,Lời nhắn"
BY_HAND = {
    "A": "booked_on", "B": "reference", "C": "debit", "D": "credit", "E": "balance", "F": "memo"
}  # fmt: skip
HEADING_ROW = 5


def strange_file(market: Market, *lines: Any, **facts: Any) -> bytes:
    """Write a file of the stall's account whose headings no bank is known to write."""
    content = file_of(market, *lines, **facts).decode()
    known = content.splitlines()[HEADING_ROW - 1]
    return content.replace(known, STRANGE).encode()


def by_hand(market: Market, **facts: Any) -> dict[str, Any]:
    """Ask for a file to be read by columns given by hand."""
    mapping = {"columns": BY_HAND, "first_row": HEADING_ROW + 1}
    account = str(market.stall.account_id)
    return {"id": str(new_id()), "receiving_account_id": account, "mapping": mapping, **facts}


async def read_again(
    market: Market, clerk: httpx.AsyncClient, statement: Any, body: dict[str, Any]
) -> Any:
    answer = await clerk.post(f"/v1/statements/{statement['id']}/read-again", json=body)
    assert answer.status_code == 201, answer.text
    return await wait_for_job(market, clerk, answer.json())


async def test_a_file_with_unknown_headings_is_mapped_by_hand_and_the_next_one_by_itself(
    market: Market,
    clerk: httpx.AsyncClient,
    worker: None,
    owner_database: Database,
) -> None:
    unread = await read(market, clerk, strange_file(market, (D1, 20_000), (D1, -4_000)))
    assert (unread["status"], unread["problems"][0]["code"]) == ("refused", "no_header")
    assert unread["receiving_account_id"] == str(market.stall.account_id)  # a label named it

    body = by_hand(market, is_saved=True)
    mapped = await read_again(market, clerk, unread, body)

    assert (mapped["id"], mapped["status"], mapped["line_count"]) == (body["id"], "staged", 2)
    assert (mapped["mapping"]["columns"], mapped["is_mapping_saved"]) == (BY_HAND, False)
    old = (await clerk.get(f"/v1/statements/{unread['id']}")).json()
    assert old["status"] == "discarded"
    again = await clerk.post(f"/v1/statements/{unread['id']}/read-again", json=body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.json()["id"] == mapped["id"]
    await accept(market, clerk, mapped)

    # Another line of address above the table, and the heading in capital letters.
    later = strange_file(market, (D2, 7_000), opening_vnd=1_016_000).decode()
    later = "Chi nhánh Chợ Đầm,\n" + later.replace(STRANGE, STRANGE.upper())
    by_itself = await read(market, clerk, later.encode())
    assert (by_itself["status"], by_itself["is_mapping_saved"]) == ("staged", True)
    assert by_itself["mapping"]["first_row"] == HEADING_ROW + 2
    await accept(market, clerk, by_itself)
    assert len(await rows(owner_database, "SELECT 1 FROM statement_lines")) == 3

    [saved] = (await clerk.get("/v1/statement-mappings")).json()["mappings"]
    assert saved["headings"] == STRANGE.split(",")
    gone = await clerk.delete(f"/v1/statement-mappings/{saved['id']}")
    twice = await clerk.delete(f"/v1/statement-mappings/{saved['id']}")
    assert (gone.status_code, twice.status_code) == (204, 404)
    unread = await read(market, clerk, strange_file(market, (TODAY, 9_000), opening_vnd=1_023_000))
    assert unread["problems"][0]["code"] == "no_header"


async def test_columns_may_come_with_the_file(
    market: Market,
    clerk: httpx.AsyncClient,
    worker: None,
) -> None:
    columns = ",".join(f"{name}={meaning}" for name, meaning in BY_HAND.items())
    content = strange_file(market, (D1, 20_000))

    statement = await read(market, clerk, content, columns=columns, first_row=HEADING_ROW + 1)

    assert (statement["status"], statement["line_count"]) == ("staged", 1)
    no_day = await send(clerk, content + b"\n", columns="C=debit,D=credit")
    assert (no_day.status_code, no_day.json()["code"]) == (422, "statement_unreadable")


async def test_a_saved_mapping_says_what_separates_thousands_and_is_another_accounts_never(
    market: Market,
    clerk: httpx.AsyncClient,
    worker: None,
) -> None:
    body = {
        "receiving_account_id": str(market.stall.account_id),
        "headings": STRANGE.split(","),
        "columns": BY_HAND,
        "thousands_separator": ".",
    }
    first = await clerk.put("/v1/statement-mappings", json=body)
    same = await clerk.put("/v1/statement-mappings", json=body)
    assert (first.status_code, first.json()["id"]) == (200, same.json()["id"])
    ambiguous = strange_file(market, (D1, 20_000)).replace(b",20000,1020000,", b",20.000,,")

    statement = await read(
        market, clerk, ambiguous.replace(b"\xe1\xbb\xb3,1020000", b"\xe1\xbb\xb3,")
    )
    other = ambiguous.replace(market.stall.account_number.encode(), b"9988776655")
    foreign = await read(market, clerk, other)

    assert statement["is_mapping_saved"], statement
    assert statement["in_vnd"] == 20_000
    assert (foreign["is_mapping_saved"], foreign["problems"][0]["code"]) == (False, "no_header")


async def test_a_mapping_is_kept_only_where_headings_can_find_it_again(
    market: Market,
    clerk: httpx.AsyncClient,
    worker: None,
) -> None:
    unread = await read(market, clerk, strange_file(market, (D1, 20_000)))
    body = by_hand(market, is_saved=True)
    body["mapping"]["first_row"] = 1
    path = f"/v1/statements/{unread['id']}/read-again"

    refused = await clerk.post(path, json=body)
    whose = await clerk.post(path, json=body | {"receiving_account_id": None})
    assert (whose.status_code, whose.json()["code"]) == (422, "invalid_request")
    unknown = await clerk.put(
        "/v1/statement-mappings",
        json={"receiving_account_id": str(new_id()), "headings": ["A"], "columns": BY_HAND},
    )

    assert (refused.status_code, refused.json()["code"]) == (422, "statement_headings_missing")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "receiving_account_not_found")
    assert (await clerk.get(f"/v1/statements/{unread['id']}")).json()["status"] == "refused"
    for number in range(MAPPINGS_MAX + 1):
        last = await clerk.put(
            "/v1/statement-mappings",
            json={
                "receiving_account_id": str(market.stall.account_id),
                "headings": [f"Cột {number}"],
                "columns": BY_HAND,
            },
        )
        assert last.status_code == (200 if number < MAPPINGS_MAX else 409), last.text
    assert last.json()["code"] == "statement_mappings_full"


async def test_two_who_have_one_file_read_anew_at_once_make_one_statement(
    market: Market,
    clerk: httpx.AsyncClient,
    worker: None,
    owner_database: Database,
) -> None:
    unread = await read(market, clerk, strange_file(market, (D1, 20_000)))
    path = f"/v1/statements/{unread['id']}/read-again"
    body = by_hand(market)

    same = await asyncio.gather(*[clerk.post(path, json=body) for _ in range(3)])
    other = await clerk.post(path, json=by_hand(market))

    assert [one.status_code for one in same] == [201, 201, 201]
    assert {one.json()["id"] for one in same} == {body["id"]}
    assert (other.status_code, other.json()["code"]) == (409, "statement_file_known")
    assert await rows(owner_database, "SELECT count(*) FROM statements") == [(2,)]
    await wait_for_job(market, clerk, same[0].json())


async def test_an_accepted_statement_is_not_read_anew(
    market: Market,
    clerk: httpx.AsyncClient,
    worker: None,
) -> None:
    accepted = await accept(market, clerk, await read(market, clerk, file_of(market, (D1, 1_000))))

    refused = await clerk.post(f"/v1/statements/{accepted['id']}/read-again", json=by_hand(market))

    assert (refused.status_code, refused.json()["code"]) == (409, "statement_not_discardable")


async def test_another_organisations_mappings_and_files_are_out_of_reach(
    market: Market,
    clerk: httpx.AsyncClient,
    worker: None,
) -> None:
    unread = await read(market, clerk, strange_file(market, (D1, 20_000)))
    await add_market(market.admin)
    elsewhere = {"org": "DXA2"}

    again = await market.admin.post(
        f"/v1/statements/{unread['id']}/read-again", json=by_hand(market), params=elsewhere
    )

    assert (again.status_code, again.json()["code"]) == (404, "statement_not_found")
    seller = await market.till.put("/v1/statement-mappings", json={})
    assert seller.status_code == 403
