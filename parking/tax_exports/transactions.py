"""The read model of a seller's month: every posting to takings, as the transactions behind it.

It follows the ledger and nothing else: what the rows add up to is what the takings moved by, and
each is there once. A posting of many transactions (the cash of a shift, the deposit for what a
shift paid on behalf) is taken apart into them; where they do not add up to it, it stays one row.
"""

from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Database
from core.tenancy import open_org_transaction
from parking.places.models import Lot
from parking.shifts.late import CAUSE as LATE
from parking.shifts.queries import find_shifts
from parking.shifts.rules import CAUSE as CLOSE
from parking.tariffs import queries as tariff_queries
from parking.tariffs.in_force import LotRate, pick_rate
from parking.tariffs.reading import build_tariff
from parking.tax_exports import queries_sales
from parking.tax_exports.queries import list_payee_ids
from parking.tax_exports.rules import Item, Sale, TaxRow, kind_of, month_bounds
from payments.ledger import service as ledger
from payments.ledger.queries_takings import TakingsLeg, find_posted, list_legs

BATCH: Final = 2_000  # postings
PAYMENTS: Final = frozenset({"payment", "payment_reversal"})
REFUNDS: Final = frozenset({"refund", "refund_reversal"})
MATCHES: Final = frozenset({"match", "match_reversal"})


class Parts(NamedTuple):
    """What a posting is made of: its transactions, and of which of them the id is another's."""

    sales: Sequence[Sale]
    transaction_id: UUID | None = None  # of a refund: its own


@dataclass(kw_only=True, slots=True)
class MonthSums:
    """What was walked through so far, in đồng."""

    exported_vnd: int = 0
    takings_vnd: dict[UUID, int] = field(default_factory=lambda: defaultdict(int))
    sellers_payees: set[UUID] = field(default_factory=set)  # who took some of what was exported

    @property
    def of_sellers_payees_vnd(self) -> int:
        """All takings of those payees: the rest of them is no parking, or another seller's."""
        return sum(self.takings_vnd[one] for one in self.sellers_payees)


class SellersMonth:
    """A seller's transactions of one month, read in batches, each in a transaction of its own."""

    def __init__(
        self, database: Database, org_id: UUID, *, lots: Mapping[UUID, Lot], month: date
    ) -> None:
        self.sums = MonthSums()
        self._database, self._org_id, self._lots = database, org_id, lots
        self._since, self._until = month_bounds(month)
        self._tax_rates = _TaxRates()

    async def read(self) -> AsyncGenerator[list[TaxRow]]:
        """Read all rows, payee by payee: what was sold, then what was taken back."""
        async with open_org_transaction(self._database, self._org_id) as session:
            payee_ids = await list_payee_ids(session, self._org_id)
        for payee_id in payee_ids:
            for is_taken in (False, True):
                after: TakingsLeg | None = None
                while True:
                    async with open_org_transaction(self._database, self._org_id) as session:
                        legs = await list_legs(
                            session,
                            self._org_id,
                            payee_id,
                            is_taken=is_taken,
                            since=self._since,
                            until=self._until,
                            after=after,
                            limit=BATCH,
                        )
                        rows = await self._explain(session, payee_id, legs)
                    if rows:
                        yield rows
                    if len(legs) < BATCH:
                        break
                    after = legs[-1]

    async def is_whole(self) -> bool:
        """Whether what was walked through is what the ledger says of the month now."""
        async with open_org_transaction(self._database, self._org_id) as session:
            for payee_id in self.sums.sellers_payees:
                takings_vnd = await ledger.read_takings(
                    session, self._org_id, payee_id, since=self._since, until=self._until
                )
                if takings_vnd != self.sums.takings_vnd[payee_id]:
                    return False
        return True

    async def _explain(
        self, session: AsyncSession, payee_id: UUID, legs: Sequence[TakingsLeg]
    ) -> list[TaxRow]:
        """Return the seller's rows of these legs, and add up what they and the others moved."""
        parts = await _find_parts(session, self._org_id, legs)
        rows = []
        for leg in legs:
            self.sums.takings_vnd[payee_id] += leg.amount_vnd
            found = parts.get(leg.posting_id, Parts(()))
            for sale, amount_vnd in _share(leg.amount_vnd, found.sales):
                if sale.lot_id not in self._lots:
                    continue
                row = TaxRow(
                    kind=kind_of(leg.cause_kind),
                    transaction_id=found.transaction_id or sale.id,
                    posting_id=leg.posting_id,
                    sale=sale,
                    amount_vnd=amount_vnd,
                    booked_at=leg.posted_at,
                    tax_rate_bps=await self._tax_rates.find(session, self._org_id, sale),
                )
                self.sums.exported_vnd += amount_vnd
                self.sums.sellers_payees.add(payee_id)
                rows.append(row)
        return rows


class _TaxRates:
    """Tax rates of tariffs' versions. They never change, so each is read once."""

    def __init__(self) -> None:
        self._of_versions: dict[UUID, int | None] = {}
        self._of_lots: dict[UUID, list[LotRate]] = {}

    async def find(self, session: AsyncSession, org_id: UUID, sale: Sale) -> int | None:
        """Return the rate of the version that priced a sale, or of the lot's at that time."""
        version_id = sale.tariff_version_id
        if version_id is None:
            if sale.lot_id not in self._of_lots:
                rates = await tariff_queries.list_rates(session, org_id, [sale.lot_id])
                self._of_lots.update(rates)
            rate = pick_rate(self._of_lots[sale.lot_id], sale.sold_at)
            if rate is None:
                return None
            version_id = rate.version_id
        if version_id not in self._of_versions:
            documents = await tariff_queries.find_documents(session, org_id, [version_id])
            self._of_versions[version_id] = build_tariff(documents[version_id]).tax_rate_bps
        return self._of_versions[version_id]


async def _find_parts(
    session: AsyncSession, org_id: UUID, legs: Sequence[TakingsLeg]
) -> dict[UUID, Parts]:
    """Find what postings are made of; what is not parking's is left out."""
    causes: dict[str, set[UUID]] = defaultdict(set)
    for leg in legs:
        causes[leg.cause_kind].add(leg.cause_id)
    payments = await queries_sales.find_payments(session, org_id, _of(causes, PAYMENTS))
    refunds = await queries_sales.find_refunds(session, org_id, _of(causes, REFUNDS))
    lots_of_matches = await queries_sales.find_poster_sales(session, org_id, _of(causes, MATCHES))
    late = await queries_sales.find_tickets(session, org_id, causes[LATE])
    parts = {}
    for leg in legs:
        if leg.cause_kind in PAYMENTS and leg.cause_id in payments:
            parts[leg.posting_id] = Parts(
                await _take_apart(session, org_id, *payments[leg.cause_id])
            )
        elif leg.cause_kind in REFUNDS and leg.cause_id in refunds:
            parts[leg.posting_id] = Parts([refunds[leg.cause_id][0]], leg.cause_id)
        elif leg.cause_kind in MATCHES and leg.cause_id in lots_of_matches:
            parts[leg.posting_id] = Parts([_sell_on_poster(leg, lots_of_matches[leg.cause_id])])
        elif leg.cause_kind == LATE and leg.cause_id in late:
            parts[leg.posting_id] = Parts([late[leg.cause_id]])
        elif leg.cause_kind == CLOSE:
            parts[leg.posting_id] = Parts(await _list_cash(session, org_id, leg))
    return parts


async def _take_apart(
    session: AsyncSession, org_id: UUID, sale: Sale, bill_id: UUID
) -> Sequence[Sale]:
    """Return the drivers' tickets that a deposit pays for, or else the payment itself."""
    if sale.item is not Item.DEPOSIT:
        return [sale]
    tickets = await queries_sales.list_float_of_bill(session, org_id, bill_id)
    if sum(one.amount_vnd for one in tickets) != sale.amount_vnd:
        return [sale]  # it was paid in parts
    return tickets


async def _list_cash(session: AsyncSession, org_id: UUID, leg: TakingsLeg) -> Sequence[Sale]:
    """Return the tickets that the close of a shift posted: not what came later, by itself."""
    tickets = await queries_sales.list_cash_of_shift(session, org_id, leg.cause_id)
    late = await find_posted(session, org_id, LATE, [one.id for one in tickets])
    own = [one for one in tickets if one.id not in late]
    if sum(one.amount_vnd for one in own) == leg.amount_vnd:
        return own
    shift = (await find_shifts(session, org_id, [leg.cause_id]))[leg.cause_id]
    return [
        Sale(
            id=leg.cause_id,
            lot_id=shift.lot_id,
            item=Item.STAY,
            amount_vnd=leg.amount_vnd,
            sold_at=leg.effective_at,
            rail="cash",
        )
    ]


def _sell_on_poster(leg: TakingsLeg, lot_id: UUID) -> Sale:
    return Sale(
        id=leg.cause_id,
        lot_id=lot_id,
        item=Item.POSTER,
        amount_vnd=abs(leg.amount_vnd),
        sold_at=leg.effective_at,
        rail="poster",
    )


def _share(amount_vnd: int, sales: Sequence[Sale]) -> list[tuple[Sale, int]]:
    """Return each sale with what it moved of a posting's amount, which has its sign."""
    if len(sales) == 1:
        return [(sales[0], amount_vnd)]  # a refund may be of a part
    sign = -1 if amount_vnd < 0 else 1
    return [(one, sign * one.amount_vnd) for one in sales if one.amount_vnd]


def _of(causes: Mapping[str, set[UUID]], kinds: frozenset[str]) -> list[UUID]:
    return [cause_id for kind in kinds for cause_id in causes.get(kind, ())]
