"""The memory of the sandbox over a restart: one JSON file in its data folder.

Kept: accounts and balances, subscriptions with their secrets, payment requests, the newest 1,000
lines and payments, the counters, the pace. Forgotten: deliveries and their log, fault profiles, and
transfers in flight (their money returns to the payer). The file is written a second after a change
and at the end; after a crash the counters go on 1,000 further, so that no id is given twice.
"""

import asyncio
import logging
import os
from pathlib import Path
from typing import Final

import msgspec

from sandbox.bank import Account, Line, Payment
from sandbox.memos import Style
from sandbox.payment_requests import PaymentRequest
from sandbox.providers.contract import Subscription
from sandbox.world import World

VERSION: Final = 1
FILE_NAME: Final = "sandbox.json"
KEPT_ROWS: Final = 1_000
ORDINALS_SKIPPED: Final = 1_000
WRITE_EVERY_S: Final = 1.0

LOG: Final = logging.getLogger(__name__)


class Snapshot(msgspec.Struct, kw_only=True):
    """The file's content. `version` changes when an older file can no longer be read."""

    version: int = VERSION
    seed: int
    next_ordinal: int
    next_subscription: int
    outside_vnd: int
    memo_style: Style
    accounts: list[Account]
    lines: list[Line]
    payments: list[Payment]
    subscriptions: list[Subscription]
    requests: list[PaymentRequest]


class SnapshotUnreadable(Exception):
    """The file is damaged or of another version; the message says what to do."""


def take(world: World) -> Snapshot:
    """Copy what is kept. Money in flight is returned to its payers in the copy."""
    bank = world.bank
    in_flight = [payment for payment in bank.payments.values() if not payment.line_id]
    accounts = [msgspec.structs.replace(account) for account in bank.accounts.values()]
    by_key = {account.key: account for account in accounts}
    for payment in in_flight:
        by_key[(payment.payer_bin, payment.payer_number.upper())].balance_vnd += payment.amount_vnd
    booked = [payment for payment in bank.payments.values() if payment.line_id]
    return Snapshot(
        seed=world.seed,
        next_ordinal=bank.next_ordinal,
        next_subscription=world.next_subscription,
        outside_vnd=bank.outside_vnd,
        memo_style=world.style,
        accounts=accounts,
        lines=list(bank.lines.values())[-KEPT_ROWS:],
        payments=booked[-KEPT_ROWS:],
        subscriptions=list(world.subscriptions.values()),
        requests=list(world.requests.by_id.values()),
    )


def restore(world: World, kept: Snapshot) -> None:
    """Put a snapshot into a fresh world; its seed goes before the one of the start."""
    world.start_over(kept.seed, world.dispatcher.time_scale)
    bank = world.bank
    bank.accounts = {account.key: account for account in kept.accounts}
    bank.lines = {line.id: line for line in kept.lines}
    bank.payments = {payment.ft: payment for payment in kept.payments}
    bank.lines_seen = len(kept.lines)
    bank.outside_vnd = kept.outside_vnd
    bank.next_ordinal = kept.next_ordinal + ORDINALS_SKIPPED
    world.style = kept.memo_style
    world.next_subscription = kept.next_subscription
    world.subscriptions = {one.id: one for one in kept.subscriptions}
    world.requests.restore(kept.requests)


def load(world: World, folder: Path) -> bool:
    """Restore the folder's snapshot if there is one; tell whether there was.

    Raises:
        SnapshotUnreadable: it is damaged, or was written by another version.
    """
    file = folder / FILE_NAME
    if not file.exists():
        return False
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=Snapshot)
    except msgspec.DecodeError as error:
        msg = f"{file} cannot be read ({error}). Move it away to start with an empty sandbox."
        raise SnapshotUnreadable(msg) from error
    if kept.version != VERSION:
        msg = f"{file} is of version {kept.version}, not {VERSION}. Move it away to start empty."
        raise SnapshotUnreadable(msg)
    restore(world, kept)
    return True


def save(world: World, folder: Path) -> None:
    """Write the snapshot so that a crash leaves the old file or the new one, never half of one."""
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f"{FILE_NAME}.new"
    # The file holds secrets: nobody else may read it.
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(take(world)))
    draft.replace(folder / FILE_NAME)


async def keep_saving(world: World, folder: Path) -> None:
    """Write the snapshot whenever something changed, for ever."""
    while True:
        await asyncio.sleep(WRITE_EVERY_S)
        if world.is_changed:
            world.is_changed = False
            try:
                save(world, folder)
            except OSError as error:  # a full disk must not stop the banks
                world.is_changed = True
                LOG.warning("snapshot not written: %s", error)
