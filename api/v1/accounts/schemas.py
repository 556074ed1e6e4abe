"""Schemas of receiving accounts."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.http.fields import Body, NameText, Read, ReasonText
from core.masking import mask_tail
from payments.payees.queries import AccountLink
from payments.payees.rules import HOLDER_CHARS_MAX, AccountStatus, HeldBy, LinkStatus, awaits_test
from payments.vietqr.banks import find_bank

Bin = Annotated[str, Field(pattern=r"^[0-9]{6}$", examples=["970436"])]


AccountNumber = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{4,19}$", examples=["0123456789"])]


class AccountPropose(Body):
    """The account that a payee's codes should name from now on."""

    bin: Bin
    account_number: AccountNumber
    holder_name: Annotated[
        NameText,
        Field(
            min_length=2,
            max_length=HOLDER_CHARS_MAX,
            examples=["HO KINH DOANH B12"],
            description="As the bank prints it.",
        ),
    ]
    virtual_account: AccountNumber | None = Field(
        default=None, description="Tells stalls that share an account apart."
    )


class AccountRefuse(Body):
    """Why a proposal is turned down."""

    reason: ReasonText


class AccountEnd(Body):
    """Why an account is taken out of use."""

    reason: ReasonText


class AccountHolder(Body):
    """Who can send money from an account."""

    held_by: HeldBy


class AccountRead(Read):
    """A payee's account link and the account behind it."""

    id: UUID = Field(description="Of the link: approve, refuse and acknowledge it by this id.")
    payee_id: UUID
    payee_name: str
    receiving_account_id: UUID
    bin: str
    bank: str | None
    account_number: str = Field(description="Whole for who handles accounts, else its tail.")
    virtual_account: str | None
    holder_name: str
    status: LinkStatus
    account_status: AccountStatus
    test_reference: str | None = Field(description="Memo of the test transfer that is awaited.")
    test_refused_at: datetime | None = Field(
        description="When a test transfer came that does not count: nobody else who may approve"
        " accounts answers for its endpoint, or it came to another bank. Null once the link is"
        " tested."
    )
    test_refused_bank: str | None = Field(
        description="The other bank, as the provider calls it, to whose account of this number"
        " that test transfer came."
    )
    proposed_by: UUID
    proposed_at: datetime
    approved_by: UUID | None
    approved_at: datetime | None
    held_by: HeldBy = Field(description="Who can send money from it, and so gives it back.")
    activated_at: datetime | None
    ended_at: datetime | None
    holder_confirmed_at: datetime | None = Field(
        description="When one of the payee's people confirmed that they saw it."
    )

    @classmethod
    def of(cls, found: AccountLink, *, is_whole: bool) -> "AccountRead":
        """Describe a link; `is_whole` shows the account numbers."""
        link, account, payee = found
        bank = find_bank(account.bin)
        return cls(
            id=link.id,
            payee_id=link.payee_id,
            payee_name=payee.name,
            receiving_account_id=account.id,
            bin=account.bin,
            bank=None if bank is None else bank.short_name,
            account_number=_show(account.account_number, is_whole),
            virtual_account=link.virtual_account and _show(link.virtual_account, is_whole),
            holder_name=account.holder_name,
            status=LinkStatus(link.status),
            account_status=AccountStatus(account.status),
            test_reference=_name_test(found),
            test_refused_at=link.test_refused_at if awaits_test(link, account) else None,
            test_refused_bank=link.test_refused_bank if awaits_test(link, account) else None,
            proposed_by=link.proposed_by,
            proposed_at=link.proposed_at,
            approved_by=link.approved_by,
            approved_at=link.approved_at,
            held_by=HeldBy(account.held_by),
            activated_at=link.activated_at,
            ended_at=link.ended_at,
            holder_confirmed_at=link.holder_confirmed_at,
        )


class AccountPage(Read):
    """A page of account links, newest first."""

    accounts: list[AccountRead]
    next_cursor: str | None


class TestCodeRead(Read):
    """The code of an account's test transfer."""

    vietqr: str
    amount_vnd: int
    test_reference: str
    qr_svg: str


def _show(number: str, is_whole: bool) -> str:
    return number if is_whole else mask_tail(number)


def _name_test(found: AccountLink) -> str | None:
    link, account, _ = found
    return link.test_reference if awaits_test(link, account) else None
