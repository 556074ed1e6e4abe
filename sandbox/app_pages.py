"""The bank app as web pages for a phone: pick a payer, read a code, check, confirm, receipt.

The pages work without scripts; only the camera needs one.
"""

from collections import OrderedDict
from dataclasses import asdict, dataclass
from pathlib import Path
from secrets import token_urlsafe
from typing import Any, Final

from anyio import to_thread
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from core.money import format_vnd
from sandbox.bank import BANKS
from sandbox.codes import Code, read_payload, read_picture
from sandbox.errors import BadRequest, CodeUnreadable, NotFound, SandboxError
from sandbox.ft_numbers import VIETNAM
from sandbox.settings import IMAGE_BYTES_MAX, INTENTS_MAX
from sandbox.wire import world_of
from sandbox.words import LANGUAGES, words
from sandbox.world import World

TEMPLATES: Final = Jinja2Templates(Path(__file__).parent / "templates")
# A form with one small picture and a few fields; more parts are refused by the parser.
FORM: Final = {"max_files": 1, "max_fields": 20, "max_part_size": 64 * 1024}


@dataclass(frozen=True, kw_only=True)
class PayerChoice:
    """One account to pay from."""

    name: str
    holder: str
    bank: str
    number: str
    balance: str
    is_chosen: bool


@dataclass(frozen=True, kw_only=True)
class ReviewPage:
    """What app_review.html may use."""

    payload: str
    payer: str
    payer_line: str
    holder: str
    bank: str
    number: str
    amount: str  # "20.000 ₫" or ""
    amount_digits: str
    is_amount_locked: bool
    memo: str
    intent: str  # one form pays once, however often it is sent


@dataclass(frozen=True, kw_only=True)
class ReceiptPage:
    """What app_receipt.html may use."""

    ft: str
    amount: str
    holder: str
    bank: str
    number: str
    memo: str
    at: str
    is_booked: bool


def render(request: Request, template: str, status: int = 200, **facts: Any) -> Response:
    """Render a page in the visitor's language, which a cookie remembers."""
    wanted = request.query_params.get("lang", "")
    language = wanted if wanted in LANGUAGES else request.cookies.get("lang", "vi")
    language = language if language in LANGUAGES else "vi"
    other = request.url.include_query_params(lang="en" if language == "vi" else "vi")
    shown = {"w": words(language), "language": language, **facts}
    shown["other_language"] = f"{other.path}?{other.query}" if request.method == "GET" else ""
    page = TEMPLATES.TemplateResponse(request, template, shown, status_code=status)
    if wanted in LANGUAGES:
        page.set_cookie("lang", language, max_age=31_536_000, samesite="lax", httponly=True)
    return page


async def start(request: Request) -> Response:
    """Show the payer's choice and the ways to read a code."""
    payload = request.query_params.get("payload", "")[:2_000]
    return _scan_page(request, payload=payload, payer=request.query_params.get("payer", ""))


async def review(request: Request) -> Response:
    """Read the pasted, uploaded or scanned code and show what would be paid."""
    async with request.form(**FORM) as form:
        payer = _text(form, "payer")
        payload = _text(form, "payload").strip()
        try:
            payload = payload or await _payload_of_upload(form)
            if not payload:
                return _scan_page(request, payer=payer, error="no_payload")
            page = _review(world_of(request), payload, payer)
        except SandboxError as error:
            return _scan_page(request, payload=payload, payer=payer, error=error.code, why=error)
    return render(request, "app_review.html", **asdict(page), error="", why="")


async def confirm(request: Request) -> Response:
    """Pay what was reviewed. The amount of a dynamic code cannot be changed here."""
    world = world_of(request)
    async with request.form(**FORM) as form:
        payload, payer = _text(form, "payload"), _text(form, "payer")
        intent, memo = _text(form, "intent"), _text(form, "memo")[:500]
        digits = _text(form, "amount").strip().replace(".", "").replace(",", "")
    intents: OrderedDict[str, str] = request.app.state.intents
    if ft := intents.get(intent):
        return RedirectResponse(f"/app/receipt/{ft}", 303)
    try:
        page = _review(world, payload, payer, memo=memo, digits=digits, intent=intent)
    except SandboxError as error:
        return _scan_page(request, payload=payload, payer=payer, error=error.code, why=error)
    try:
        amount_vnd = _read_amount(page.amount_digits)
        code = read_payload(payload)
        paid = world.pay(world.bank.payer(payer), code.bin, code.number, amount_vnd, memo)
    except SandboxError as error:
        facts = {**asdict(page), "error": _word_of(error), "why": str(error)}
        return render(request, "app_review.html", 422, **facts)
    intents[intent] = paid.ft
    if len(intents) > INTENTS_MAX:
        intents.popitem(last=False)
    return RedirectResponse(f"/app/receipt/{paid.ft}", 303)


async def receipt(request: Request) -> Response:
    """Show what was sent, with its FT number."""
    paid = world_of(request).bank.payments.get(request.path_params["ft"])
    if paid is None:
        raise NotFound("There is no such payment.")
    page = ReceiptPage(
        ft=paid.ft,
        amount=format_vnd(paid.amount_vnd),
        holder=paid.holder,
        bank=BANKS[paid.bin].name,
        number=paid.number,
        memo=paid.memo,
        at=f"{paid.sent_at.astimezone(VIETNAM):%H:%M:%S %d/%m/%Y}",
        is_booked=paid.line_id != 0,
    )
    return render(request, "app_receipt.html", **asdict(page))


async def checkout(request: Request) -> Response:
    """Show a payOS payment request as its checkout page would."""
    world = world_of(request)
    found = world.requests.by_id.get(request.path_params["id"])
    if found is None:
        raise NotFound("There is no such payment request.")
    return render(
        request,
        "checkout.html",
        order_code=found.order_code,
        amount=format_vnd(found.amount_vnd),
        paid=format_vnd(found.paid_vnd),
        order_status=found.status(world.clock()),
        payload=found.qr_code,
    )


async def home(request: Request) -> Response:
    """Explain the sandbox and link to its pages."""
    world = world_of(request)
    return render(
        request,
        "home.html",
        hub_url=world.settings.hub_url,
        banks=[f"{bank.name} {bank.bin}" for bank in BANKS.values()],
        payers=_payers(world, ""),
        subscriptions=len(world.subscriptions),
    )


def _scan_page(
    request: Request,
    *,
    payload: str = "",
    payer: str = "",
    error: str = "",
    why: SandboxError | str = "",
) -> Response:
    world = world_of(request)
    return render(
        request,
        "app_scan.html",
        422 if error else 200,
        payers=_payers(world, payer),
        payload=payload,
        error=error,
        why=str(why),
    )


def _payers(world: World, chosen: str) -> list[PayerChoice]:
    accounts = world.bank.payers()
    known = {account.payer for account in accounts}
    chosen = chosen if chosen in known else accounts[0].payer
    return [
        PayerChoice(
            name=account.payer,
            holder=account.holder,
            bank=BANKS[account.bin].name,
            number=account.number,
            balance=format_vnd(account.balance_vnd),
            is_chosen=account.payer == chosen,
        )
        for account in accounts
    ]


def _review(
    world: World, payload: str, payer: str, *, memo: str = "", digits: str = "", intent: str = ""
) -> ReviewPage:
    code = read_payload(payload)
    target = world.bank.look_up(code.bin, code.number)
    source = world.bank.payer(payer)
    amount_digits = _digits_of(code, digits)
    return ReviewPage(
        payload=payload,
        payer=source.payer,
        payer_line=f"{source.holder} · {BANKS[source.bin].name} {source.number}",
        holder=target.holder,
        bank=BANKS[target.bin].name,
        number=target.number,
        amount=format_vnd(code.amount_vnd) if code.amount_vnd is not None else "",
        amount_digits=amount_digits,
        is_amount_locked=code.is_amount_locked,
        memo=memo if intent else code.memo,
        intent=intent or token_urlsafe(16),
    )


def _digits_of(code: Code, typed: str) -> str:
    if code.amount_vnd is not None and (code.is_amount_locked or not typed):
        return str(code.amount_vnd)
    return typed


def _read_amount(digits: str) -> int:
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 15:
        raise BadRequest("no_amount")
    return int(digits)


def _word_of(error: SandboxError) -> str:
    return "no_amount" if str(error) == "no_amount" else error.code


async def _payload_of_upload(form: FormData) -> str:
    picture = form.get("picture")
    if not isinstance(picture, UploadFile) or not picture.size:
        return ""
    if picture.size > IMAGE_BYTES_MAX:
        raise CodeUnreadable("The picture is larger than 8 MiB.")
    return await to_thread.run_sync(read_picture, await picture.read())


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value[:2_000] if isinstance(value, str) else ""


ROUTES: Final = [
    Route("/", home),
    Route("/app", start),
    Route("/app/review", review, methods=["POST"]),
    Route("/app/confirm", confirm, methods=["POST"]),
    Route("/app/receipt/{ft}", receipt),
    Route("/web/{id}", checkout),
]
