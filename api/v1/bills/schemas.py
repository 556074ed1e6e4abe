"""Requests and answers about bills."""

from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from pydantic import Field

from api.http.fields import AmountVnd, Body, Line, Read, ReasonText
from api.http.problem import Problem
from payments.bills.rules import BillFacts, BillStatus, CodeState, effective_status
from payments.vietqr.banks import find_bank

PURPOSE_CHARS_MAX: Final = 140
EXTERNAL_ID_CHARS_MAX: Final = 100
BATCH_ITEMS_MAX: Final = 500

BILL_CREATE: Final = {"$ref": "#/components/schemas/BillCreate"}

ExternalId = Annotated[
    Line,
    Field(
        min_length=1,
        max_length=EXTERNAL_ID_CHARS_MAX,
        examples=["HD-2026-000123"],
        description="Your own number; need not be unique.",
    ),
]


class BillCreate(Body):
    """What is owed, by whom it is taken, and for how long."""

    payee_id: UUID
    amount_vnd: AmountVnd | None = Field(
        description="Whole đồng; null lets the payer choose. Must be given, so that an amount that"
        " was forgotten does not become an open one."
    )
    purpose: Annotated[Line, Field(max_length=PURPOSE_CHARS_MAX, examples=["2 phở bò"])] = ""
    external_id: ExternalId | None = None
    valid_for_s: Annotated[int, Field(strict=True, ge=30, le=86_400)] | None = Field(
        default=None, description="Seconds until it expires; 15 minutes unless the hub says other."
    )
    rail: Literal["vietqr", "payos"] = Field(
        default="vietqr",
        description="How it is to be paid. `payos` opens a payment request there; the payee's"
        " account needs an endpoint of payOS with client id and API key. Not in a batch.",
    )
    id: UUID | None = Field(
        default=None,
        description="An id of your own making: a UUIDv7 whose time is within the last 35 days and"
        " the next 10 minutes. Repeating it with the same facts answers the same bill.",
    )


class BillsCreate(Body):
    """Several bills at once; each stands for itself. Bad items are answered one by one."""

    bills: Annotated[
        list[dict[str, Any]],
        Field(
            min_length=1,
            max_length=BATCH_ITEMS_MAX,
            description="Each as in POST /v1/bills.",
            json_schema_extra={
                "items": {"anyOf": [BILL_CREATE, {"type": "object"}]},
            },
        ),
    ]


class BillCancel(Body):
    """Why."""

    reason: ReasonText | None = None


class CashPayment(Body):
    """Cash that a person took for the rest of a bill."""

    id: UUID = Field(
        description="A UUIDv7 of your own making, as for bills. Repeating it answers the same."
    )
    amount_vnd: AmountVnd = Field(description="Just what the bill still owes (`missing_vnd`).")


class BillPayee(Read):
    """Who the money is for."""

    id: UUID
    name: str
    place: str


class BillAccount(Read):
    """Where the money goes, as the code names it."""

    id: UUID
    bin: str = Field(examples=["970436"])
    bank: str | None = Field(examples=["Vietcombank"], description="Short name; null if unknown.")
    account_number: str = Field(description="The virtual account where there is one.")
    holder_name: str


class BillLinks(Read):
    """Where to go on."""

    self: str
    qr_svg: str
    qr_png: str
    card_png: str


class BillRead(Read):
    """A bill as it stands now."""

    id: UUID
    payee: BillPayee
    reference: str = Field(examples=["PPDXA22345678"], description="The memo of the transfer.")
    amount_vnd: int | None = Field(description="Null: the payer chooses.")
    paid_vnd: int = Field(
        description="Applied to the bill, or given up of it; never more than its amount."
    )
    received_vnd: int = Field(
        description="All that came in for it, with what was too much, and what was given up of it."
    )
    missing_vnd: int | None = Field(description="Still owed; 0 once paid, null for an open amount.")
    status: BillStatus = Field(description="Now: `expired` as soon as its time is over.")
    is_late: bool = Field(description="Some of it was paid after the bill's time.")
    purpose: str
    external_id: str | None
    created_at: datetime
    expires_at: datetime
    monitor_until: datetime = Field(description="Until when late money is looked for.")
    paid_at: datetime | None
    cancelled_at: datetime | None
    vietqr: str | None = Field(
        description="The payload of the code; `links` draw it. Null once nothing is to be paid,"
        " and while `code_state` is not `ready`."
    )
    rail: str = Field(examples=["vietqr", "payos"])
    code_state: CodeState | None = Field(
        description="`pending`: the rail's provider has not answered yet; `failed`: there"
        " will be no code, open another bill. Null once nothing is to be paid."
    )
    code_problem: str | None = Field(
        description="Why the rail's provider opened nothing: `keys_refused`, `order_refused`,"
        " `no_connection`. With `code_state` `ready` the code is VietQR direct instead."
    )
    checkout_url: str | None = Field(description="The provider's own page, where it has one.")
    receiving_account: BillAccount
    pay_url: str = Field(description="A page for the payer; whoever has it sees this bill.")
    links: BillLinks


class BillPage(Read):
    """A page of bills, newest first."""

    bills: list[BillRead]
    next_cursor: str | None


class BatchItem(Read):
    """One item's answer, in the order of the request: a bill or a problem."""

    status: int = Field(examples=[201], description="What POST /v1/bills would have answered.")
    is_replayed: bool
    bill: BillRead | None = None
    problem: Problem | None = None


class BatchRead(Read):
    """The answers of a batch."""

    results: list[BatchItem]


class CheckRead(Read):
    """What polling the provider found, and the bill after it."""

    rows: int = Field(description="Transactions that the provider reported, known or new.")
    providers: list[str]
    bill: BillRead


def write_bill(bill: BillFacts, *, org_code: str, public_url: str, now: datetime) -> dict[str, Any]:
    """Return a BillRead as plain values.

    Made by hand and not by the model: a validated answer costs as much as the rest of the request.
    A test holds both equal.
    """
    bank = find_bank(bill.code_bin)
    path = f"/v1/bills/{bill.id}"
    status = effective_status(bill.status, expires_at=bill.expires_at, now=now)
    amount_vnd = bill.amount_vnd
    return {
        "id": bill.id,
        "payee": {"id": bill.payee_id, "name": bill.payee_name, "place": bill.place},
        "reference": bill.reference,
        "amount_vnd": amount_vnd,
        "paid_vnd": bill.paid_vnd,
        "received_vnd": bill.received_vnd,
        "missing_vnd": None if amount_vnd is None else amount_vnd - bill.paid_vnd,
        "status": status.value,
        "is_late": bill.is_late,
        "purpose": bill.purpose,
        "external_id": bill.external_id,
        "created_at": bill.created_at,
        "expires_at": bill.expires_at,
        "monitor_until": bill.monitor_until,
        "paid_at": bill.paid_at,
        "cancelled_at": bill.cancelled_at,
        "vietqr": bill.vietqr if bill.has_code else None,
        "rail": bill.rail,
        "code_state": bill.code_state.value if bill.is_payable else None,
        "code_problem": bill.rail_problem,
        "checkout_url": bill.checkout_url if bill.is_payable else None,
        "receiving_account": {
            "id": bill.receiving_account_id,
            "bin": bill.code_bin,
            "bank": None if bank is None else bank.short_name,
            "account_number": bill.code_account,
            "holder_name": bill.holder_name,
        },
        "pay_url": f"{public_url}/p/{org_code}-{bill.public_token}",
        "links": {
            "self": path,
            "qr_svg": f"{path}/qr.svg",
            "qr_png": f"{path}/qr.png",
            "card_png": f"{path}/card.png",
        },
    }


def hash_request(body: BillCreate) -> bytes:
    """Return the SHA-256 of the request, whatever spaces and order of keys it came with."""
    request = (
        body.payee_id,
        body.amount_vnd,
        body.purpose,
        body.external_id,
        body.valid_for_s,
        body.id,
        body.rail,
    )
    return sha256(msgspec.json.encode(request)).digest()
