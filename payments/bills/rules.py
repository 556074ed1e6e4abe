"""A bill's state at an instant, and the facts of a request for one. Pure."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from core.clock import hanoi_day
from core.idempotency import Repeatable
from core.ids import milliseconds_of
from payments.bills.errors import BillCodeFailed, BillCodePending, BillNotPayable, BillTooLong
from payments.payees.rules import PayeeRoute
from payments.vietqr import bill_codes


class BillStatus(StrEnum):
    """Stored states. A bill open past `expires_at` is *expired* by effect, not by a write."""

    OPEN = "open"
    PART_PAID = "part_paid"
    PAID = "paid"
    OVER_PAID = "over_paid"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    PART_REFUNDED = "part_refunded"
    REFUNDED = "refunded"


class RailStatus(StrEnum):
    """How far a bill's request at its rail's provider has come; VietQR direct has none."""

    PENDING = "pending"  # written down; nobody has answered yet
    OPEN = "open"  # its code pays the bill
    UNKNOWN = "unknown"  # requested, and the answer was lost: its state is requested
    FAILED = "failed"  # refused for certain: no order of the provider's pays this bill
    CANCELLED = "cancelled"  # at the provider too
    CLOSED = "closed"  # paid there, or past its time: nothing is left to do
    REOPENED = "reopened"  # over there, and owed again here: to be requested anew


TO_COME: Final = frozenset({RailStatus.PENDING, RailStatus.UNKNOWN, RailStatus.REOPENED})


class CodeState(StrEnum):
    """Whether a payable bill has a code to show."""

    READY = "ready"
    PENDING = "pending"  # its rail's provider has not answered yet
    FAILED = "failed"  # it will have none


SETTLEABLE: Final = frozenset({BillStatus.OPEN, BillStatus.PART_PAID, BillStatus.EXPIRED})


@dataclass(kw_only=True, slots=True)
class BillState:
    """A locked bill while a batch is being settled; it changes as its credits are applied."""

    id: UUID
    payee_id: UUID
    receiving_account_id: UUID
    virtual_account: str | None
    rail: str
    provider_order_id: str | None
    reference: str
    amount_vnd: int | None
    paid_vnd: int
    received_vnd: int
    status: str
    is_late: bool
    expires_at: datetime
    monitor_until: datetime
    paid_at: datetime | None
    owner_kind: str | None  # who is notified when its status changes
    owner_id: UUID | None
    status_locked: str  # what it was when it was locked


UNPAID: Final = frozenset({BillStatus.OPEN, BillStatus.PART_PAID, BillStatus.EXPIRED})
CANCELLABLE: Final = UNPAID
GIVEN_BACK: Final = frozenset({BillStatus.PART_REFUNDED, BillStatus.REFUNDED})
# Ids that clients make are UUIDv7 of about now: lists are in the order of ids.
ID_AGE_MAX: Final = timedelta(days=35)
ID_AHEAD_MAX: Final = timedelta(minutes=10)
KEYED_FOR_MAX: Final = timedelta(hours=24)
OWNED_FOR_MAX: Final = timedelta(days=731)  # two years, a leap day among them


@dataclass(frozen=True, kw_only=True, slots=True)
class BillRequest:
    """One bill that is requested."""

    payee_id: UUID
    amount_vnd: int | None
    purpose: str
    expires_at: datetime
    monitor_until: datetime
    created_by: UUID
    id: UUID | None = None
    external_id: str | None = None
    repeatable: Repeatable | None = None
    rail: str = bill_codes.NAME
    owner_kind: str | None = None  # the package notified when its status changes, and the subject
    owner_id: UUID | None = None
    due_on: date | None = None  # only with an owner: by when it is to be paid

    def __post_init__(self) -> None:
        """Hold a request to the times that its kind may have (a programmer's mistake)."""
        assert (self.owner_kind is None) == (self.owner_id is None)
        assert self.due_on is None or self.owner_kind is not None


def check_times(request: BillRequest, *, now: datetime) -> None:
    """Refuse an expiry that is further ahead than a bill of its kind may have.

    A bill that a person keyed is paid at once or not at all; dues and passes run for long.

    Raises:
        BillTooLong
    """
    is_owned = request.owner_kind is not None
    if request.expires_at - now > (OWNED_FOR_MAX if is_owned else KEYED_FOR_MAX):
        raise BillTooLong(is_owned=is_owned)


@dataclass(frozen=True, kw_only=True, slots=True)
class BillFacts:
    """A bill as the rules, screens and the API see it."""

    org_id: UUID
    id: UUID
    payee_id: UUID
    payee_name: str
    place: str
    receiving_account_id: UUID
    bin: str
    account_number: str
    virtual_account: str | None
    holder_name: str
    rail: str
    provider_order_id: str | None
    reference: str
    public_token: str
    amount_vnd: int | None
    paid_vnd: int  # applied, never more than the amount
    received_vnd: int  # with what was too much
    purpose: str
    external_id: str | None
    status: str  # as stored; see effective_status
    is_late: bool
    created_by: UUID
    created_at: datetime
    expires_at: datetime
    monitor_until: datetime
    paid_at: datetime | None
    cancelled_at: datetime | None
    # No fact of the bill: whether an earlier request opened it, for the answer to this one.
    is_replayed: bool = field(default=False, compare=False)
    # Of its request at the rail's provider, where the rail has one.
    rail_status: str | None = None
    rail_problem: str | None = None
    falls_back: bool | None = None  # the request failed, and VietQR direct pays the bill
    checkout_url: str | None = None
    rail_payload: str | None = None
    rail_bin: str | None = None
    rail_account: str | None = None
    owner_kind: str | None = None
    owner_id: UUID | None = None
    due_on: date | None = None

    @property
    def code_state(self) -> CodeState:
        """Whether there is a code that pays this bill."""
        if self.rail == bill_codes.NAME or self.rail_status == RailStatus.OPEN or self.falls_back:
            return CodeState.READY
        if self.rail_status in (None, *TO_COME):
            return CodeState.PENDING
        return CodeState.FAILED

    @property
    def has_code(self) -> bool:
        """Whether `vietqr` has something to say."""
        return self.is_payable and self.code_state is CodeState.READY

    @property
    def code_account(self) -> str:
        """The number that the code names: the virtual account where there is one."""
        return self.rail_account or self.virtual_account or self.account_number

    @property
    def code_bin(self) -> str:
        """The BIN of the bank whose account the code names."""
        return self.rail_bin or self.bin

    @property
    def is_payable(self) -> bool:
        """Whether money is still owed; after its time, too: a late payer pays it all the same."""
        return self.status in UNPAID

    @property
    def is_part_paid(self) -> bool:
        """Whether a part came and the rest is owed, be its time over or not."""
        return self.is_payable and self.paid_vnd > 0

    @property
    def vietqr(self) -> str:
        """The payload of the code that pays this bill.

        Raises:
            BillNotPayable: it is settled or cancelled.
            BillCodePending, BillCodeFailed: its rail has made none, yet or for good.
        """
        if not self.is_payable:
            raise BillNotPayable(self.status)
        if self.code_state is CodeState.PENDING:
            raise BillCodePending
        if self.code_state is CodeState.FAILED:
            raise BillCodeFailed
        if self.rail_payload is not None and self.code_amount_vnd is not None:
            return bill_codes.ask_for_rest(self.rail_payload, amount_vnd=self.code_amount_vnd)
        return bill_codes.write_bill_code(
            bin_=self.bin,
            account=self.code_account,
            amount_vnd=self.code_amount_vnd,
            reference=self.reference,
        )

    @property
    def code_amount_vnd(self) -> int | None:
        """What the code asks for: the đồng still owed, or None where the payer chooses.

        Raises:
            BillNotPayable: it is settled or cancelled, and has no code that could ask.
        """
        if not self.is_payable:
            raise BillNotPayable(self.status)
        return None if self.amount_vnd is None else self.amount_vnd - self.paid_vnd


def effective_status(status: str, *, expires_at: datetime, now: datetime) -> BillStatus:
    """Return the status at an instant: an unpaid bill past its time is expired, swept or not."""
    if status in (BillStatus.OPEN, BillStatus.PART_PAID) and now >= expires_at:
        return BillStatus.EXPIRED
    return BillStatus(status)


def is_late(occurred_at: datetime, *, is_date_only: bool, expires_at: datetime) -> bool:
    """Tell whether money came after a bill's time, by the bank's clock.

    A line that has a date and no time is never late on the day of expiry.
    """
    if is_date_only:
        return hanoi_day(occurred_at) > hanoi_day(expires_at)
    return occurred_at > expires_at


def check_client_id(bill_id: UUID, *, now: datetime) -> str | None:
    """Say what is wrong with an id that a client made, or None.

    It must be a UUIDv7 whose time is at most 35 days past and 10 minutes ahead.
    """
    if bill_id.version != 7:
        return "An id of your own must be a UUIDv7 (RFC 9562)."
    made_at_s = milliseconds_of(bill_id) / 1_000
    if not (now - ID_AGE_MAX).timestamp() <= made_at_s <= (now + ID_AHEAD_MAX).timestamp():
        return "The id's time must be within the last 35 days and the next 10 minutes."
    return None


def is_same_request(bill: BillFacts, request: BillRequest) -> bool:
    """Tell whether a client-made id came again for the same bill."""
    return (
        bill.payee_id,
        bill.amount_vnd,
        bill.purpose,
        bill.external_id,
        bill.rail,
        bill.owner_id,
    ) == (
        request.payee_id,
        request.amount_vnd,
        request.purpose,
        request.external_id,
        request.rail,
        request.owner_id,
    )


def new_bill(
    org_id: UUID,
    bill_id: UUID,
    request: BillRequest,
    route: PayeeRoute,
    *,
    reference: str,
    public_token: str,
    now: datetime,
) -> BillFacts:
    """Make the facts of a bill that is about to be stored on its payee's route."""
    return BillFacts(
        org_id=org_id,
        id=bill_id,
        payee_id=request.payee_id,
        payee_name=route.payee_name,
        place=route.place,
        receiving_account_id=route.receiving_account_id,
        bin=route.bin,
        account_number=route.account_number,
        virtual_account=route.virtual_account,
        holder_name=route.holder_name,
        rail=request.rail,
        provider_order_id=None,
        reference=reference,
        public_token=public_token,
        amount_vnd=request.amount_vnd,
        paid_vnd=0,
        received_vnd=0,
        purpose=request.purpose,
        external_id=request.external_id,
        status=BillStatus.OPEN.value,
        is_late=False,
        created_by=request.created_by,
        created_at=now,
        expires_at=request.expires_at,
        monitor_until=request.monitor_until,
        paid_at=None,
        cancelled_at=None,
        owner_kind=request.owner_kind,
        owner_id=request.owner_id,
        due_on=request.due_on,
    )


def printed_payload(route: PayeeRoute, *, amount_vnd: int | None = None) -> str:
    """Write the code that hangs at a stall: static, without a reference, at will with a price."""
    return bill_codes.write_printed_code(
        bin_=route.bin, account=route.code_account, amount_vnd=amount_vnd
    )
