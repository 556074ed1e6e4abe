"""Reading of stored notices: which credits each reports, and what is wrong with it. Pure.

Only the ids of new credits are made here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid5

from core.ids import new_id
from core.masking import mask_tail
from core.reasons import Reason
from payments.breaks.rules import BreakKind, BreakReason
from payments.breaks.types import NewBreak
from payments.callbacks.rules import NoticeOutcome
from payments.callbacks.types import DueNotice
from payments.credits.types import ListedAccount, NewCredit
from payments.providers import find_provider
from payments.providers.errors import UnreadableNotice
from payments.providers.types import ReportedTransaction


@dataclass(kw_only=True, slots=True)
class NoticeReadings:
    """What the notices of a batch say, together."""

    credits: list[NewCredit] = field(default_factory=list)
    outcomes: dict[UUID, NoticeOutcome] = field(default_factory=dict)  # of those without credits
    waiting: set[UUID] = field(default_factory=set)  # notices whose account is not listed yet
    breaks: list[NewBreak] = field(default_factory=list)
    listed: set[UUID] = field(default_factory=set)  # subjects of unknown accounts, listed by now


def read_notices(
    notices: Sequence[DueNotice], accounts: Sequence[ListedAccount], *, is_live: bool
) -> NoticeReadings:
    """Read every notice and find the account of every transaction in it.

    Args:
        notices: as they were stored; their bodies are the evidence and are read anew.
        accounts: those that the notices' endpoints may speak for.
        is_live: whether the organisation refuses sandbox money.
    """
    readings = NoticeReadings()
    own = {(one.endpoint_id, one.number): one for one in accounts}
    for notice in notices:
        provider = find_provider(notice.provider)
        assert provider is not None
        try:
            reading = provider.read(notice.body)
        except UnreadableNotice as error:
            readings.outcomes[notice.id] = NoticeOutcome.UNREADABLE
            reason = Reason(BreakReason.NOTICE_UNREADABLE, {"fault": error.fault.value})
            readings.breaks.append(
                NewBreak(kind=BreakKind.UNREADABLE, subject_id=notice.id, reason=reason)
            )
            continue
        if reading.is_ping:
            readings.outcomes[notice.id] = NoticeOutcome.TEST
        for reported in reading.transactions:
            _place_transaction(readings, notice, reported, own, is_live=is_live)
    return readings


def make_credit(
    reported: ReportedTransaction,
    *,
    credit_id: UUID,
    notice_id: UUID,
    provider: str,
    receiving_account_id: UUID,
    received_at: datetime,
    admitted_from: UUID | None = None,
) -> NewCredit:
    """Make a credit of a reported transaction, to be stored once."""
    return NewCredit(
        id=credit_id,
        receiving_account_id=receiving_account_id,
        direction=reported.direction.value,
        bank_reference=(reported.bank_reference or "").strip().upper(),
        provider=provider,
        provider_transaction_id=reported.provider_transaction_id,
        provider_order_id=reported.provider_order_id,
        notice_id=notice_id,
        virtual_account=reported.virtual_account,
        memo=reported.memo,
        amount_vnd=reported.amount_vnd,
        payer_name=reported.payer_name,
        payer_account=reported.payer_account,
        payer_bank=reported.payer_bank,
        is_date_only=reported.is_date_only,
        occurred_at=reported.occurred_at,
        received_at=received_at,
        admitted_from=admitted_from,
    )


def find_account(
    own: Mapping[tuple[UUID, str], ListedAccount], endpoint_id: UUID, reported: ReportedTransaction
) -> ListedAccount | None:
    """Find the account of a transaction: the most specific number that is listed and approved."""
    account = None
    if reported.virtual_account is not None:
        account = own.get((endpoint_id, reported.virtual_account.upper()))
    if account is None:
        account = own.get((endpoint_id, reported.account_number.upper()))
    return None if account is None or account.approved_at is None else account


def name_account(endpoint_id: UUID, reported: ReportedTransaction) -> UUID:
    """Name an unknown account: all notices of one endpoint for it are one matter, one alarm."""
    return uuid5(endpoint_id, f"account {reported.account_number.upper()}")


def _place_transaction(
    readings: NoticeReadings,
    notice: DueNotice,
    reported: ReportedTransaction,
    own: Mapping[tuple[UUID, str], ListedAccount],
    *,
    is_live: bool,
) -> None:
    account = find_account(own, notice.endpoint_id, reported)
    has_waited = notice.outcome == NoticeOutcome.WAITS_FOR_ACCOUNT
    subject_id = name_account(notice.endpoint_id, reported)
    if account is None:
        readings.waiting.add(notice.id)
        if not has_waited:  # else it was reported then, and a person may have closed it
            readings.breaks.append(_unknown_account(reported, subject_id))
        return
    if has_waited:
        readings.listed.add(subject_id)
    if is_live and (reported.is_simulated or account.is_sandbox):
        readings.outcomes[notice.id] = NoticeOutcome.SIMULATED_REFUSED
        reason = Reason(BreakReason.SIMULATED_MONEY, {"amount_vnd": reported.amount_vnd})
        kind = BreakKind.SIMULATED_IN_LIVE
        readings.breaks.append(NewBreak(kind=kind, subject_id=notice.id, reason=reason))
        return
    credit = make_credit(
        reported,
        credit_id=new_id(),
        notice_id=notice.id,
        provider=notice.provider,
        receiving_account_id=account.receiving_account_id,
        received_at=notice.received_at,
    )
    readings.credits.append(credit)


def _unknown_account(reported: ReportedTransaction, subject_id: UUID) -> NewBreak:
    number = mask_tail(reported.account_number)
    return NewBreak(
        kind=BreakKind.UNKNOWN_ACCOUNT,
        subject_id=subject_id,
        reason=Reason(BreakReason.ACCOUNT_NOT_LISTED, {"account": number}),
        amount_vnd=reported.amount_vnd,  # of the first notice
    )
