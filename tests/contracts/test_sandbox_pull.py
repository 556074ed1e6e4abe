"""The sandbox's pull APIs (SePay's and Casso's), and what a restart keeps."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox.settings import Settings
from sandbox.snapshot import FILE_NAME, SnapshotUnreadable, load
from sandbox.world import World
from tests.world.sandboxes import (
    SANDBOX_ACCOUNT,
    SANDBOX_ACCOUNT_KEY,
    a_sandbox,
    book_transfer,
    read_callback_log,
    subscribe,
)
from tests.world.waits import wait_until

LIST = "/userapi/transactions/list"


@pytest.fixture
def sandbox() -> Iterator[httpx.Client]:
    with a_sandbox() as client:
        subscribe(client, "sepay", "", api_key="pull-me")
        client.headers["Authorization"] = "Bearer pull-me"
        yield client


def rows(sandbox: httpx.Client, **filters: Any) -> list[dict[str, Any]]:
    answer = sandbox.get(LIST, params=filters)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["transactions"]
    return found


def test_a_row_has_sepays_fields_and_decimals_as_text(sandbox: httpx.Client) -> None:
    line = book_transfer(sandbox)
    [row] = rows(sandbox)
    assert set(row) == {
        "id", "bank_brand_name", "account_number", "transaction_date", "amount_out", "amount_in",
        "accumulated", "transaction_content", "reference_number", "code", "sub_account",
        "bank_account_id",
    }  # fmt: skip
    assert (row["amount_in"], row["amount_out"], row["accumulated"]) == (
        "20000.00", "0.00", "20000.00",
    )  # fmt: skip
    assert (row["id"], row["reference_number"]) == (str(line["id"]), line["reference"])
    assert row["code"] == "PPMOXA234567K"


def test_filters_narrow_the_list(sandbox: httpx.Client) -> None:
    first, second = book_transfer(sandbox), book_transfer(sandbox, 30_000)
    out = book_transfer(sandbox, 1_000, direction="out")

    def ids(**filters: Any) -> list[int]:
        return [int(row["id"]) for row in rows(sandbox, **filters)]

    assert ids() == [out["id"], second["id"], first["id"]]
    assert ids(limit=1) == [out["id"]]
    assert ids(since_id=second["id"]) == [out["id"], second["id"]]
    assert ids(reference_number=first["reference"]) == [first["id"]]
    assert ids(amount_in="30000") == ids(amount_in="30000.00") == [second["id"]]
    assert ids(amount_out=1_000) == [out["id"]]
    assert ids(account_number="999") == []
    assert ids(transaction_date_min="2020-01-01", transaction_date_max="2020-12-31") == []
    assert len(ids(transaction_date_min="2020-01-01 00:00:00")) == 3
    counted = sandbox.get("/userapi/transactions/count", params={"amount_out": 1_000})
    assert counted.json()["count_transactions"] == 1


def test_one_transaction_by_its_id(sandbox: httpx.Client) -> None:
    line = book_transfer(sandbox)
    shown = sandbox.get(f"/userapi/transactions/details/{line['id']}").json()
    assert shown["transaction"]["reference_number"] == line["reference"]
    assert sandbox.get("/userapi/transactions/details/1").status_code == 404


def test_a_token_sees_its_own_accounts_only(sandbox: httpx.Client) -> None:
    other = {"bin": "970436", "number": "777", "holder": "HO KINH DOANH QUAY 8"}
    sandbox.post("/control/accounts", json=other).raise_for_status()
    book_transfer(sandbox, bin="970436", number="777")
    assert rows(sandbox) == []
    assert sandbox.get(LIST, headers={"Authorization": "Bearer no"}).status_code == 401
    assert sandbox.get(LIST, headers={"Authorization": "Apikey pull-me"}).status_code == 401


@pytest.mark.parametrize(
    "filters", [{"limit": "x"}, {"since_id": "-1"}, {"amount_in": "1,5"},
                {"transaction_date_min": "yesterday"}]
)  # fmt: skip
def test_a_filter_that_makes_no_sense_is_refused(
    sandbox: httpx.Client, filters: dict[str, str]
) -> None:
    assert sandbox.get(LIST, params=filters).status_code == 422


def test_casso_lists_pages_with_signed_amounts(sandbox: httpx.Client) -> None:
    subscribe(sandbox, "casso", "", api_key="casso-key")
    for n in range(3):
        book_transfer(sandbox, 1_000 + n)
    book_transfer(sandbox, 500, direction="out")
    headers = {"Authorization": "Apikey casso-key"}
    params = {"pageSize": "2", "page": "2", "sort": "ASC"}
    page = sandbox.get("/v2/transactions", params=params, headers=headers).json()["data"]
    assert (page["totalRecords"], page["totalPages"]) == (4, 2)
    assert [record["amount"] for record in page["records"]] == [1_002, -500]


def test_a_restart_keeps_accounts_subscriptions_and_never_repeats_an_id(tmp_path: Path) -> None:
    with a_sandbox(data_dir=tmp_path) as sandbox:
        subscribe(sandbox, "sepay", "", api_key="pull-me")
        before = book_transfer(sandbox)
        paid = sandbox.post("/api/pay", json={**SANDBOX_ACCOUNT_KEY, "amount_vnd": 7_000}).json()
        slow = {**SANDBOX_ACCOUNT_KEY, "amount_vnd": 9_000, "after_s": 86_400, "payer": "b"}
        sandbox.post("/api/pay", json=slow).raise_for_status()

    with a_sandbox(data_dir=tmp_path) as sandbox:
        accounts = sandbox.get("/control/accounts").json()
        held = {one["number"]: one["balance_vnd"] for one in accounts["accounts"]}
        assert (held[SANDBOX_ACCOUNT["number"]], accounts["total_vnd"]) == (27_000, 0)
        assert held["0345678901"] == 3_000_000  # what was in flight is back
        assert sandbox.get(f"/api/payments/{paid['ft']}").json()["amount_vnd"] == 7_000
        pulled = rows_of(sandbox)
        after = book_transfer(sandbox)
        assert before["id"] in pulled
        assert after["id"] > max(pulled)
        assert read_callback_log(sandbox)["counts"]["by_state"] == {}
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def rows_of(sandbox: httpx.Client) -> list[int]:
    headers = {"Authorization": "Bearer pull-me"}
    answer = sandbox.get(LIST, headers=headers).json()
    return [int(row["id"]) for row in answer["transactions"]]


def test_a_damaged_snapshot_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('{"version": 1')
    with pytest.raises(SnapshotUnreadable, match="Move it away"):
        load(World(Settings(seed=1)), tmp_path)


@pytest.mark.slow
def test_the_program_starts_serves_and_stops(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "sandbox", "--port", str(port), "--data", str(tmp_path)]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, cwd=root, env=os.environ) as process:
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
                wait_until(lambda: is_up(client))
                assert "Ngân hàng thử" in client.get("/").text
        finally:
            process.terminate()
        assert process.wait(timeout=8) is not None
    assert (tmp_path / FILE_NAME).exists()


def is_up(client: httpx.Client) -> bool:
    try:
        return client.get("/control/banks").status_code == 200
    except httpx.TransportError:
        return False
