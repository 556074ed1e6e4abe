"""The control page: what is registered, which faults are set, and what the sender logged."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.money import format_vnd
from sandbox.app_pages import render
from sandbox.bank import BANKS
from sandbox.delivery import Delivery
from sandbox.faults import FaultProfile
from sandbox.ft_numbers import VIETNAM
from sandbox.memos import Style
from sandbox.statements.formats import FORMATS
from sandbox.wire import world_of

ROWS: Final = 50
# The faults that the page's form offers; the API takes the whole profile.
OFFERED: Final = (
    ("duplicates", "Gửi trùng thêm n lần", "Extra copies"),
    ("reorder_window", "Đảo thứ tự trong n tin", "Shuffle within n"),
    ("delay_s", "Gửi muộn (giây)", "Delay (s)"),
    ("drop_percent", "Không gửi (%)", "Drop (%)"),
    ("wrong_amount_percent", "Sai số tiền (%)", "Wrong amount (%)"),
    ("wrong_memo_percent", "Sai nội dung (%)", "Wrong memo (%)"),
    ("wrong_signature_percent", "Sai chữ ký (%)", "Wrong signature (%)"),
    ("same_id_other_amount_percent", "Cùng mã, khác tiền (%)", "Same id, other amount (%)"),
    ("clock_skew_s", "Lệch đồng hồ (giây)", "Clock skew (s)"),
    ("silent_s", "Im lặng (giây)", "Silent for (s)"),
)
# What payOS's merchant API does when a code is requested.
API_FAULTS: Final = (
    ("", "Bình thường", "As it should"),
    ("no_answer", "Tạo rồi, không trả lời", "Made, and no answer"),
    ("error_after", "Tạo rồi, báo lỗi 502", "Made, answered 502"),
    ("error_before", "Không tạo, báo lỗi 502", "Not made, answered 502"),
)
# What payers and slow banks do, set for an account.
OFFERED_FOR_ACCOUNTS: Final = (
    ("pay_twice_percent", "Trả hai lần (%)", "Pay twice (%)"),
    ("settle_after_s", "Tiền đến sau (giây)", "Booked after (s)"),
)
# What a downloaded statement may have wrong; its encoding and its end besides.
OFFERED_FOR_STATEMENTS: Final = (
    ("missing", "Thiếu n dòng", "Lines missing"),
    ("extra", "Thừa n dòng", "Lines too many"),
    ("wrong_total_vnd", "Sai số dư cuối kỳ (₫)", "Closing balance off by (₫)"),
)


@dataclass(frozen=True, kw_only=True)
class DeliveryRow:
    """One row of the log table."""

    id: int
    provider: str
    subscription_id: str
    reference: str
    kind: str
    amount: str
    faults: str
    state: str
    attempts: int
    status: str
    ms: str
    next_attempt: str


async def show(request: Request) -> Response:
    """Show the control page."""
    world = world_of(request)
    newest = list(world.dispatcher.log.values())[: -ROWS - 1 : -1]
    return render(
        request,
        "control.html",
        seed=world.seed,
        time_scale=world.dispatcher.time_scale,
        style=world.style.value,
        styles=[style.value for style in Style],
        counts=sorted(world.dispatcher.counts().items()),
        pending=world.dispatcher.pending(),
        lines=world.bank.lines_seen,
        offered=OFFERED,
        api_faults=API_FAULTS,
        offered_for_accounts=OFFERED_FOR_ACCOUNTS,
        offered_for_statements=OFFERED_FOR_STATEMENTS,
        formats=[(name, *form.words) for name, form in FORMATS.items()],
        subscriptions=[
            {
                "id": subscription.id,
                "provider": subscription.provider,
                "url": subscription.url,
                "code": subscription.url.rpartition("/")[2][:4],  # of the hub's organisation
                "accounts": len(subscription.accounts),
                "faults": _set_faults(world.subscription_faults.get(subscription.id)),
            }
            for subscription in world.subscriptions.values()
        ],
        accounts=[
            {
                "bin": account.bin,
                "number": account.number,
                "bank": BANKS[account.bin].name,
                "holder": account.holder,
                "pays": bool(account.payer),
                "balance": format_vnd(account.balance_vnd),
                "faults": _set_faults(world.account_faults.get(account.key)),
            }
            for account in list(world.bank.accounts.values())[: 4 * ROWS]
            if not account.parent
        ],
        deliveries=[_row(delivery) for delivery in newest],
    )


def _set_faults(profile: FaultProfile | None) -> str:
    if profile is None:
        return ""
    honest = msgspec.to_builtins(FaultProfile())
    shown: dict[str, Any] = msgspec.to_builtins(profile)
    return ", ".join(f"{name}={value}" for name, value in shown.items() if value != honest[name])


def _row(delivery: Delivery) -> DeliveryRow:
    last = delivery.attempts[-1] if delivery.attempts else None
    following = delivery.next_attempt_at
    return DeliveryRow(
        id=delivery.id,
        provider=delivery.provider,
        subscription_id=delivery.subscription_id,
        reference=delivery.reference,
        kind=delivery.kind,
        amount=format_vnd(delivery.amount_vnd),
        faults=", ".join(delivery.faults),
        state=delivery.state,
        attempts=len(delivery.attempts),
        status=(str(last.status) if last.status else last.error) if last else "",
        ms=str(last.ms) if last else "",
        next_attempt=f"{following.astimezone(VIETNAM):%H:%M:%S}" if following else "",
    )


ROUTES: Final = [Route("/control", show)]
