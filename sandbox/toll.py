"""A toll operator: drivers' wallets by plate or tag, and what was charged to them.

Its protocol is the hub's own (docs/toll.md), since no operator's contract is known. The signatures
are written here a second time, so that sender and receiver check each other.
"""

import hmac
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec

from sandbox.errors import AccountUnknown, AlreadyThere, BadRequest, NotFound, SandboxFull

WALLETS_MAX: Final = 20_000
CHARGES_MAX: Final = 50_000
CLIENTS_MAX: Final = 1_000
CLOCKS_DIFFER_S: Final = 300

Key = tuple[str, str]  # (plate or tag, its value in upper case)


class Wallet(msgspec.Struct, kw_only=True):
    """A driver's prepaid account."""

    kind: Literal["plate", "tag"]
    value: str
    balance_vnd: int = 0
    is_locked: bool = False

    @property
    def key(self) -> Key:
        """How it is found."""
        return (self.kind, self.value.upper())


class TollClient(msgspec.Struct, kw_only=True):
    """An organisation that may charge wallets."""

    client_id: str
    secret: str
    received_vnd: int = 0  # charged less refunded


class TollFaults(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How the operator misbehaves. The default is an honest one."""

    # no_answer, error_after: carried out, and never or wrongly answered; error_before: not.
    fault: Literal[
        "", "no_answer", "error_before", "error_after", "pending", "wrong_signature", "wrong_amount"
    ] = ""
    status: Annotated[int, msgspec.Meta(ge=300, le=599)] = 502  # of an error, which is not signed
    slow_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 0  # by the wall clock
    # Of `pending`: when it is decided; 0: never. By the wall clock.
    decided_after_ms: Annotated[int, msgspec.Meta(ge=0, le=3_600_000)] = 0
    on: Literal["charge", "find", "reverse"] = "charge"
    calls_left: Annotated[int, msgspec.Meta(ge=0)] | None = None  # None: until it is changed


class Charge(msgspec.Struct, kw_only=True):
    """One request, and what became of it."""

    request_id: UUID
    client_id: str
    wallet: Key
    amount_vnd: int
    reference: str
    status: Literal["charged", "pending", "declined"]
    problem: str = ""
    charge_id: str = ""
    charged_at: datetime | None = None
    decided_at: datetime | None = None  # of a pending one
    reversed_vnd: int = 0


class TollOperator:
    """All wallets and charges. The money in them is apart from the banks'."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.clients: dict[str, TollClient] = {}
        self.wallets: dict[Key, Wallet] = {}
        self.charges: dict[UUID, Charge] = {}
        self.faults = TollFaults()
        self.requests_seen = 0

    def admit(self, client_id: str, secret: str) -> TollClient:
        """Let an organisation charge wallets; the same again gives it another secret."""
        if client_id not in self.clients and len(self.clients) >= CLIENTS_MAX:
            raise SandboxFull(f"At most {CLIENTS_MAX} clients.")
        known = self.clients.setdefault(client_id, TollClient(client_id=client_id, secret=secret))
        known.secret = secret
        return known

    def open_wallet(self, wallet: Wallet) -> Wallet:
        """Open a wallet, or change the balance and the lock of one that is there."""
        if wallet.key not in self.wallets and len(self.wallets) >= WALLETS_MAX:
            raise SandboxFull(f"At most {WALLETS_MAX} wallets.")
        self.wallets[wallet.key] = wallet
        return wallet

    def find_wallet(self, kind: str, value: str) -> Wallet:
        """Return a wallet."""
        wallet = self.wallets.get((kind, value.upper()))
        if wallet is None:
            raise AccountUnknown(f"There is no toll wallet {value!r}.")
        return wallet

    def take_fault(self, on: str) -> TollFaults:
        """Return how the next call of a kind misbehaves, and count it."""
        profile = self.faults
        if profile.on != on or profile.calls_left == 0:
            return TollFaults()
        if profile.calls_left is not None:
            profile.calls_left -= 1
        return profile

    def charge(
        self,
        client: TollClient,
        request_id: UUID,
        wallet: Key,
        amount_vnd: int,
        reference: str,
        expires_at: datetime,
        *,
        faults: TollFaults,
    ) -> Charge:
        """Charge a wallet once for each request id; what is wrong with it is an answer.

        Raises:
            AlreadyThere: the id came with other facts.
            BadRequest: it expired before it arrived.
        """
        now = self._clock()
        key = (wallet[0], wallet[1].upper())
        if (known := self.charges.get(request_id)) is not None:
            if (known.client_id, known.wallet, known.amount_vnd) != (
                client.client_id,
                key,
                amount_vnd,
            ):
                raise AlreadyThere(f"{request_id} is another charge.")
            return self.look(known)
        if now > expires_at:
            raise BadRequest("The request has expired.")
        if len(self.charges) >= CHARGES_MAX:
            raise SandboxFull(f"At most {CHARGES_MAX} charges.")
        charge = Charge(
            request_id=request_id, client_id=client.client_id, wallet=key, amount_vnd=amount_vnd,
            reference=reference, status="pending", charge_id=f"ETC{len(self.charges) + 1:08d}",
        )  # fmt: skip
        self.charges[request_id] = charge
        if faults.fault == "pending":
            if faults.decided_after_ms:
                charge.decided_at = now + timedelta(milliseconds=faults.decided_after_ms)
            return charge
        self._decide(charge)
        return charge

    def look(self, charge: Charge) -> Charge:
        """Return a charge as it stands now: a pending one may be decided by this time."""
        is_due = charge.decided_at is not None and self._clock() >= charge.decided_at
        if charge.status == "pending" and is_due:
            self._decide(charge)
        return charge

    def decide(self, request_id: UUID) -> Charge:
        """Decide a pending charge at once."""
        charge = self.charges.get(request_id)
        if charge is None:
            raise NotFound("There is no such charge.")
        if charge.status == "pending":
            self._decide(charge)
        return charge

    def reverse(self, client: TollClient, request_id: UUID, amount_vnd: int) -> Charge | None:
        """Give money of a charge back, once; None: there is nothing to give back."""
        charge = self.charges.get(request_id)
        if charge is None or charge.client_id != client.client_id:
            return None
        if charge.reversed_vnd:
            return charge if charge.reversed_vnd == amount_vnd else None
        if self.look(charge).status != "charged" or not 0 < amount_vnd <= charge.amount_vnd:
            return None
        charge.reversed_vnd = amount_vnd
        self.wallets[charge.wallet].balance_vnd += amount_vnd
        client.received_vnd -= amount_vnd
        return charge

    def _decide(self, charge: Charge) -> None:
        wallet = self.wallets.get(charge.wallet)
        if wallet is None:
            charge.problem = "account_unknown"
        elif wallet.is_locked:
            charge.problem = "account_locked"
        elif wallet.balance_vnd < charge.amount_vnd:
            charge.problem = "not_enough_money"
        else:
            wallet.balance_vnd -= charge.amount_vnd
            self.clients[charge.client_id].received_vnd += charge.amount_vnd
            charge.status, charge.charged_at = "charged", self._clock()
            return
        charge.status = "declined"


def is_signed(client: TollClient, at: str, method: str, path: str, body: bytes, told: str) -> bool:
    """Whether a request's signature is its client's."""
    signed = f"{at}.{method}.{path}.".encode() + body
    wanted = hmac.new(client.secret.encode(), signed, sha256).hexdigest()
    return hmac.compare_digest(wanted.encode(), told.encode())


def sign(client: TollClient, answer: str) -> str:
    """Sign an answer."""
    return hmac.new(client.secret.encode(), b"answer." + answer.encode(), sha256).hexdigest()
