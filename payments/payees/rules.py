"""Rules of accounts: what a payee's codes name, and which accounts can be right at all. Pure."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID

from core.errors import Violation
from payments.payees.errors import BadAccount
from payments.vietqr import build, transfer_code
from payments.vietqr.banks import find_bank


class AccountStatus(StrEnum):
    """A receiving account's way from a proposal to taking money."""

    PROPOSED = "proposed"  # named by one person
    APPROVED = "approved"  # a second person agreed; a test transfer is awaited
    ACTIVE = "active"  # the test transfer was reported by the bank
    RETIRED = "retired"


class HeldBy(StrEnum):
    """Who can send money from a receiving account, and so gives it back."""

    ORGANISATION = "organisation"
    PAYEE = "payee"


class LinkStatus(StrEnum):
    """Whether a payee's codes name this account."""

    PROPOSED = "proposed"
    APPROVED = "approved"  # a second person agreed; its test transfer is awaited
    ACTIVE = "active"  # new codes name it
    FORMER = "former"  # replaced, but printed codes still hang: its money is still this payee's
    ENDED = "ended"  # refused, or taken out of use: nothing that comes is this payee's by it


ACCOUNT_NUMBER: Final = re.compile(r"[A-Za-z0-9]{4,19}")  # NAPAS profile: ANS, at most 19
HOLDER_CHARS_MAX: Final = 70
TEST_TRANSFER_VND: Final = 1_000  # small enough to risk, and no app refuses it

# What an organisation code may have handed out in a time that a database lost: a burst of a
# million, and 100 a second for as long as it lasted, day and night. Both are far above any city.
LOST_BURST_MAX: Final = 1_000_000
LOST_PER_SECOND_MAX: Final = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class PayeeRoute:
    """Where a payee's money goes: the account in force, as its codes name it."""

    link_id: UUID
    payee_id: UUID
    payee_name: str
    place: str
    receiving_account_id: UUID
    bin: str
    account_number: str
    virtual_account: str | None
    holder_name: str

    @property
    def code_account(self) -> str:
        """The number that a VietQR names: the virtual account where there is one."""
        return self.virtual_account or self.account_number


class LinkFacts(Protocol):
    """What the rules have to know of a payee's link to an account."""

    @property
    def status(self) -> str:
        """A LinkStatus."""

    @property
    def virtual_account(self) -> str | None:
        """The number that its codes name, if it is another than the account's own."""

    @property
    def proposed_by(self) -> UUID:
        """Who named it."""

    @property
    def test_credit_id(self) -> UUID | None:
        """The bank's report of the transfer to this very code."""


class AccountFacts(Protocol):
    """What the rules have to know of a receiving account."""

    @property
    def status(self) -> str:
        """An AccountStatus."""

    @property
    def test_vouched_by(self) -> Collection[UUID]:
        """Who answers for the endpoint that reported its test transfer."""


def is_tested(link: LinkFacts, account: AccountFacts) -> bool:
    """Tell whether the bank was seen to report on the number that a link's codes name.

    A link without virtual account names the account's own number, which is tested once for all;
    but nobody proposes a link that rests on a test which they answered for themselves.
    """
    if account.status != AccountStatus.ACTIVE:
        return False
    if link.test_credit_id is not None:
        return True
    return link.virtual_account is None and link.proposed_by not in account.test_vouched_by


def awaits_test(link: LinkFacts, account: AccountFacts) -> bool:
    """Tell whether a test transfer is still to be made to the number that a link's codes name."""
    is_open = link.status in (LinkStatus.PROPOSED, LinkStatus.APPROVED)
    return is_open and not is_tested(link, account)


def is_vouched_by_others(vouched_by: Collection[UUID] | None, proposers: Collection[UUID]) -> bool:
    """Tell whether a test transfer counts: somebody else than the proposers answers for it.

    Args:
        vouched_by: everyone who answers for the endpoint that sent it; empty if for some part of
            it nobody does; None in a test organisation, where nobody has to.
    """
    if vouched_by is None:
        return True
    return bool(vouched_by) and not set(proposers) & set(vouched_by)


def is_same_number(one: str | None, other: str | None) -> bool:
    """Compare account numbers as banks do, without case; None is equal to None only."""
    return (one and one.upper()) == (other and other.upper())


def transfer_test_payload(*, bin_: str, code_account: str, test_reference: str) -> str:
    """Write the code that somebody pays to show that the bank reports on a new account."""
    return build(
        transfer_code(
            bin=bin_,
            account=code_account,
            amount_vnd=TEST_TRANSFER_VND,
            purpose=test_reference,
            is_dynamic=True,
        )
    )


def check_account(
    *, bin_: str, account_number: str, virtual_account: str | None, holder_name: str
) -> None:
    """Refuse what no bank could have given.

    Raises:
        BadAccount: with one violation for each field that cannot be right.
    """
    violations = []
    if find_bank(bin_) is None:
        fault = f"No bank in Việt Nam has the BIN {bin_!r}. Choose one from the list."
        violations.append(Violation(field="bin", code="unknown_bank", detail=fault))
    numbers = {"account_number": account_number, "virtual_account": virtual_account or None}
    for field, number in numbers.items():
        if number is not None and not ACCOUNT_NUMBER.fullmatch(number):
            fault = f"An account number has 4 to 19 letters and digits; {number!r} does not."
            violations.append(Violation(field=field, code="bad_number", detail=fault))
    if not 2 <= len(holder_name.strip()) <= HOLDER_CHARS_MAX:
        fault = "Give the holder's name as the bank prints it, 2 to 70 characters."
        violations.append(Violation(field="holder_name", code="bad_holder", detail=fault))
    if violations:
        raise BadAccount(violations[0].detail, violations=violations)
