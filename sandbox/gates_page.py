"""The control page of what stands at gates: toll wallets, their operator, and barriers."""

from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.money import format_vnd
from sandbox.app_pages import render
from sandbox.ft_numbers import VIETNAM
from sandbox.lanes import Lane
from sandbox.toll import Charge, Wallet
from sandbox.wire import world_of

ROWS: Final = 50
# What the operator does with the next charges; the API takes the whole profile.
OFFERED: Final = (
    ("", "Bình thường", "As it should"),
    ("pending", "Chưa quyết, trừ tiền muộn", "Undecided, charged late"),
    ("no_answer", "Đã trừ tiền, im lặng", "Charged, and silent"),
    ("error_after", "Đã trừ tiền, báo lỗi 502", "Charged, answered 502"),
    ("error_before", "Không trừ tiền, báo lỗi 502", "Not charged, answered 502"),
    ("wrong_signature", "Sai chữ ký", "Wrong signature"),
    ("wrong_amount", "Sai số tiền", "Wrong amount"),
)
BEHAVIOURS: Final = (
    ("open", "Mở", "Opens"),
    ("stuck", "Kẹt", "Is stuck"),
    ("silent", "Mở nhưng không báo", "Opens and says nothing"),
)


@dataclass(frozen=True, kw_only=True)
class WalletRow:
    """A driver's wallet."""

    kind: str
    value: str
    balance: str
    is_locked: bool


@dataclass(frozen=True, kw_only=True)
class ChargeRow:
    """What was asked of a wallet, and what became of it."""

    charge_id: str
    wallet: str
    amount: str
    reference: str
    status: str
    at: str


@dataclass(frozen=True, kw_only=True)
class LaneRow:
    """A barrier."""

    access_id: str
    behaviour: str
    answers_after_ms: int
    opened: int
    last_error: str


async def show(request: Request) -> Response:
    """Show the page."""
    world = world_of(request)
    charges = [world.toll.look(one) for one in list(world.toll.charges.values())[: -ROWS - 1 : -1]]
    return render(
        request,
        "gates.html",
        offered=OFFERED,
        behaviours=BEHAVIOURS,
        faults=world.toll.faults,
        wallets=[_wallet(one) for one in list(world.toll.wallets.values())[: -ROWS - 1 : -1]],
        charges=[_charge(one) for one in charges],
        lanes=[_lane(one) for one in world.lanes.values()],
    )


def _wallet(wallet: Wallet) -> WalletRow:
    return WalletRow(
        kind=wallet.kind,
        value=wallet.value,
        balance=format_vnd(wallet.balance_vnd),
        is_locked=wallet.is_locked,
    )


def _charge(charge: Charge) -> ChargeRow:
    at = charge.charged_at
    return ChargeRow(
        charge_id=charge.charge_id,
        wallet=charge.wallet[1],
        amount=format_vnd(charge.amount_vnd),
        reference=charge.reference,
        status=f"{charge.status} {charge.problem}".rstrip(),
        at=f"{at.astimezone(VIETNAM):%H:%M:%S}" if at else "",
    )


def _lane(lane: Lane) -> LaneRow:
    return LaneRow(
        access_id=lane.wanted.access_id,
        behaviour=lane.behaviour,
        answers_after_ms=lane.answers_after_ms,
        opened=len(lane.carried_out),
        last_error=lane.last_error,
    )


ROUTES: Final = [Route("/control/gates", show)]
