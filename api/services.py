"""Services of a hub process: everything its routes work with, opened once and typed.

What packages offer one another (owners of bills, who listens to identity) comes from the registry
that the process is started with; a domain package knows nobody above it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import HTTPConnection
from starlette.types import Scope

from api.http.shutdown import closing_on_signals
from api.live.broadcaster import Broadcaster
from core.clock import read_clock
from core.database_connections import answered_within
from core.db import Database, close_engine, measure_shared_clock, open_database, open_engine
from core.metrics import metrics_served
from core.rate_limit import RateLimit
from core.sealing import Sealer
from core.settings import Settings
from identity.devices.callers import DeviceDirectory
from identity.devices.phones import Phones
from identity.devices.service import CodeHasher
from identity.devices.tokens import DeviceTokens
from identity.people.callers import Directory
from identity.people.hooks import Hooks
from identity.people.passwords import Passwords
from identity.people.sign_in import SignIns
from parking.exits.movement_applier import MovementApplier
from parking.exits.writer import ExitWriter
from parking.lanes.waiting import LaneWaiters
from parking.photos.service import Photos
from parking.sessions.movements import MovementWriter
from parking.sessions.partitions import PartitionWarning
from parking.sessions.writer import PLANNING, EntryWriter
from parking.tariffs.quotes import QuoteSigner
from payments.bills.owners import OwnersInbox
from payments.bills.writer import BillWriter
from payments.callbacks.receiver import NoticeReceiver
from payments.credits.awaiting import match_named
from payments.credits.processor import NoticeProcessor
from payments.outages.heartbeat import beating
from payments.outbox.waker import Waker
from payments.polling.client import open_client
from payments.polling.service import ProviderPoller
from payments.rails.service import RailService
from payments.rails.toll.service import TollService
from registry import Registry

log = structlog.get_logger()

KEY_USES_WRITTEN_EVERY_S: Final = 10.0
GATE_CONNECTIONS: Final = 4  # the way in writes few flushes at a time; revocations are read
# A revoked device is out of every process in five seconds, also where one reading takes two.
REVOCATIONS_READ_EVERY_S: Final = 2.0
REVOCATIONS_READ_WITHIN_S: Final = 2.0


@dataclass(kw_only=True, slots=True)
class Readiness:
    """Whether this process still serves, and the one look at the database under way."""

    is_closing: bool = False
    look: asyncio.Task[tuple[str | None, list[PartitionWarning]]] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How often somebody may do what costs others: each counts in this process alone."""

    # "Check the payment", for each payee, its counter and its API together: the provider is polled
    # each time, and counts requests, too. Three at once, so that a double tap shows no error; then
    # one every 3 seconds.
    checks: RateLimit = field(default_factory=lambda: RateLimit(3, per_s=9))
    # For each network. A mobile one puts thousands of phones behind one address, and each
    # customer's phone loads a page, its code and its news; a guesser's links open nothing.
    pay_views: RateLimit = field(default_factory=lambda: RateLimit(3_000, per_s=60))
    pay_misses: RateLimit = field(default_factory=lambda: RateLimit(60, per_s=60))
    # Free spaces as open data, for each network: one that asks for every operator of a map.
    open_data: RateLimit = field(default_factory=lambda: RateLimit(120, per_s=60))
    # Searches of one person or key: each may read tens of thousands of rows.
    searches: RateLimit = field(default_factory=lambda: RateLimit(20, per_s=20))
    # New codes on a driver's page, for each stay: each cancels the one before.
    ticket_codes: RateLimit = field(default_factory=lambda: RateLimit(6, per_s=60))
    # Complaints, for each network: a lot's drivers may come by one Wi-Fi, a spammer has no more.
    complaints: RateLimit = field(default_factory=lambda: RateLimit(20, per_s=600))
    # The same for each link, from wherever it is opened: a photo takes a core for a moment.
    complaints_of_link: RateLimit = field(default_factory=lambda: RateLimit(20, per_s=600))
    # Accounts that payers type for a refund, for each network and for each link.
    refund_accounts: RateLimit = field(default_factory=lambda: RateLimit(20, per_s=600))
    refund_accounts_of_link: RateLimit = field(default_factory=lambda: RateLimit(10, per_s=600))


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """What the routes of one process share."""

    settings: Settings
    database: Database  # the hub's role: one organisation per transaction
    gate_database: Database  # of entries: all organisations, few columns
    directory: Directory  # who is who
    device_tokens: DeviceTokens
    devices: DeviceDirectory  # whose phone is whose
    code_hasher: CodeHasher
    phones: Phones
    hooks: Hooks  # what identity calls above it, and notifies
    passwords: Passwords
    sign_ins: SignIns
    sealer: Sealer  # for the secrets of providers
    broadcaster: Broadcaster  # feeds the open streams
    processor: NoticeProcessor
    receiver: NoticeReceiver
    bill_writer: BillWriter
    exit_writer: ExitWriter
    quotes: QuoteSigner
    movement_writer: MovementWriter
    waker: Waker  # of screens, for what is written without a wake-up
    movement_applier: MovementApplier
    entry_writer: EntryWriter  # as role gate, for all organisations at once
    poller: ProviderPoller
    rails: RailService
    tolls: TollService
    lanes: LaneWaiters
    photos: Photos
    limits: Limits
    readiness: Readiness


def read_services(connection: HTTPConnection) -> Services:
    """Return the services of the process that serves a request."""
    return services_of(connection.scope)


def services_of(scope: Scope) -> Services:
    """Return the services of the process that serves a request, for who has its scope only."""
    services: Services = scope["app"].state.services
    return services


@asynccontextmanager
async def open_services(settings: Settings, registry: Registry) -> AsyncIterator[Services]:
    """Open what a process works with; at the end, finish what is under way and close it."""
    async with AsyncExitStack() as stack:
        engine = open_engine(settings.app_database_url.get_secret_value(), settings)
        stack.push_async_callback(close_engine, engine)
        database = open_database(engine)
        with suppress(SQLAlchemyError, OSError):  # the database is away: measured once it listens
            await measure_shared_clock(database)
        directory = Directory(
            database=database, sign_in_idle=timedelta(seconds=settings.sign_in_idle_s)
        )
        device_tokens = DeviceTokens.from_settings(settings)
        devices = DeviceDirectory(database, directory, device_tokens)
        code_hasher = CodeHasher(settings.secret_key.get_secret_value())
        gate_engine = open_engine(
            settings.gate_database_url.get_secret_value(),
            settings,
            pool_size=GATE_CONNECTIONS,
            planning=PLANNING,
        )
        stack.push_async_callback(close_engine, gate_engine)
        gate_database = open_database(gate_engine)
        engines = {"app": engine, "gate": gate_engine}
        stack.enter_context(metrics_served(settings.metrics_host, settings.metrics_port, engines))
        await stack.enter_async_context(_reading_revocations(device_tokens, gate_database))
        passwords = Passwords(memory_kib=settings.password_memory_kib)
        sign_ins = SignIns(
            database=database,
            passwords=passwords,
            sign_in_max=timedelta(seconds=settings.sign_in_max_s),
        )
        sealer = Sealer.from_settings(settings)
        broadcaster = Broadcaster(settings, database)
        await stack.enter_async_context(broadcaster.running())
        await stack.enter_async_context(_writing_uses(directory, devices))
        client = await stack.enter_async_context(open_client())
        timeout_s = settings.database_write_timeout_s
        processor = NoticeProcessor(database, read_clock=read_clock)
        stack.push_async_callback(processor.close)
        receiver = NoticeReceiver(database, sealer, wake=processor.wake, timeout_s=timeout_s)
        stack.push_async_callback(receiver.drain)
        bill_writer = BillWriter(database, read_clock=read_clock, timeout_s=timeout_s)
        stack.push_async_callback(bill_writer.drain)
        waker = Waker(database)
        stack.push_async_callback(waker.close)
        entry_writer = EntryWriter(
            gate_database, read_clock=read_clock, timeout_s=timeout_s, wake=waker.wake
        )
        movement_writer = MovementWriter(gate_database, timeout_s=timeout_s, wake=waker.wake)
        stack.push_async_callback(entry_writer.drain)
        movement_applier = MovementApplier(
            database,
            read_clock=read_clock,
            bill_opened=partial(match_named, database, read_clock=read_clock),
        )
        stack.push_async_callback(movement_applier.close)
        exit_writer = ExitWriter(
            database, read_clock=read_clock, timeout_s=timeout_s, wake=waker.wake
        )
        stack.push_async_callback(exit_writer.drain)
        owners = OwnersInbox(database, registry.bill_owners, read_clock=read_clock)
        stack.push_async_callback(owners.close)
        broadcaster.on_bill_changes = owners.wake
        rails = RailService(
            database, sealer, client, public_url=settings.public_url, read_clock=read_clock
        )
        stack.push_async_callback(rails.drain)
        tolls = TollService(database, sealer, client, read_clock=read_clock)
        stack.push_async_callback(tolls.drain)
        lanes = LaneWaiters(database, gate_database)
        device_tokens.revocations.on_device_ended.append(lanes.end_device)
        await stack.enter_async_context(lanes.running())
        stack.enter_context(closing_on_signals(lanes.close))  # who holds a request is let go
        await stack.enter_async_context(beating(database))  # the last to begin, the first to end
        readiness = Readiness()
        yield Services(
            settings=settings,
            database=database,
            gate_database=gate_database,
            directory=directory,
            device_tokens=device_tokens,
            devices=devices,
            code_hasher=code_hasher,
            phones=Phones(
                database=database,
                directory=directory,
                tokens=device_tokens,
                hasher=code_hasher,
                passwords=passwords,
                hooks=registry.hooks,
            ),
            hooks=registry.hooks,
            passwords=passwords,
            sign_ins=sign_ins,
            sealer=sealer,
            broadcaster=broadcaster,
            processor=processor,
            receiver=receiver,
            bill_writer=bill_writer,
            exit_writer=exit_writer,
            quotes=QuoteSigner.from_settings(settings),
            entry_writer=entry_writer,
            movement_writer=movement_writer,
            waker=waker,
            movement_applier=movement_applier,
            poller=ProviderPoller(
                database=database, processor=processor, sealer=sealer, client=client
            ),
            rails=rails,
            tolls=tolls,
            lanes=lanes,
            photos=Photos.from_settings(settings, database),
            limits=Limits(),
            readiness=readiness,
        )
        readiness.is_closing = True


@asynccontextmanager
async def _writing_uses(directory: Directory, devices: DeviceDirectory) -> AsyncIterator[None]:
    """Write now and then when API keys and devices were last used, and once more at the end."""

    async def flush_uses() -> None:
        while True:
            await asyncio.sleep(KEY_USES_WRITTEN_EVERY_S)
            await _write_uses(directory, devices)

    task = asyncio.create_task(flush_uses(), name="key-uses")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await _write_uses(directory, devices)


@asynccontextmanager
async def _reading_revocations(
    tokens: DeviceTokens, gate_database: Database
) -> AsyncIterator[None]:
    """Read every two seconds which devices were revoked, and once before the first request."""

    async def keep_reading() -> None:
        while True:
            await asyncio.sleep(REVOCATIONS_READ_EVERY_S)
            await _read_revocations(tokens, gate_database)

    await _read_revocations(tokens, gate_database)
    task = asyncio.create_task(keep_reading(), name="revocations")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _read_revocations(tokens: DeviceTokens, gate_database: Database) -> None:
    try:
        with answered_within(REVOCATIONS_READ_WITHIN_S):
            await tokens.refresh(gate_database)
    except Exception as error:  # the last list holds, and tokens end by themselves
        log.warning("revocations.not_read", error=type(error).__name__)


async def _write_uses(directory: Directory, devices: DeviceDirectory) -> None:
    try:
        await directory.write_key_uses()
        await devices.write_contacts()
    except Exception as error:  # a note for people: it may be lost, requests may not
        log.warning("key_uses.not_written", error=type(error).__name__)
