"""Protocol of a rail: how a bill is opened, found and cancelled where somebody else keeps it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import httpx

from payments.providers.pulling import PullCredentials
from payments.providers.types import EndpointSecrets


@dataclass(frozen=True, kw_only=True, slots=True)
class Channel:
    """Where a rail's requests go, and with which keys; opened for one call, never kept."""

    url: str
    credentials: PullCredentials
    secrets: EndpointSecrets


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """One bill as a provider is to open it."""

    order_id: str
    reference: str
    amount_vnd: int
    pay_url: str  # the payer's page, to which the provider's own page leads back
    valid_until: datetime
    requested_at: datetime  # when the first request for the bill was written down


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedOrder:
    """What pays an order that the provider has opened just now."""

    request_id: str
    checkout_url: str
    payload: str  # of the VietQR code
    bin: str
    account_number: str  # as the code names it; often the order's own virtual account


class OrderState(StrEnum):
    """How an order stands at its provider."""

    WAITING = "waiting"  # it can be paid, and nothing came
    PART_PAID = "part_paid"  # a part came, and the rest can
    PAID = "paid"
    GONE = "gone"  # cancelled, expired or failed: nothing will come of it
    ABSENT = "absent"  # the provider knows no such order
    FOREIGN = "foreign"  # the number is taken by an order that is not ours


class RequestRefused(Exception):
    """The provider has said no: nothing was opened by this request, for certain."""

    def __init__(self, problem: "RailProblem") -> None:
        super().__init__(problem.value)
        self.problem = problem


class OrderExists(Exception):
    """The provider has this order already, perhaps of an answer that was lost."""


class ResultUnknown(Exception):
    """No answer, or none that can be read: the request may have been carried out or not."""


class RailProblem(StrEnum):
    """Why a request came to nothing; screens have words for each."""

    KEYS_REFUSED = "keys_refused"
    ORDER_REFUSED = "order_refused"
    NO_CONNECTION = "no_connection"  # its endpoint was revoked, or has no keys any more


class Remote(Protocol):
    """The part of a rail that somebody else keeps. Each method is one call with its own time-out.

    Raises (all three): ResultUnknown, RequestRefused; `open` also OrderExists.
    """

    @property
    def provider(self) -> str:
        """Whose endpoint has the keys, and who reports what was paid."""
        ...

    def number_order(self, reference: str, n: int) -> str:
        """Return the n-th order id of a bill, from 1: never another bill's."""
        ...

    async def open(
        self, client: httpx.AsyncClient, channel: Channel, order: Order
    ) -> OpenedOrder: ...

    async def find(
        self, client: httpx.AsyncClient, channel: Channel, order: Order
    ) -> OrderState: ...

    async def cancel(self, client: httpx.AsyncClient, channel: Channel, order: Order) -> None: ...


class Rail(Protocol):
    """One way for a bill to be paid."""

    @property
    def name(self) -> str:
        """The name in the API and in the database."""
        ...

    @property
    def remote(self) -> Remote | None:
        """How it is opened elsewhere; None where the code follows from the bill alone."""
        ...
