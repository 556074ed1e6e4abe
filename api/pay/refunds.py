"""The payer's own form for where money goes back to, behind the link of a bill that is refunded.

It is there while a refund of the bill waits and the paying account is not known. What is typed is
not proven: whoever approves the refund is told so. The page never shows an account that was typed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Request
from starlette.responses import RedirectResponse, Response

from api.http.deps import Now, TheDatabase, TheLimits, TheSettings, check_not_cross_site, public
from api.http.i18n import translate
from api.http.networks import network_of
from api.http.templating import language_of, templates
from api.pay.routes import Opened, TheOpened, private
from core.errors import InvalidRequest
from core.masking import mask_tail
from core.tenancy import open_org_transaction
from core.text import tidy_line
from payments.payees.errors import BadAccount
from payments.payees.rules import HOLDER_CHARS_MAX
from payments.refunds.errors import (
    RefundDestinationFixed,
    RefundLinkLimit,
    RefundNamesDiffer,
    RefundNotFound,
)
from payments.refunds.payer_links import enter_by_payer
from payments.refunds.queries_links import WaitingRefund, list_waiting
from payments.vietqr.banks import list_banks, name_bank

router = APIRouter(prefix="/p/{link}/refund", include_in_schema=False, dependencies=[public])

FORM_BYTES_MAX: Final = 16_384
Text = Annotated[str, Form(max_length=200)]
Errors = Mapping[str, str]
FIELD_OF: Final = {"bin": "bin", "account_number": "account_number", "holder_name": "name"}


@dataclass(frozen=True, kw_only=True)
class Typed:
    """What a payer typed; the second name is never shown again."""

    bin: str = ""
    account_number: str = ""
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class PayerRefundPage:
    """Everything templates/pay_refund.html may use, already worded."""

    path: str  # of the bill
    payee_name: str
    reference: str
    refund_id: UUID | None  # that an account is typed for; None: there is none any more
    amount_vnd: int
    entered: tuple[tuple[int, str], ...]  # (đồng, "MB ****6789") of those that have one
    banks: tuple[tuple[str, str], ...]
    typed: Typed
    errors: Errors


@router.get("")
async def show_form(request: Request, opened: TheOpened) -> Response:
    """Show the form, or that an account is there and waits for a decision."""
    if not opened.refunds:
        return private(RedirectResponse(f"/p/{opened.link}", 303))
    return _render(request, opened, opened.refunds, Typed())


@router.post("", max_body_size=FORM_BYTES_MAX)
async def take_account(
    request: Request,
    opened: TheOpened,
    database: TheDatabase,
    limits: TheLimits,
    settings: TheSettings,
    now: Now,
    refund_id: Annotated[UUID, Form()],
    bin_: Annotated[str, Form(alias="bin", max_length=20)] = "",
    account_number: Text = "",
    name: Text = "",
    name_again: Text = "",
) -> Response:
    """Take the account that a payer typed, and go on to what the page says then."""
    check_not_cross_site(request)
    limits.refund_accounts.take(network_of(request))
    limits.refund_accounts_of_link.take(opened.link)  # from many networks, too
    lang = language_of(request)
    typed = Typed(bin=bin_, account_number="".join(account_number.split()), name=tidy_line(name))
    errors: dict[str, str] = {}
    if len(typed.name) > HOLDER_CHARS_MAX:
        errors["name"] = translate(lang, "pay_refund.error.name")
    if not errors:
        try:
            async with open_org_transaction(database, opened.org.id) as session:
                await enter_by_payer(
                    session,
                    opened.org.id,
                    opened.bill.id,
                    refund_id,
                    bin_=typed.bin,
                    account_number=typed.account_number,
                    name=typed.name,
                    name_again=tidy_line(name_again),
                    vnd_per_day_max=settings.refund_link_vnd_per_day,
                    now=now,
                )
        except RefundNamesDiffer:
            errors["name_again"] = translate(lang, "pay_refund.error.name_again")
        except (BadAccount, InvalidRequest) as error:
            for one in error.violations:
                field = FIELD_OF.get(one.field, "")
                errors[field] = translate(lang, f"pay_refund.error.{field or 'other'}")
        except RefundLinkLimit:
            errors[""] = translate(lang, "pay_refund.error.limit")
        except (RefundDestinationFixed, RefundNotFound):
            errors[""] = translate(lang, "pay_refund.error.fixed")
    if not errors:
        return private(RedirectResponse(f"/p/{opened.link}/refund", 303))
    async with open_org_transaction(database, opened.org.id) as session:
        waiting = await list_waiting(
            session, opened.org.id, opened.bill.id, vnd_max=settings.refund_link_vnd_per_day
        )
    return _render(request, opened, waiting, typed, errors=errors)


def _render(
    request: Request,
    opened: Opened,
    waiting: Sequence[WaitingRefund],
    typed: Typed,
    *,
    errors: Errors | None = None,
) -> Response:
    missing = next((one for one in waiting if one.destination_account is None), None)
    page = PayerRefundPage(
        path=f"/p/{opened.link}",
        payee_name=opened.bill.payee_name,
        reference=opened.bill.reference,
        refund_id=None if missing is None else missing.id,
        amount_vnd=0 if missing is None else missing.amount_vnd,
        entered=tuple(
            (one.amount_vnd, f"{name_bank(one.destination_bank)} {mask_tail(account)}")
            for one in waiting
            if (account := one.destination_account) and one.destination_bank
        ),
        banks=tuple((bank.bin, bank.short_name) for bank in list_banks()),
        typed=typed,
        errors=errors or {},
    )
    status = 422 if errors else 200
    answer = templates.TemplateResponse(
        request, "pay_refund.html", {"page": page}, status_code=status
    )
    return private(answer)
