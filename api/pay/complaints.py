"""Complaints of payers and drivers: a form behind their own link, and the page of its outcome.

The form is filled in as far as the link knows; who has nothing to add sends it with the third tap.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, File, Form, Query, Request, UploadFile
from starlette.responses import RedirectResponse, Response

from api.http.deps import (
    Now,
    TheDatabase,
    TheDirectory,
    TheLimits,
    ThePhotos,
    TheSettings,
    check_not_cross_site,
    public,
)
from api.http.i18n import Language, translate
from api.http.networks import network_of
from api.http.templating import language_of, templates
from api.pages.amounts import read_amount
from api.pay.complaint_subjects import (
    About,
    list_about_bill,
    list_about_stay,
)
from api.pay.parking_ticket import TheTicket
from api.pay.routes import TheOpened, present_instant, private
from api.services import Limits
from city.complaints.errors import ComplaintAlreadyOpen, ComplaintNotFound, ComplaintSaysNothing
from city.complaints.models import Complaint
from city.complaints.queries import get_by_token
from city.complaints.refunds import ComplaintRefund, read_refunds
from city.complaints.rules import CONTACT_CHARS_MAX, WORDS_CHARS_MAX, Category, RefundState
from city.complaints.service import make_complaint
from city.complaints.types import NewComplaint
from core.clock import hanoi_day
from core.db import Database
from core.ids import new_id
from core.settings import Settings
from core.tenancy import open_org_transaction
from core.text import tidy_line
from identity.people.callers import Directory, Org
from parking.photos.errors import PhotoNotReadable
from parking.photos.rules import PHOTO_BYTES_MAX, Picture
from parking.photos.service import Photos

router = APIRouter(include_in_schema=False, dependencies=[public])

LINK: Final = re.compile(r"([2-9A-HJKMNP-TV-Z]{4})-([A-Za-z0-9_-]{22})")
FORM_BYTES_MAX: Final = PHOTO_BYTES_MAX + 65_536
FIELD_CHARS_MAX: Final = 4_000  # what is cut is shown again, and never stored in full

Errors = Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Typed:
    """What somebody typed into the form."""

    id: UUID
    category: str = Category.OVERCHARGED.value
    about: str = ""
    taken: str = ""
    words: str = ""
    contact: str = ""


@dataclass(frozen=True, kw_only=True)
class ComplaintForm:
    """Everything templates/complaint_form.html may use, already worded."""

    action: str
    back: str
    place: str
    typed: Typed
    categories: tuple[tuple[str, str], ...]
    abouts: tuple[tuple[str, str], ...]
    days: int
    errors: Errors


@dataclass(frozen=True, kw_only=True)
class ComplaintPage:
    """Everything templates/complaint.html may use, already worded."""

    path: str
    org_name: str
    category: str
    about: str
    words: str
    taken_vnd: int | None
    has_photo: bool
    received: str
    due: str
    status: str
    outcome: str  # a code, "" while it is open
    answer: str
    refund_vnd: int | None
    refund_state: str  # "" without one
    resolved: str


@dataclass(frozen=True, kw_only=True)
class _Sent:
    """A form that came, and what it may be about."""

    request: Request
    org: Org
    path: str
    place: str
    abouts: tuple[About, ...]
    typed: Typed
    photo: UploadFile | None


Id = Annotated[UUID, Form()]
Text = Annotated[str, Form(max_length=FIELD_CHARS_MAX)]
Photo = Annotated[UploadFile | None, File()]


@router.get("/t/{link}/complaint")
async def show_ticket_form(
    request: Request,
    ticket: TheTicket,
    database: TheDatabase,
    settings: TheSettings,
    now: Now,
    category: Annotated[str, Query(max_length=20)] = Category.OVERCHARGED.value,
    about: Annotated[str, Query(max_length=80)] = "",
) -> Response:
    """Show the form about a stay."""
    lang = language_of(request)
    place, abouts = await list_about_stay(database, ticket.org, ticket.stay, lang, now)
    typed = Typed(id=new_id(), category=category, about=about)
    return _show_form(request, ticket.path, place, abouts, typed, settings.complaint_working_days)


@router.post("/t/{link}/complaint", max_body_size=FORM_BYTES_MAX)
async def complain_of_stay(
    request: Request,
    ticket: TheTicket,
    database: TheDatabase,
    photos: ThePhotos,
    limits: TheLimits,
    settings: TheSettings,
    now: Now,
    complaint_id: Id,
    category: Text = "",
    about: Text = "",
    taken: Text = "",
    words: Text = "",
    contact: Text = "",
    photo: Photo = None,
) -> Response:
    """Take a complaint about a stay in, and go to its page."""
    lang = language_of(request)
    place, abouts = await list_about_stay(database, ticket.org, ticket.stay, lang, now)
    typed = Typed(
        id=complaint_id, category=category, about=about, taken=taken, words=words, contact=contact
    )
    sent = _Sent(
        request=request,
        org=ticket.org,
        path=ticket.path,
        place=place,
        abouts=abouts,
        typed=typed,
        photo=photo,
    )
    return await _take(sent, database, photos, limits, settings, now)


@router.get("/p/{link}/complaint")
async def show_bill_form(
    request: Request,
    opened: TheOpened,
    database: TheDatabase,
    settings: TheSettings,
    category: Annotated[str, Query(max_length=20)] = Category.OVERCHARGED.value,
    about: Annotated[str, Query(max_length=80)] = "",
) -> Response:
    """Show the form about a bill."""
    place, abouts = await list_about_bill(
        database, opened.org, opened.bill, opened.credits, language_of(request)
    )
    typed = Typed(id=new_id(), category=category, about=about)
    path = f"/p/{opened.link}"
    return _show_form(request, path, place, abouts, typed, settings.complaint_working_days)


@router.post("/p/{link}/complaint", max_body_size=FORM_BYTES_MAX)
async def complain_of_bill(
    request: Request,
    opened: TheOpened,
    database: TheDatabase,
    photos: ThePhotos,
    limits: TheLimits,
    settings: TheSettings,
    now: Now,
    complaint_id: Id,
    category: Text = "",
    about: Text = "",
    taken: Text = "",
    words: Text = "",
    contact: Text = "",
    photo: Photo = None,
) -> Response:
    """Take a complaint about a bill in, and go to its page."""
    place, abouts = await list_about_bill(
        database, opened.org, opened.bill, opened.credits, language_of(request)
    )
    typed = Typed(
        id=complaint_id, category=category, about=about, taken=taken, words=words, contact=contact
    )
    sent = _Sent(
        request=request,
        org=opened.org,
        path=f"/p/{opened.link}",
        place=place,
        abouts=abouts,
        typed=typed,
        photo=photo,
    )
    return await _take(sent, database, photos, limits, settings, now)


@router.get("/k/{link}")
async def show_complaint(
    request: Request,
    link: str,
    directory: TheDirectory,
    database: TheDatabase,
    limits: TheLimits,
    now: Now,
) -> Response:
    """Show what became of a complaint to who has its link."""
    network = network_of(request)
    limits.pay_views.take(network)
    try:
        org, complaint, refund = await _open(link, directory, database, now)
    except ComplaintNotFound:
        limits.pay_misses.take(network)
        raise
    page = present_complaint(complaint, refund, org, f"/k/{link}", language_of(request))
    return private(templates.TemplateResponse(request, "complaint.html", {"page": page}))


async def _open(
    link: str, directory: Directory, database: Database, now: datetime
) -> tuple[Org, Complaint, ComplaintRefund | None]:
    parts = LINK.fullmatch(link)
    org = await directory.find_org(parts[1]) if parts else None
    if parts is None or org is None:
        raise ComplaintNotFound
    async with open_org_transaction(database, org.id) as session:
        complaint = await get_by_token(session, org.id, parts[2])
        refunds = await read_refunds(session, org.id, [complaint], today=hanoi_day(now))
    return org, complaint, refunds.get(complaint.id)


def present_complaint(
    complaint: Complaint, refund: ComplaintRefund | None, org: Org, path: str, lang: Language
) -> ComplaintPage:
    """Say everything the page shows; the contact stays with who answers."""
    return ComplaintPage(
        path=path,
        org_name=org.name,
        category=translate(lang, f"complaints.category.{complaint.category}"),
        about=translate(lang, f"complaints.subject.{complaint.subject_kind}"),
        words=complaint.words or "",
        taken_vnd=complaint.taken_vnd,
        has_photo=complaint.photo is not None,
        received=present_instant(complaint.received_at),
        due=f"{complaint.due_on:%d/%m/%Y}",
        status=complaint.status,
        outcome=complaint.outcome or "",
        answer=complaint.answer or "",
        refund_vnd=complaint.refund_vnd,
        refund_state="" if refund is None else _say_refund(refund, lang),
        resolved="" if complaint.resolved_at is None else present_instant(complaint.resolved_at),
    )


def _say_refund(refund: ComplaintRefund, lang: Language) -> str:
    """Say how far a refund has come, and by when it is promised."""
    if refund.state is RefundState.RETURNED and refund.returned_at is not None:
        return translate(
            lang, "complaint.refund_state.returned", when=present_instant(refund.returned_at)
        )
    if refund.state is RefundState.CLOSED:
        return translate(lang, "complaint.refund_state.closed")
    if refund.due_on is None:
        return translate(lang, "complaint.refund_state.soon")
    key = "complaint.refund_state.late" if refund.is_overdue else "complaint.refund_state.due"
    return translate(lang, key, day=f"{refund.due_on:%d/%m/%Y}")


async def _take(
    sent: _Sent,
    database: Database,
    photos: Photos,
    limits: Limits,
    settings: Settings,
    now: datetime,
) -> Response:
    check_not_cross_site(sent.request)
    limits.complaints.take(network_of(sent.request))
    limits.complaints_of_link.take(sent.path)  # from many networks, too
    lang = language_of(sent.request)
    typed, errors = sent.typed, _check(sent, lang)
    picture = None
    if not errors:
        try:
            picture = await _read_photo(sent, photos)
        except PhotoNotReadable:
            errors["photo"] = translate(lang, "complaint.error.photo")
    if not errors:
        chosen = next((one for one in sent.abouts if one.value == typed.about), sent.abouts[0])
        new = NewComplaint(
            id=typed.id,
            category=Category(typed.category),
            subject=chosen.subject,
            taken_vnd=read_amount(typed.taken),
            words=tidy_line(typed.words) or None,
            contact=tidy_line(typed.contact) or None,
            photo=None if picture is None else picture.hash,
            language=lang,
        )
        try:
            async with open_org_transaction(database, sent.org.id) as session:
                made = await make_complaint(
                    session,
                    sent.org.id,
                    new,
                    working_days=settings.complaint_working_days,
                    now=now,
                )
                # Only now: whoever has a link could fill the store with what is refused.
                if picture is not None and made.photo == picture.hash:
                    await photos.keep(
                        session,
                        sent.org.id,
                        chosen.subject.lot_id,
                        picture,
                        taken_by=typed.id,
                        now=now,
                    )
        except ComplaintAlreadyOpen:
            errors[""] = translate(lang, "complaint.error.already_open")
        except ComplaintSaysNothing:
            errors["words"] = translate(lang, "complaint.error.words")
        else:
            to = f"/k/{sent.org.code}-{made.public_token}"
            return private(RedirectResponse(to, 303))
    return _show_form(
        sent.request,
        sent.path,
        sent.place,
        sent.abouts,
        typed,
        settings.complaint_working_days,
        errors=errors,
    )


def _check(sent: _Sent, lang: Language) -> dict[str, str]:
    """Say what is wrong with what was typed, before anything is stored."""
    typed, wrong = sent.typed, {}
    if typed.category not in set(Category):
        wrong["category"] = translate(lang, "complaint.error.category")
    if typed.about and typed.about not in {one.value for one in sent.abouts}:
        where = "about" if len(sent.abouts) > 1 else ""  # a choice of one is not shown
        wrong[where] = translate(lang, "complaint.error.about")
    if typed.taken.strip() and read_amount(typed.taken) is None:
        wrong["taken"] = translate(lang, "complaint.error.taken")
    if typed.category == Category.OTHER and not tidy_line(typed.words):
        wrong["words"] = translate(lang, "complaint.error.words")
    for name, chars_max in (("words", WORDS_CHARS_MAX), ("contact", CONTACT_CHARS_MAX)):
        if len(tidy_line(getattr(typed, name))) > chars_max:
            wrong[name] = translate(lang, "complaint.error.too_long", count=chars_max)
    return wrong


async def _read_photo(sent: _Sent, photos: Photos) -> Picture | None:
    """Return the photo that came, written anew and not yet kept; None where there is none."""
    data = b"" if sent.photo is None else await sent.photo.read()
    return await photos.decode(data) if data else None


def _show_form(
    request: Request,
    path: str,
    place: str,
    abouts: tuple[About, ...],
    typed: Typed,
    days: int,
    *,
    errors: Errors | None = None,
) -> Response:
    lang = language_of(request)
    page = ComplaintForm(
        action=f"{path}/complaint?lang={lang}",
        back=path,
        place=place,
        typed=typed,
        categories=tuple(
            (one.value, translate(lang, f"complaints.category.{one.value}")) for one in Category
        ),
        abouts=tuple((one.value, one.words) for one in abouts),
        days=days,
        errors=errors or {},
    )
    answer = templates.TemplateResponse(
        request, "complaint_form.html", {"page": page}, status_code=422 if errors else 200
    )
    return private(answer)
