"""A statement as it is handed out: its facts, and the words that a PDF and a workbook show.

What was approved is shown by the facts that its numbered document keeps, so that it reads the same
for good.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from functools import cache
from importlib import resources
from typing import Any, Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import HANOI
from core.money import format_vnd
from core.vnd_words import spell_vnd
from identity.organisations.queries import list_org_facts
from identity.people.queries import find_names
from payments.documents import service as documents
from payments.settlements import queries
from payments.settlements.rules import FINAL, NOT_TAKEN, WRITTEN_OFF_LINE
from payments.settlements.types import LineFacts, SettlementFacts

MINUS: Final = "\u2212"


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelRow:
    """What one channel brought, worded."""

    name: str
    postings: str
    credited: str
    debited: str
    net: str


@dataclass(frozen=True, kw_only=True, slots=True)
class AmountRow:
    """One step from the gross amount to what is whose, worded; `amount_vnd` is signed."""

    name: str
    amount: str
    amount_vnd: int
    is_sum: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class CarriedRow:
    """One open break, worded."""

    name: str
    since: str
    amount: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """Who did which step, and when."""

    role: str
    name: str
    at: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Paper:
    """Everything that a statement's PDF and workbook show, in Vietnamese."""

    title: str
    organisation: str
    number_label: str
    is_draft: bool
    period: str
    cut_off: str
    payee: str
    place: str
    channels: Sequence[ChannelRow]
    gross: str
    not_counted: Sequence[ChannelRow]  # below the gross amount: what was written off
    rows: Sequence[AmountRow]
    payee_amount: str
    words: str
    carried: Sequence[CarriedRow]
    carried_note: str
    people: Sequence[Signature]
    footer: str


async def collect_facts(
    session: AsyncSession,
    org_id: UUID,
    settlement: SettlementFacts,
    *,
    approved_by: UUID | None = None,
    approved_at: datetime | None = None,
) -> dict[str, Any]:
    """Collect what a statement says, with the names of who had a hand in it, as JSON values.

    Args:
        approved_by, approved_at: of an approval that is under way.
    """
    lines = await queries.list_lines(session, org_id, settlement.id)
    (org,) = await list_org_facts(session, [org_id])
    by = approved_by or settlement.approved_by
    people = {one for one in (settlement.drafted_by, settlement.reviewed_by, by) if one is not None}
    names = await find_names(session, org_id, people)
    facts: dict[str, Any] = msgspec.to_builtins(settlement)
    at = approved_at or settlement.approved_at
    return {
        **facts,
        "organisation": org.name,
        "lines": [list(line) for line in lines],
        "approved_by": None if by is None else str(by),
        "approved_at": None if at is None else at.isoformat(),
        "names": {str(id_): name for id_, name in names.items()},
    }


async def read_paper(session: AsyncSession, org_id: UUID, settlement: SettlementFacts) -> Paper:
    """Return a statement as it is handed out; of what was approved, as it was then."""
    facts = None
    if settlement.status in FINAL:
        facts = await documents.find_content(session, org_id, settlement.id)
    if facts is None:
        facts = await collect_facts(session, org_id, settlement)
    return write_paper(facts, is_draft=settlement.status not in FINAL)


def write_paper(facts: Mapping[str, Any], *, is_draft: bool) -> Paper:
    """Word the facts that `collect_facts` collected."""
    words = _words()
    number = facts.get("number")
    lines = [LineFacts(*line) for line in facts["lines"]]
    shown = facts["carried"]
    return Paper(
        title=f"Bảng kê quyết toán {number or ''}".strip(),
        organisation=facts["organisation"],
        number_label=f"Số: {number}" if number else "Số: (chưa duyệt)",
        is_draft=is_draft,
        period=f"Kỳ từ ngày {_day(facts['first_day'])} đến hết ngày {_day(facts['last_day'])}",
        cut_off=f"Chốt sổ lúc {_instant(facts['cut_off_at'])}; ghi sau lúc đó thuộc kỳ sau",
        payee=facts["payee_name"],
        place=facts["payee_place"],
        channels=[_write_channel(line) for line in lines if line.line not in NOT_TAKEN],
        gross=_amount(facts["gross_vnd"]),
        not_counted=[_write_channel(line) for line in lines if line.line == WRITTEN_OFF_LINE],
        rows=_write_rows(facts),
        payee_amount=_amount(facts["payee_vnd"]),
        words=_spell(facts["payee_vnd"]),
        carried=[
            CarriedRow(
                name=words["carried"].get(one["kind"], words["carried"]["other"]),
                since=_instant(one["opened_at"]).split(" ngày ")[-1],
                amount="" if one["amount_vnd"] is None else _amount(one["amount_vnd"]),
            )
            for one in shown
        ],
        carried_note=(f"Tất cả {facts['carried_count']} khoản; nêu {len(shown)} khoản lâu nhất."),
        people=_write_people(facts),
        footer="PhoPay không giữ tiền: bảng kê chỉ nói tiền nào là của ai.",
    )


def name_line(line: str) -> str:
    """Name a line of a statement: a channel, refunds, or what was written off."""
    words = _words()["line"]
    return words.get(line, words["other"])


def name_cause(cause_kind: str) -> str:
    """Say why something was posted."""
    words = _words()["cause"]
    return words.get(cause_kind, words["other"])


def as_json(paper: Paper) -> str:
    """Write what the template reads."""
    return msgspec.json.encode(asdict(paper)).decode()


def _write_channel(line: LineFacts) -> ChannelRow:
    return ChannelRow(
        name=name_line(line.line),
        postings=f"{line.postings:,}".replace(",", "."),
        credited=_amount(line.credited_vnd),
        debited=_amount(line.debited_vnd),
        net=_amount(line.net_vnd),
    )


def _write_rows(facts: Mapping[str, Any]) -> list[AmountRow]:
    rows = [_row("Tổng tiền thu", facts["gross_vnd"], is_sum=True)]
    rows.append(_row("Hoàn tiền cho khách", -facts["refunds_vnd"]))
    rows += [
        _row(f"Phí {name_line(one['channel'])}, {write_rate(one['bps'])}", -one["amount_vnd"])
        for one in facts["charges"]
    ]
    if facts["fixed_charge_vnd"]:
        rows.append(_row("Phí cố định của kỳ", -facts["fixed_charge_vnd"]))
    rate = write_rate(facts["commission_bps"])
    if facts["commission_bps"]:
        rows.append(_row(f"Hoa hồng {rate} trên tiền thu trừ hoàn tiền", -facts["commission_vnd"]))
    rows.append(_row("Còn lại để chia", facts["net_vnd"], is_sum=True))
    rows += [
        _row(f"Phần của {one['name']}, {write_rate(one['bps'])}", -one["amount_vnd"])
        for one in facts["shares"]
    ]
    rows.append(_row("Thực nhận của người thụ hưởng", facts["payee_vnd"], is_sum=True))
    return rows


def _row(name: str, amount_vnd: int, *, is_sum: bool = False) -> AmountRow:
    return AmountRow(name=name, amount=_amount(amount_vnd), amount_vnd=amount_vnd, is_sum=is_sum)


def _write_people(facts: Mapping[str, Any]) -> list[Signature]:
    roles = (
        ("Người lập", "drafted_by", "drafted_at"),
        ("Người kiểm tra", "reviewed_by", "reviewed_at"),
        ("Người duyệt", "approved_by", "approved_at"),
    )
    return [
        Signature(
            role=role,
            name=facts["names"].get(facts[by], "") if facts[by] else "",
            at=_instant(facts[at]) if facts[at] else "",
        )
        for role, by, at in roles
    ]


def write_rate(bps: int) -> str:
    """Write a rate as people read it: 250 → "2,5 %"."""
    whole, part = divmod(bps, 100)
    digits = f"{part:02}".rstrip("0")
    return f"{whole},{digits}\u00a0%" if digits else f"{whole}\u00a0%"


def _amount(amount_vnd: int) -> str:
    return format_vnd(amount_vnd) if amount_vnd >= 0 else f"{MINUS}{format_vnd(-amount_vnd)}"


def _spell(amount_vnd: int) -> str:
    said = spell_vnd(abs(amount_vnd))
    said = said if amount_vnd >= 0 else f"âm {said}"
    return f"{said[0].upper()}{said[1:]}."


def _day(text: str) -> str:
    return f"{date.fromisoformat(text):%d/%m/%Y}"


def _instant(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(HANOI):%H:%M ngày %d/%m/%Y}"


@cache
def _words() -> dict[str, dict[str, str]]:
    text = resources.files("payments.settlements").joinpath("paper.toml").read_text("utf-8")
    return tomllib.loads(text)
