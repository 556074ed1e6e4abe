"""Settlement statements in words for managers: rows of a list, and what one of them says."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from uuid import UUID

from api.http.i18n import translate
from api.manage.page_context import ManagerContext
from identity.people.rules import Permission
from payments.settlements.paper import write_rate
from payments.settlements.rules import REFUND_LINE, SettlementStatus, Step, steps_from
from payments.settlements.types import LineFacts, RunFacts, SettlementFacts

LOOKS: Final = {
    SettlementStatus.DRAFTING: ("plain", "note"),
    SettlementStatus.REVIEWED: ("attention", "clock"),
    SettlementStatus.APPROVED: ("good", "check"),
    SettlementStatus.SENT: ("good", "share"),
    SettlementStatus.DISCARDED: ("plain", "cross"),
}
MAY: Final = {
    Step.REVIEW: Permission.SETTLEMENTS_DRAFT,
    Step.APPROVE: Permission.SETTLEMENTS_APPROVE,
    Step.SEND: Permission.SETTLEMENTS_DRAFT,
    Step.DISCARD: Permission.SETTLEMENTS_DRAFT,
}


@dataclass(frozen=True, kw_only=True)
class SettlementRow:
    """One statement of the list."""

    id: UUID
    path: str
    payee: str
    number: str
    period: str
    word: str
    tone: str
    icon: str
    gross_vnd: int
    deducted_vnd: int  # refunds, charges and commission
    payee_vnd: int
    is_ready: bool
    can_approve: bool  # beside others, by a box


@dataclass(frozen=True, kw_only=True)
class RunRow:
    """A run that is under way, or the last one."""

    id: UUID
    first_day: str
    last_day: str
    period: str
    words: str
    is_over: bool
    is_stalled: bool  # its job failed for good: pressed again, it goes on


@dataclass(frozen=True, kw_only=True)
class AmountRow:
    """One step from the gross amount to what is whose."""

    name: str
    amount_vnd: int
    is_sum: bool = False


@dataclass(frozen=True, kw_only=True)
class ChannelRow:
    """What one channel brought."""

    name: str
    postings: int
    credited_vnd: int
    debited_vnd: int
    net_vnd: int


def say(manager: ManagerContext, key: str, **values: object) -> str:
    """Say a text of words/*/settlements.toml."""
    return translate(manager.lang, f"settlements.{key}", **values)


def present_period(manager: ManagerContext, first_day: date, last_day: date) -> str:
    """Say from which day to which."""
    return say(manager, "period_of", first=f"{first_day:%d/%m/%Y}", last=f"{last_day:%d/%m/%Y}")


def present_row(manager: ManagerContext, one: SettlementFacts) -> SettlementRow:
    """Word one statement for the list."""
    tone, icon = LOOKS[one.status]
    word = say(manager, f"status.{one.status.value}" if one.is_ready else "status.being_written")
    return SettlementRow(
        id=one.id,
        path=manager.path(f"/settlements/{one.id}"),
        payee=one.payee_name,
        number=one.number or "",
        period=present_period(manager, one.first_day, one.last_day),
        word=word,
        tone=tone,
        icon=icon,
        gross_vnd=one.gross_vnd,
        deducted_vnd=one.gross_vnd - one.net_vnd,
        payee_vnd=one.payee_vnd,
        is_ready=one.is_ready,
        can_approve=Step.APPROVE in list_steps(manager, one),
    )


def list_steps(manager: ManagerContext, one: SettlementFacts) -> list[Step]:
    """List the steps that the reader may take, as far as their permissions say."""
    return [
        step for step in steps_from(one.status, is_ready=one.is_ready) if manager.may(MAY[step])
    ]


def present_run(manager: ManagerContext, run: RunFacts, *, is_stalled: bool) -> RunRow:
    """Say how far a run has come."""
    is_over = run.finished_at is not None
    key = "run_over" if is_over else "run_stalled" if is_stalled else "run_under_way"
    return RunRow(
        id=run.id,
        first_day=run.first_day.isoformat(),
        last_day=run.last_day.isoformat(),
        period=present_period(manager, run.first_day, run.last_day),
        words=say(manager, key, drafted=run.drafted, payees=run.payees_done),
        is_over=is_over,
        is_stalled=is_stalled and run.payee_id is None,
    )


def present_channels(manager: ManagerContext, lines: list[LineFacts]) -> tuple[ChannelRow, ...]:
    """Word the channels of a statement, with what was written off as the last row."""
    return tuple(
        ChannelRow(
            name=say(manager, f"channel.{line.line}"),
            postings=line.postings,
            credited_vnd=line.credited_vnd,
            debited_vnd=line.debited_vnd,
            net_vnd=line.net_vnd,
        )
        for line in lines
        if line.line != REFUND_LINE
    )


def present_amounts(manager: ManagerContext, one: SettlementFacts) -> tuple[AmountRow, ...]:
    """Word the way from the gross amount to what is whose."""
    rows = [
        AmountRow(name=say(manager, "gross"), amount_vnd=one.gross_vnd, is_sum=True),
        AmountRow(name=say(manager, "refunds"), amount_vnd=-one.refunds_vnd),
    ]
    for charge in one.charges:
        channel = say(manager, f"channel.{charge['channel']}")
        name = say(manager, "charge_of", channel=channel, rate=write_rate(charge["bps"]))
        rows.append(AmountRow(name=name, amount_vnd=-charge["amount_vnd"]))
    if one.fixed_charge_vnd:
        rows.append(AmountRow(name=say(manager, "fixed_charge"), amount_vnd=-one.fixed_charge_vnd))
    if one.commission_bps:
        name = say(manager, "commission_of", rate=write_rate(one.commission_bps))
        rows.append(AmountRow(name=name, amount_vnd=-one.commission_vnd))
    rows.append(AmountRow(name=say(manager, "net"), amount_vnd=one.net_vnd, is_sum=True))
    for share in one.shares:
        name = say(manager, "share_of", name=share["name"], rate=write_rate(share["bps"]))
        rows.append(AmountRow(name=name, amount_vnd=-share["amount_vnd"]))
    rows.append(AmountRow(name=say(manager, "payee_part"), amount_vnd=one.payee_vnd, is_sum=True))
    return tuple(rows)


def last_month(today: date) -> tuple[date, date]:
    """Return the first and the last day of the month before a day's."""
    last = today.replace(day=1) - timedelta(days=1)
    return last.replace(day=1), last
