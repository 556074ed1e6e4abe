"""Subjects of complaints in words: a stay, a bill, and each thing that was paid for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from api.http.i18n import Language, translate
from api.pay.routes import present_instant
from city.complaints.rules import Subject, SubjectKind
from core.db import Database
from core.masking import mask_tail
from core.money import format_vnd
from core.tenancy import open_org_transaction
from identity.people.callers import Org
from parking.exits.rules import OWNER_KIND, StayFacts
from parking.exits.standing import get_stay
from parking.exits.tickets import read_whole_stay
from payments.bills.rules import BillFacts
from payments.credits.views import CreditView


@dataclass(frozen=True, kw_only=True)
class About:
    """One thing that a complaint may be about."""

    subject: Subject
    words: str

    @property
    def value(self) -> str:
        """What the form sends for it."""
        return f"{self.subject.kind}:{self.subject.id}"


async def list_about_stay(
    database: Database, org: Org, stay: StayFacts, lang: Language, now: datetime
) -> tuple[str, tuple[About, ...]]:
    """Return the place, and what may be complained of: the stay first, then each payment."""
    async with open_org_transaction(database, org.id) as session:
        whole = await read_whole_stay(session, org.id, stay, at=now)

    def name(kind: SubjectKind, id_: UUID, words: str, bill_id: UUID | None = None) -> About:
        subject = Subject(
            kind=kind,
            id=id_,
            payee_id=stay.payee_id,
            lot_id=stay.lot_id,
            session_id=stay.id,
            bill_id=bill_id,
        )
        return About(subject=subject, words=words)

    entered = present_instant(stay.entered_at)
    abouts = [
        name(
            SubjectKind.PARKING_SESSION,
            stay.id,
            translate(lang, "complaint.about.parking_session", entered=entered),
            stay.bill_id,
        )
    ]
    abouts += [
        name(SubjectKind.BILL, bill.id, _word_bill(bill, lang), bill.id)
        for bill in whole.bills
        if bill.received_vnd
    ]
    abouts += [
        name(
            SubjectKind.RECEIPT,
            one.id,
            translate(
                lang,
                "complaint.about.receipt",
                number=one.receipt_number,
                amount=format_vnd(one.amount_vnd),
            ),
        )
        for one in whole.collections
        if one.receipt_number
    ]
    return whole.lot.name, tuple(abouts)


async def list_about_bill(
    database: Database, org: Org, bill: BillFacts, paid_by: Sequence[CreditView], lang: Language
) -> tuple[str, tuple[About, ...]]:
    """Return the payee, and what may be complained of: the bill first, then each transfer."""
    lot_id, session_id = None, None
    if bill.owner_kind == OWNER_KIND and bill.owner_id is not None:
        session_id = bill.owner_id
        async with open_org_transaction(database, org.id) as session:
            lot_id = (await get_stay(session, org.id, session_id)).lot_id

    def name(kind: SubjectKind, id_: UUID, words: str) -> About:
        subject = Subject(
            kind=kind,
            id=id_,
            payee_id=bill.payee_id,
            lot_id=lot_id,
            session_id=session_id,
            bill_id=bill.id,
        )
        return About(subject=subject, words=words)

    abouts = [name(SubjectKind.BILL, bill.id, _word_bill(bill, lang))]
    abouts += [
        name(
            SubjectKind.PAYMENT,
            credit.id,
            translate(
                lang,
                "complaint.about.payment",
                amount=format_vnd(credit.amount_vnd),
                number=mask_tail(credit.bank_reference),
            ),
        )
        for credit in paid_by
    ]
    return bill.payee_name, tuple(abouts)


def _word_bill(bill: BillFacts, lang: Language) -> str:
    amount_vnd = bill.received_vnd or bill.amount_vnd or 0
    return translate(
        lang, "complaint.about.bill", reference=bill.reference, amount=format_vnd(amount_vnd)
    )
