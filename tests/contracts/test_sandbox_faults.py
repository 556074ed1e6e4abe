"""Fault profiles over the wire, and what the sender's own log says about them."""

from typing import Any

import httpx
import pytest

from tests.world.receivers import Receiver
from tests.world.sandboxes import (
    SANDBOX_ACCOUNT_KEY,
    a_sandbox,
    book_transfer,
    read_callback_log,
    subscribe,
)
from tests.world.waits import wait_until


def misbehave(sandbox: httpx.Client, **profile: Any) -> None:
    wanted = {"subscription": "sub-1", "profile": profile}
    sandbox.post("/control/faults", json=wanted).raise_for_status()


def misbehave_at_the_stall(sandbox: httpx.Client, **profile: Any) -> None:
    wanted = {"account": SANDBOX_ACCOUNT_KEY, "profile": profile}
    sandbox.post("/control/faults", json=wanted).raise_for_status()


def pay(sandbox: httpx.Client, **facts: Any) -> dict[str, Any]:
    wanted = {**SANDBOX_ACCOUNT_KEY, "amount_vnd": 20_000, "memo": "PPMOXA234567K", **facts}
    answer = sandbox.post("/api/pay", json=wanted)
    assert answer.status_code == 201, answer.text
    paid: dict[str, Any] = answer.json()
    return paid


def test_copies_arrive_with_the_same_id(sandbox: httpx.Client, receiver: Receiver) -> None:
    subscribe(sandbox, "sepay", receiver.url)
    misbehave(sandbox, duplicates=9)
    book_transfer(sandbox)
    assert len({heard.json["id"] for heard in receiver.wait_for(10)}) == 1
    assert read_callback_log(sandbox)["counts"]["by_kind"] == {"credit": 1, "duplicate": 9}


def test_a_shuffled_window_arrives_in_another_order(
    sandbox: httpx.Client, receiver: Receiver
) -> None:
    subscribe(sandbox, "sepay", receiver.url)
    misbehave(sandbox, reorder_window=6, reorder_flush_s=86_400)
    sent = [book_transfer(sandbox)["id"] for _ in range(6)]
    arrived = [heard.json["id"] for heard in receiver.wait_for(6)]
    assert sorted(arrived) == sent
    assert arrived != sent


def test_an_unfilled_window_goes_out_after_its_time(
    sandbox: httpx.Client, receiver: Receiver
) -> None:
    subscribe(sandbox, "sepay", receiver.url)
    misbehave(sandbox, reorder_window=100)
    book_transfer(sandbox)
    assert len(receiver.wait_for(1)) == 1


def test_a_dropped_callback_is_in_the_log_and_nowhere_else(
    sandbox: httpx.Client, receiver: Receiver
) -> None:
    subscribe(sandbox, "sepay", receiver.url)
    misbehave(sandbox, drop_percent=100)
    book_transfer(sandbox)
    log = read_callback_log(sandbox)
    assert log["counts"]["by_state"] == {"dropped": 1}
    assert (log["counts"]["attempts"], receiver.received) == (0, [])


def test_a_profile_can_last_for_some_lines_only(sandbox: httpx.Client, receiver: Receiver) -> None:
    subscribe(sandbox, "sepay", receiver.url)
    misbehave(sandbox, drop_percent=100, lines_left=2)
    for _ in range(3):
        book_transfer(sandbox)
    assert read_callback_log(sandbox)["counts"]["by_state"] == {"dropped": 2, "delivered": 1}


def test_a_wrong_amount_is_reported_and_the_line_stays_true(
    sandbox: httpx.Client, receiver: Receiver
) -> None:
    subscribe(sandbox, "casso", receiver.url)
    misbehave(sandbox, wrong_amount_percent=100)
    book_transfer(sandbox)
    [heard] = receiver.wait_for(1)
    log = read_callback_log(sandbox)
    assert heard.json["data"]["amount"] == log["deliveries"][0]["amount_vnd"] != 20_000
    assert log["lines"][0]["amount_vnd"] == 20_000


def test_the_same_id_comes_with_two_amounts(sandbox: httpx.Client, receiver: Receiver) -> None:
    subscribe(sandbox, "sepay", receiver.url)
    misbehave(sandbox, same_id_other_amount_percent=100)
    book_transfer(sandbox)
    one, other = receiver.wait_for(2)
    assert one.json["id"] == other.json["id"]
    assert one.json["transferAmount"] != other.json["transferAmount"]


def test_a_skewed_clock_shows_in_the_signed_time(sandbox: httpx.Client, receiver: Receiver) -> None:
    subscribe(sandbox, "sepay", receiver.url)
    book_transfer(sandbox)
    misbehave(sandbox, clock_skew_s=-600)
    book_transfer(sandbox)
    right, skewed = receiver.wait_for(2)
    behind_s = int(right.headers["x-sepay-timestamp"]) - int(skewed.headers["x-sepay-timestamp"])
    assert 595 <= behind_s <= 600


def test_a_silent_provider_speaks_after_twenty_minutes(receiver: Receiver) -> None:
    with a_sandbox(time_scale=0.0003) as sandbox:  # twenty minutes last 360 ms
        subscribe(sandbox, "sepay", receiver.url)
        misbehave(sandbox, silent_s=1_200)
        book_transfer(sandbox)
        assert sandbox.get("/control/log").json()["counts"]["by_state"] == {"waiting": 1}
        assert receiver.received == []
        receiver.wait_for(1)
        assert read_callback_log(sandbox)["deliveries"][0]["faults"] == ["silent"]


def test_a_silent_provider_may_lose_what_it_did_not_say(
    sandbox: httpx.Client, receiver: Receiver
) -> None:
    subscribe(sandbox, "sepay", receiver.url)
    misbehave(sandbox, silent_s=86_400, silent_then="lose")
    book_transfer(sandbox)
    assert read_callback_log(sandbox)["counts"]["by_state"] == {"dropped": 1}


def test_a_payer_pays_twice_under_two_ft_numbers(sandbox: httpx.Client, receiver: Receiver) -> None:
    subscribe(sandbox, "sepay", receiver.url)
    misbehave_at_the_stall(sandbox, pay_twice_percent=100)
    pay(sandbox)
    first, second = receiver.wait_for(2)
    assert first.json["referenceCode"] != second.json["referenceCode"]
    assert first.json["content"] == second.json["content"]
    assert sandbox.get("/control/accounts").json()["total_vnd"] == 0


def test_a_slow_transfer_is_booked_later(sandbox: httpx.Client, receiver: Receiver) -> None:
    subscribe(sandbox, "sepay", receiver.url)
    misbehave_at_the_stall(sandbox, settle_after_s=1_000)
    paid = pay(sandbox)
    assert paid["line_id"] == 0
    assert sandbox.get("/control/accounts").json()["total_vnd"] == 0
    [heard] = receiver.wait_for(1)
    assert heard.json["referenceCode"] == paid["ft"]


def test_an_accounts_profile_also_rules_its_callbacks(
    sandbox: httpx.Client, receiver: Receiver
) -> None:
    subscribe(sandbox, "sepay", receiver.url)
    misbehave_at_the_stall(sandbox, drop_percent=100)
    book_transfer(sandbox)
    assert read_callback_log(sandbox)["counts"]["by_state"] == {"dropped": 1}


def run_of(sandbox: httpx.Client, seed: int, url: str) -> list[tuple[Any, ...]]:
    """Play the same scene under a seed; returns what was told, without the clock's part."""
    sandbox.post("/control/reset", json={"seed": seed}).raise_for_status()
    sandbox.post("/control/pace", json={"memo_style": "lossy"}).raise_for_status()
    account = {**SANDBOX_ACCOUNT_KEY, "holder": "HO KINH DOANH QUAY 7"}
    sandbox.post("/control/accounts", json=account).raise_for_status()
    subscribe(sandbox, "sepay", url)
    misbehave(sandbox, drop_percent=30, wrong_amount_percent=30, duplicates=1, duplicate_percent=40)
    for n in range(12):
        pay(sandbox, memo=f"PPMOXA23456{n}")
    return [
        (one["line_id"], one["reference"], one["kind"], one["amount_vnd"], one["memo"],
         one["faults"], one["state"])
        for one in read_callback_log(sandbox)["deliveries"]
    ]  # fmt: skip


def test_the_same_seed_repeats_a_run_and_another_does_not(
    sandbox: httpx.Client, receiver: Receiver
) -> None:
    first = run_of(sandbox, 7, receiver.url)
    assert run_of(sandbox, 7, receiver.url) == first
    assert run_of(sandbox, 8, receiver.url) != first


def test_a_reset_may_keep_the_setup_and_stops_what_is_under_way(
    sandbox: httpx.Client, receiver: Receiver
) -> None:
    receiver.statuses = [500]
    subscribe(sandbox, "casso", receiver.url)
    book_transfer(sandbox)
    receiver.wait_for(1)

    sandbox.post("/control/reset", json={"seed": 3, "keep_setup": True}).raise_for_status()

    log = sandbox.get("/control/log").json()
    assert (log["seed"], log["counts"]["pending"], log["lines"]) == (3, 0, [])
    receiver.statuses = [200]
    heard_before = len(receiver.received)
    book_transfer(sandbox)
    wait_until(lambda: len(receiver.received) == heard_before + 1)


@pytest.mark.parametrize(
    "profile", [{"drop_percent": 101}, {"duplicates": -1}, {"drop_procent": 1}, {"delay_s": "5"}]
)
def test_a_profile_that_makes_no_sense_is_refused(
    sandbox: httpx.Client, profile: dict[str, Any]
) -> None:
    subscribe(sandbox, "casso", "http://127.0.0.1:9/")
    wanted = {"subscription": "sub-1", "profile": profile}
    answer = sandbox.post("/control/faults", json=wanted)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_request")
