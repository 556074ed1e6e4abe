"""The demo city: made once by the hub's own services; the sandbox gets it at every start.

Each organisation is one transaction, so a start that was killed half-way goes on where it stopped.
Passwords are made here and shown once; the database holds their hashes.
"""

import asyncio
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import SYSTEM, Actor
from core.clock import read_clock
from core.db import Database, open_database, open_engine
from core.ids import new_id, new_token
from core.sealing import Sealer
from core.settings import Settings
from core.tenancy import open_org_transaction
from identity.organisations.queries import find_organisation, list_organisations
from identity.organisations.rules import OrgFacts, OrgKind
from identity.organisations.service import create_organisation
from identity.people.models import Staff
from identity.people.passwords import Passwords
from identity.people.queries import list_staff
from identity.people.rules import Scope, ScopeKind
from ops.demo.day import Worker, add_day
from ops.demo.gates import VISITED, Gate, GateBuilder, ensure_gates
from ops.demo.logins import ATTENDANT, CITY_STAFF, STAFF, VENDORS, Logins
from ops.demo.parking import TOLL_CLIENT, add_lots, add_passes
from ops.demo.places import (
    CITY_CODE,
    CITY_NAME,
    CITY_SLUG,
    DONG_XA,
    PARKING,
    PLACES,
    Place,
)
from ops.demo.sandbox import set_up_sandbox
from ops.errors import CannotStart
from parking.shifts.models import Shift
from payments.bills.queries_serials import take_serials
from payments.bills.references import SERIAL_COUNT, make_reference
from payments.connections.service import EndpointRequest, create_endpoint
from payments.connections.vouching import vouch_of
from payments.onboarding.activation import note_test_transfer
from payments.onboarding.service import approve_account
from payments.payees.accounts import propose_account
from payments.payees.queries import search_payees
from payments.payees.service import add_payee
from payments.providers import PROVIDERS
from payments.rails.toll.contracts import create_contract

THERE_ALREADY: Final = (
    "The demo city is there from an earlier start, with the logins shown then.",
    "New passwords for everybody: ./phopay seed --new-passwords (same --data and ports)",
)


@dataclass(frozen=True, kw_only=True)
class Builder:
    """What one seeding works with."""

    database: Database
    gate: Database  # lets vehicles in
    sealer: Sealer
    logins: Logins
    sandbox_url: str
    now: datetime


def seed(*, hub_url: str, sandbox_url: str, has_new_passwords: bool = False) -> list[str]:
    """Make the demo city where it is missing, and set the sandbox up for it.

    Reads the PHOPAY_… variables. Safe to repeat: what is there stays.

    Args:
        hub_url: where the sandbox reaches the hub.
        sandbox_url: where the hub, and this process, reach the sandbox.
        has_new_passwords: give everybody who is there a new password, and a new API key.

    Returns:
        Lines for the person at the terminal: logins that were made now, or that there are some.

    Raises:
        CannotStart: the hub has a live organisation; pretend places do not belong beside it.
    """
    settings = Settings()  # type: ignore[call-arg]  # from PHOPAY_… variables
    return asyncio.run(
        _seed(settings, hub_url.rstrip("/"), sandbox_url.rstrip("/"), has_new_passwords)
    )


async def _seed(
    settings: Settings, hub_url: str, sandbox_url: str, has_new_passwords: bool
) -> list[str]:
    engine = open_engine(settings.app_database_url.get_secret_value(), settings, pool_size=2)
    gate_engine = open_engine(settings.gate_database_url.get_secret_value(), settings, pool_size=2)
    try:
        now = read_clock()
        builder = Builder(
            database=open_database(engine),
            gate=open_database(gate_engine),
            sealer=Sealer.from_settings(settings),
            logins=Logins(passwords=Passwords(), now=now),
            sandbox_url=sandbox_url,
            now=now,
        )
        known = await _find_known(builder)
        if CITY_CODE not in known:
            await _make_city(builder)
        for place in PLACES:
            if place.code not in known:
                await _make_place(builder, place)
        gates = await _fill_sites(builder, settings)
        if has_new_passwords:
            for org in known.values():
                async with open_org_transaction(builder.database, org.id) as session:
                    await builder.logins.renew(session, org)
        problems = await set_up_sandbox(
            builder.database, builder.sealer, gates, hub_url=hub_url, sandbox_url=sandbox_url
        )
    finally:
        await engine.dispose()
        await gate_engine.dispose()
    there = THERE_ALREADY if known and not has_new_passwords else ()
    return [*there, *builder.logins.describe(), *problems]


async def _find_known(builder: Builder) -> dict[str, OrgFacts]:
    """Return the demo's organisations that are there already, by code."""
    async with builder.database.begin() as session:
        if any(org.is_live for org in await list_organisations(session)):
            raise CannotStart(
                "This hub has a live organisation, and the demo city is made of pretend ones.\n"
                "Give the demo a folder of its own: --data DIR (and no DATABASE_URL)"
            )
        codes = [CITY_CODE, *(place.code for place in PLACES)]
        found = [await find_organisation(session, code) for code in codes]
    return {org.code: org for org in found if org is not None}


async def _make_city(builder: Builder) -> None:
    async with builder.database.begin() as session:
        org = await _add_organisation(
            builder, session, code=CITY_CODE, name=CITY_NAME, kind=OrgKind.CITY
        )
        for start, who, role in CITY_STAFF:
            login = f"{start}.{CITY_SLUG}"
            await builder.logins.add(session, org, login=login, who=who, role=role)


async def _make_place(builder: Builder, place: Place) -> None:
    """Make one organisation: people first, then stalls, then the endpoint that reports on them."""
    async with builder.database.begin() as session:
        org = await _add_organisation(
            builder, session, code=place.code, name=place.name, kind=place.kind
        )
        manager, approver, *_ = [
            await builder.logins.add(
                session, org, login=f"{start}.{place.slug}", who=who, role=role
            )
            for start, who, role in (*STAFF, *([ATTENDANT] if place.has_attendant else []))
        ]
        account_ids: dict[str, UUID] = {
            stall.label: await _make_stall(
                builder, session, org, place, position, manager, approver
            )
            for position, stall in enumerate(place.stalls)
        }
        # Keys that open orders are for one account alone: codes lead there (docs/adr/0011).
        for label in place.payos_labels:
            await _add_endpoint(
                builder, session, org, "payos", {account_ids.pop(label)}, approver, of=label
            )
        shared = set(account_ids.values())
        await _add_endpoint(builder, session, org, place.provider, shared, approver)
        if place is DONG_XA:
            await builder.logins.add_key(session, org, manager)
        if place.kind is OrgKind.PARKING_OPERATOR:
            lots = await _add_lots(builder, session, org, place, manager)
            await _add_attendants(builder, session, org, place, lots)


async def _add_lots(
    builder: Builder, session: AsyncSession, org: OrgFacts, place: Place, manager: Staff
) -> dict[str, UUID]:
    labels = {stall.name: stall.label for stall in place.stalls}
    known = await search_payees(session, org.id, limit=len(labels))
    payees = {labels[payee.name]: (payee.id, payee.name, payee.place) for payee in known}
    return await add_lots(session, org, payees, actor=_actor(manager), now=builder.now)


async def _add_attendants(
    builder: Builder,
    session: AsyncSession,
    org: OrgFacts,
    place: Place,
    lots: dict[str, UUID],
) -> None:
    """Let somebody work at each lot that visitors have a login for."""
    start, who, role = ATTENDANT
    for label in VISITED:
        await builder.logins.add(
            session,
            org,
            login=f"{start}.{place.slug}.{label}",
            who=f"{who} {label}",
            role=role,
            scope=Scope(ScopeKind.LOT, lots[label]),
        )


async def _fill_sites(builder: Builder, settings: Settings) -> list[Gate]:
    """Equip the parking sites' gates, and put a day behind them that have none yet."""
    async with builder.database.begin() as session:
        org = await find_organisation(session, PARKING.code)
    if org is None:
        return []
    equipped = GateBuilder(
        database=builder.database, settings=settings, logins=builder.logins, now=builder.now
    )
    gates = await ensure_gates(equipped, org)
    async with open_org_transaction(builder.database, org.id) as session:
        if await session.scalar(select(Shift.id).where(Shift.org_id == org.id).limit(1)):
            return gates
        people = {one.login: one for one in await list_staff(session, org.id)}
        manager = _actor(people[f"{STAFF[0][0]}.{PARKING.slug}"])
        await add_passes(session, org, actor=manager, now=builder.now)
        await create_contract(
            session,
            org,
            new_id(),
            name="Ví thu phí (mẫu)",
            url=builder.sandbox_url,
            client_id=TOLL_CLIENT,
            secret=new_token(),
            allowed_origins=(builder.sandbox_url,),
            sealer=builder.sealer,
            actor=manager,
            now=builder.now,
        )
    lots, workers = {}, {}
    for gate in gates:
        start = ATTENDANT[0]
        staff = people[f"{start}.{PARKING.slug}.{gate.label.lower()}"]
        lots[gate.label] = gate.lot_id
        workers[gate.label] = Worker(actor=_actor(staff), device_id=gate.device_id)
    await add_day(builder.database, builder.gate, org, lots, workers, now=builder.now)
    return gates


async def _add_organisation(
    builder: Builder, session: AsyncSession, *, code: str, name: str, kind: OrgKind
) -> OrgFacts:
    """Add a test organisation and enter it."""
    return await create_organisation(
        session, code=code, name=name, kind=kind, is_live=False, actor=SYSTEM, now=builder.now
    )


async def _make_stall(
    builder: Builder,
    session: AsyncSession,
    org: OrgFacts,
    place: Place,
    position: int,
    manager: Staff,
    approver: Staff,
) -> UUID:
    """Make a payee with its account in force and its people; return the account's id."""
    stall = place.stalls[position]
    bin_, number, holder = place.account_of(position)
    serial = await take_serials(session, org.id, wanted=1, serials_max=SERIAL_COUNT)
    assert serial is not None
    payee = await add_payee(
        session, org.id, name=stall.name, place=stall.place, actor=_actor(manager), now=builder.now
    )
    link = await propose_account(
        session,
        org.id,
        payee_id=payee.id,
        bin_=bin_,
        account_number=number,
        virtual_account=place.virtual_account_of(position),
        holder_name=holder,
        test_reference=make_reference(*serial),
        actor=_actor(manager),
        now=builder.now,
    )
    await approve_account(session, org.id, link.id, actor=_actor(approver), now=builder.now)
    # The one thing that is only said: no bank reported a test transfer, and nobody has to answer
    # for it in a test organisation. It answers False where another stall's link to the same number
    # has shown already that the bank reports on it.
    account_id = link.receiving_account_id
    await note_test_transfer(
        session,
        org.id,
        account_id,
        credit_id=new_id(),
        references={link.test_reference},
        virtual_account=link.virtual_account,
        vouched_by=None,
        now=builder.now,
    )
    for start, who, role in VENDORS if stall.has_logins else ():
        await builder.logins.add(
            session,
            org,
            login=f"{start}.{place.slug}.{stall.label}",
            who=f"{who} {stall.label}",
            role=role,
            scope=Scope(ScopeKind.PAYEE, payee.id),
        )
    return account_id


async def _add_endpoint(
    builder: Builder,
    session: AsyncSession,
    org: OrgFacts,
    provider: str,
    account_ids: Collection[UUID],
    approver: Staff,
    *,
    of: str = "",
) -> None:
    capabilities = PROVIDERS[provider].capabilities
    can_be_pulled = capabilities.can_be_pulled
    await create_endpoint(
        session,
        org,
        EndpointRequest(
            provider=provider,
            name=f"Sandbox {provider} {of}".rstrip(),
            secret=secrets.token_hex(32) if capabilities.issues_secret else None,
            is_sandbox=True,
            account_ids=account_ids,
            pull_url=builder.sandbox_url if can_be_pulled else None,
            pull_token=new_token() if can_be_pulled else None,
            pull_client_id=new_token() if capabilities.pull_needs_client_id else None,
        ),
        sealer=builder.sealer,
        actor=_actor(approver),
        vouch=vouch_of(_actor(approver), may_approve=True, now=builder.now),
        sandbox_origins=(builder.sandbox_url,),
        now=builder.now,
    )


def _actor(staff: Staff) -> Actor:
    return Actor(kind="staff", id=staff.id, name=staff.display_name)
