"""Evidence of a complaint in words: plates masked, accounts by their ends, photos by links."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from api.http.i18n import translate
from api.pages.posted_tariff import PostedWords, present_posted
from api.pages.tariff_lines import present_line
from city.complaints.evidence import Evidence
from core.clock import HANOI, hanoi_day
from core.masking import mask_tail
from parking.exits.tickets import WholeStay
from parking.plates.masking import mask_plate
from payments.bills.rules import BillFacts


@dataclass(frozen=True, kw_only=True)
class Money:
    """Something that was asked for or taken, already worded."""

    what: str
    amount_vnd: int
    when: str
    who: str
    number: str
    is_reversed: bool = False


@dataclass(frozen=True, kw_only=True)
class Photo:
    """A picture, by a link that ends."""

    link: str
    word: str


@dataclass(frozen=True, kw_only=True)
class ShownStay:
    """The stay, already worded."""

    lot: str
    plate: str
    ticket: str
    entered: str
    entered_by: str
    left: str
    left_by: str
    left_why: str  # "" while it is inside
    price_vnd: int | None
    paid_vnd: int
    due_vnd: int
    lines: tuple[tuple[str, int], ...]
    posted: PostedWords | None  # as it was when the stay began
    licence: str


@dataclass(frozen=True, kw_only=True)
class ShownEvidence:
    """What stands beside a complaint."""

    stay: ShownStay | None
    collections: tuple[Money, ...]
    bills: tuple[Money, ...]
    credits: tuple[Money, ...]
    photos: tuple[Photo, ...]


def present_evidence(evidence: Evidence, link: Callable[[bytes], str], lang: str) -> ShownEvidence:
    """Say what is known.

    Args:
        link: makes the address of a photo, good for five minutes.
    """
    whole = evidence.whole
    photos: dict[bytes, str] = {}
    for one in evidence.sightings:
        if one.photo is not None:
            when = _present(one.seen_at)
            photos.setdefault(
                one.photo, translate(lang, f"evidence.seen.{one.direction}", when=when)
            )
    return ShownEvidence(
        stay=None if whole is None else _present_stay(whole, evidence.people, lang),
        collections=()
        if whole is None
        else tuple(
            Money(
                what=translate(lang, f"evidence.rail.{one.rail}"),
                amount_vnd=one.amount_vnd,
                when=_present(one.collected_at),
                who=_name(evidence.people, one.collected_by),
                number=one.receipt_number or "",
                is_reversed=one.reversed_at is not None,
            )
            for one in whole.collections
        ),
        bills=tuple(_present_bill(bill, lang) for bill in evidence.bills),
        credits=tuple(
            Money(
                what=translate(lang, "evidence.transfer"),
                amount_vnd=credit.amount_vnd,
                when=_present(credit.occurred_at),
                who="",
                number=mask_tail(credit.bank_reference),
            )
            for credit in evidence.credits
        ),
        photos=tuple(Photo(link=link(photo), word=word) for photo, word in photos.items()),
    )


def _present_stay(whole: WholeStay, people: dict[UUID, str], lang: str) -> ShownStay:
    stay, lot, posted = whole.stay, whole.lot, whole.posted
    return ShownStay(
        lot=lot.name,
        plate="" if stay.plate is None else mask_plate(stay.plate),
        ticket=stay.ticket or "",
        entered=_present(stay.entered_at),
        entered_by=_name(people, stay.entry_by),
        left="" if stay.left_at is None else _present(stay.left_at),
        left_by=_name(people, stay.exit_by),
        left_why=""
        if stay.exit_reason is None
        else translate(lang, f"evidence.left.{stay.exit_reason}"),
        price_vnd=None if whole.standing is None else whole.standing.price.amount_vnd,
        paid_vnd=stay.paid_vnd,
        due_vnd=whole.due_vnd,
        lines=tuple((present_line(lang, line), line.amount_vnd) for line in whole.lines),
        posted=None
        if posted is None
        else present_posted(posted, lang, timing=lot.payment_timing, on=hanoi_day(stay.entered_at)),
        licence=" · ".join(filter(None, [lot.licence_number, lot.licence_issuer])),
    )


def _present_bill(bill: BillFacts, lang: str) -> Money:
    return Money(
        what=translate(lang, f"reasons.status.{bill.status}"),
        amount_vnd=bill.received_vnd or bill.amount_vnd or 0,
        when=_present(bill.paid_at or bill.created_at),
        who="",
        number=bill.reference,
    )


def _name(people: dict[UUID, str], id_: UUID | None) -> str:
    return "" if id_ is None else people.get(id_, "")


def _present(instant: datetime) -> str:
    return f"{instant.astimezone(HANOI):%H:%M · %d/%m/%Y}"
