"""The demo city's data: codes, accounts and providers that the rest can work with."""

from ops.demo.places import CITY_CODE, PLACES, Account
from payments.bills.references import is_org_code
from payments.payees.rules import check_account
from sandbox.bank import BANKS


def test_every_code_can_stand_in_a_reference_and_none_twice() -> None:
    codes = [CITY_CODE, *(place.code for place in PLACES)]

    assert all(map(is_org_code, codes))
    assert len(set(codes)) == len(codes)


def test_every_stall_has_an_account_that_a_bank_of_the_sandbox_could_have() -> None:
    for place in PLACES:
        for position in range(len(place.stalls)):
            bin_, number, holder = place.account_of(position)
            check_account(
                bin_=bin_,
                account_number=number,
                virtual_account=place.virtual_account_of(position),
                holder_name=holder,
            )
            assert bin_ in BANKS


def test_an_account_belongs_to_one_stall_unless_it_is_the_boards() -> None:
    own = [
        place.account_of(position)[1]
        for place in PLACES
        for position, stall in enumerate(place.stalls)
        if stall.account is Account.OWN
    ]
    boards = [place.board_account[1] for place in PLACES]

    assert len({*own, *boards}) == len(own) + len(boards)


def test_all_five_providers_tell_of_some_place() -> None:
    assert {place.provider for place in PLACES} == {
        "payos", "sepay", "sepay_apikey", "casso", "vietqrvn",
    }  # fmt: skip
