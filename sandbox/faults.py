"""Callbacks that a line gives rise to, honest or not: pure, and drawn from a seed.

Shares are whole percent of lines (0 to 100); seconds are seconds of the provider's clock.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Literal

import msgspec

from sandbox.bank import Line
from sandbox.memos import default_memo

Percent = Annotated[int, msgspec.Meta(ge=0, le=100)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=86_400)]


class FaultProfile(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How one sender misbehaves. The default is an honest one."""

    # What happens to the callbacks of a line.
    duplicates: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0  # extra copies of each callback
    duplicates_at_once: bool = True  # False: one second apart
    duplicate_percent: Percent = 100  # of lines that get the copies
    reorder_window: Annotated[int, msgspec.Meta(ge=0, le=100)] = 0  # shuffled within so many
    reorder_flush_s: Seconds = 30  # an unfilled window goes out after this
    delay_s: Seconds = 0
    delay_percent: Percent = 100
    drop_percent: Percent = 0
    wrong_amount_percent: Percent = 0  # reported instead of the true amount
    wrong_memo_percent: Percent = 0  # the default memo instead of the payer's
    wrong_signature_percent: Percent = 0
    same_id_other_amount_percent: Percent = 0  # sent besides the honest callback
    clock_skew_s: Annotated[int, msgspec.Meta(ge=-86_400, le=86_400)] = 0
    silent_s: Seconds = 0  # nothing leaves for so long after the profile is set
    silent_then: Literal["send", "lose"] = "send"
    # What the payers do, for the profile of an account.
    pay_twice_percent: Percent = 0  # the payer sends the same again, under another FT number
    settle_after_s: Seconds = 0  # a slow transfer: booked so much later, e.g. after expiry
    # What payOS's merchant API does with payment requests.
    api_fault: Literal["", "no_answer", "error_before", "error_after"] = ""
    api_slow_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 0  # by the wall clock
    api_on: Literal["create", "show", "cancel"] = "create"
    api_calls_left: Annotated[int, msgspec.Meta(ge=0)] | None = None  # None: until it is changed
    # What the lists that subscribers poll do (SePay's and Casso's).
    pull_fault: Literal["", "too_many", "error"] = ""  # 429 with a wait, or 500
    pull_retry_after_s: Seconds = 0  # the wait that a 429 asks for; 0: it names none
    pull_slow_ms: Annotated[int, msgspec.Meta(ge=0, le=60_000)] = 0  # by the wall clock
    pull_calls_left: Annotated[int, msgspec.Meta(ge=0)] | None = None  # None: until it is changed
    # How many lines the profile lasts for; None: until it is changed.
    lines_left: Annotated[int, msgspec.Meta(ge=0)] | None = None


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One callback that will be tried, and what is wrong with it."""

    kind: Literal["credit", "duplicate", "other_amount", "ping"]
    amount_vnd: int
    memo: str
    wait_s: int = 0
    is_dropped: bool = False
    is_signature_wrong: bool = False
    clock_skew_s: int = 0
    faults: tuple[str, ...] = field(default=())


def plan(profile: FaultProfile, line: Line, rng: Random) -> list[Planned]:
    """Decide the callbacks of one line. The same profile, line and seed give the same plan.

    Every draw is made whether or not it is used, so that changing one percentage leaves the other
    faults where they were.
    """
    draws = {name: rng.randrange(100) for name in DRAWN}
    hits = {name: draws[name] < getattr(profile, f"{name}_percent") for name in DRAWN}
    other_vnd = _other_amount(line.amount_vnd, rng)
    wait_s = profile.delay_s if hits["delay"] else 0
    reported_wrong = ("drop", "wrong_amount", "wrong_memo", "wrong_signature")
    happened = [name for name in reported_wrong if hits[name]]
    happened += ["delay"] if wait_s else []
    happened += ["clock_skew"] if profile.clock_skew_s else []
    first = Planned(
        kind="credit",
        amount_vnd=other_vnd if hits["wrong_amount"] else line.amount_vnd,
        memo=default_memo(line.counter_name) if hits["wrong_memo"] else line.memo,
        wait_s=wait_s,
        is_dropped=hits["drop"],
        is_signature_wrong=hits["wrong_signature"],
        clock_skew_s=profile.clock_skew_s,
        faults=tuple(happened),
    )
    planned = [first]
    copies = profile.duplicates if hits["duplicate"] else 0
    for n in range(copies):
        gap_s = 0 if profile.duplicates_at_once else n + 1
        planned.append(_variant(first, "duplicate", wait_s=first.wait_s + gap_s))
    if hits["same_id_other_amount"]:
        planned.append(_variant(first, "other_amount", amount_vnd=other_vnd))
    return planned


DRAWN = (
    "drop",
    "wrong_amount",
    "wrong_memo",
    "wrong_signature",
    "same_id_other_amount",
    "duplicate",
    "delay",
)


def is_paid_twice(profile: FaultProfile, rng: Random) -> bool:
    """Decide whether the payer pays the same again."""
    return rng.randrange(100) < profile.pay_twice_percent


def _other_amount(amount_vnd: int, rng: Random) -> int:
    halved_vnd = amount_vnd // 2 or amount_vnd + 1
    return rng.choice((amount_vnd + 1_000, amount_vnd + 10_000, amount_vnd * 10, halved_vnd))


def _variant(
    first: Planned,
    kind: Literal["duplicate", "other_amount"],
    *,
    wait_s: int | None = None,
    amount_vnd: int | None = None,
) -> Planned:
    return Planned(
        kind=kind,
        amount_vnd=first.amount_vnd if amount_vnd is None else amount_vnd,
        memo=first.memo,
        wait_s=first.wait_s if wait_s is None else wait_s,
        is_signature_wrong=first.is_signature_wrong,
        clock_skew_s=first.clock_skew_s,
        faults=(kind, *(name for name in first.faults if name != "drop")),
    )
