"""The sandbox's banks: money is moved exactly, or not at all."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.bank import Account, Bank
from sandbox.errors import AccountUnknown, AlreadyThere, BadRequest, NotEnoughMoney, OverNapasLimit
from sandbox.ft_numbers import VIETNAM, booking_day, ft_number

NOON = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)  # a Friday, 12:00 in Việt Nam
VCB, MB = "970436", "970422"


def a_bank(balance_vnd: int = 1_000_000) -> tuple[Bank, Account]:
    bank = Bank(1, lambda transit: transit.memo)
    payer = bank.open_account(VCB, "0011", "NGUYEN VAN A", balance_vnd=balance_vnd, payer="a")
    bank.open_account(MB, "0988", "HO KINH DOANH QUAY 7")
    bank.open_virtual(MB, "VQRQAEJCI2814", "0988")
    return bank, payer


def test_a_transfer_moves_the_amount_and_nothing_else() -> None:
    bank, payer = a_bank()

    paid = bank.send(payer, MB, "0988", 20_000, "cam on", at=NOON)
    line = bank.settle(paid, at=NOON)

    assert (payer.balance_vnd, bank.look_up(MB, "0988").balance_vnd) == (980_000, 20_000)
    assert (line.reference, line.balance_vnd, line.direction) == (paid.ft, 20_000, "in")
    assert bank.total_vnd() == 0


def test_money_to_a_virtual_account_reaches_its_parent() -> None:
    bank, payer = a_bank()

    line = bank.settle(bank.send(payer, MB, "vqrqaejci2814", 20_000, "x", at=NOON), at=NOON)

    assert (line.number, line.virtual_number) == ("0988", "VQRQAEJCI2814")
    assert bank.look_up(MB, "0988").balance_vnd == 20_000


def test_one_dong_too_much_is_refused_and_nothing_moves() -> None:
    bank, payer = a_bank(balance_vnd=19_999)
    with pytest.raises(NotEnoughMoney):
        bank.send(payer, MB, "0988", 20_000, "x", at=NOON)
    assert (payer.balance_vnd, bank.in_flight_vnd, bank.payments) == (19_999, 0, {})


@pytest.mark.parametrize("amount_vnd", [-1, 0, 500_000_000])
def test_what_napas_does_not_carry_is_refused(amount_vnd: int) -> None:
    bank, payer = a_bank(balance_vnd=10**9)
    with pytest.raises(OverNapasLimit):
        bank.send(payer, MB, "0988", amount_vnd, "x", at=NOON)


def test_the_largest_napas_transfer_goes_through() -> None:
    bank, payer = a_bank(balance_vnd=10**9)
    assert bank.send(payer, MB, "0988", 499_999_999, "x", at=NOON).amount_vnd == 499_999_999


def test_an_unknown_or_closed_account_is_refused() -> None:
    bank, payer = a_bank()
    with pytest.raises(AccountUnknown):
        bank.send(payer, MB, "0000", 1, "x", at=NOON)
    bank.look_up(MB, "0988").is_closed = True
    with pytest.raises(AccountUnknown):
        bank.send(payer, MB, "0988", 1, "x", at=NOON)


def test_an_account_is_opened_once_under_one_name() -> None:
    bank, _ = a_bank()
    assert bank.open_account(MB, "0988", "HO KINH DOANH QUAY 7") is bank.find(MB, "0988")
    with pytest.raises(AlreadyThere):
        bank.open_account(MB, "0988", "SOMEBODY ELSE")


@pytest.mark.parametrize("number", ["", "09 88", "0988-1", "á", "1" * 20])
def test_a_number_that_no_code_can_carry_is_refused(number: str) -> None:
    bank, _ = a_bank()
    with pytest.raises(BadRequest):
        bank.open_account(MB, number, "X")


def test_outgoing_money_needs_a_balance() -> None:
    bank, _ = a_bank()
    with pytest.raises(NotEnoughMoney):
        bank.book_raw(MB, "0988", 1, "rut", direction="out", at=NOON)
    bank.book_raw(MB, "0988", 5_000, "nop", at=NOON)
    line = bank.book_raw(MB, "0988", 2_000, "rut", direction="out", at=NOON)
    assert (line.direction, line.amount_vnd, line.balance_vnd) == ("out", 2_000, 3_000)
    assert bank.total_vnd() == 0


@pytest.mark.parametrize(
    ("local", "day"),
    [
        ((2025, 2, 1, 10), "25032"),  # a Saturday is booked on itself
        ((2024, 8, 9, 10), "24222"),
        ((2024, 11, 17, 10), "24323"),  # a Sunday is booked on Monday
        ((2024, 11, 15, 21), "24320"),
        ((2024, 11, 15, 22), "24321"),  # late on a Friday is Saturday's
        ((2024, 11, 16, 23), "24323"),  # late on a Saturday is Monday's
        ((2024, 12, 31, 23), "25001"),
    ],
)
def test_an_ft_number_carries_the_booking_day(local: tuple[int, ...], day: str) -> None:
    at = datetime(*local, tzinfo=VIETNAM)  # type: ignore[misc]
    assert f"{booking_day(at):%y%j}" == day
    assert ft_number(1, at, seed=1).startswith(f"FT{day}")


@given(st.integers(0, 1_000), st.sets(st.integers(1, 10**6), min_size=2, max_size=50))
def test_ft_numbers_never_repeat(seed: int, ordinals: set[int]) -> None:
    assert len({ft_number(ordinal, NOON, seed) for ordinal in ordinals}) == len(ordinals)


@given(st.lists(st.tuples(st.integers(1, 10**6), st.booleans()), max_size=40))
def test_no_dong_is_made_or_lost(transfers: list[tuple[int, bool]]) -> None:
    bank, payer = a_bank(balance_vnd=3_000_000)
    for amount_vnd, is_settled in transfers:
        try:
            paid = bank.send(payer, MB, "VQRQAEJCI2814", amount_vnd, "x", at=NOON)
        except NotEnoughMoney:
            continue
        if is_settled:
            bank.settle(paid, at=NOON)
    assert bank.total_vnd() == 0
    booked_vnd = sum(line.amount_vnd for line in bank.lines.values())
    assert bank.look_up(MB, "0988").balance_vnd == booked_vnd
