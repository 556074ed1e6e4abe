"""Set-up of the sandbox with what the demo hub knows: accounts to pay to, and whom to call back.

Everything is read from the database, the secrets unsealed, so that it can be repeated whenever a
sandbox starts empty, under another address, or after somebody added an account. What the sandbox
knows already is left alone, with the faults that were set for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import httpx
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import read_clock
from core.db import Database
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from identity.organisations.queries import list_organisations
from ops.demo.gates import Gate, Lane
from ops.demo.places import PAYERS
from payments.connections.credentials import open_pull_credentials
from payments.connections.models import CallbackEndpoint, CallbackEndpointAccount
from payments.connections.service import open_secrets
from payments.payees.models import PayeeAccount, ReceivingAccount
from payments.payees.queries import IN_USE
from payments.payees.rules import AccountStatus
from payments.rails.toll.queries import find_contract

TIMEOUT_S: Final = 10.0
WALLETS: Final = {"30K12345": 500_000, "30K67890": 1_000}  # the second is refused
PAID_INTO: Final = tuple(status.value for status in IN_USE)  # a proposed one by its test transfer
COMPARED: Final = ("provider", "url", "secret", "username", "api_key", "client_id", "accounts")


@dataclass(kw_only=True)
class World:
    """What the sandbox is to know."""

    accounts: list[dict[str, Any]]
    subscriptions: list[dict[str, Any]]
    toll_clients: list[dict[str, Any]]
    lanes: list[dict[str, Any]]


async def set_up_sandbox(
    database: Database, sealer: Sealer, gates: Sequence[Gate], *, hub_url: str, sandbox_url: str
) -> list[str]:
    """Register what test organisations have: accounts, endpoints, toll contracts, lanes.

    Safe to repeat.

    Returns:
        Lines about what could not be registered; the demo goes on without it.
    """
    lanes = [_describe_lane(gate, lane, hub_url) for gate in gates for lane in gate.lanes]
    world = World(accounts=[], subscriptions=[], toll_clients=[], lanes=lanes)
    async with database.begin() as session:
        org_ids = [org.id for org in await list_organisations(session) if not org.is_live]
    for org_id in org_ids:
        async with open_org_transaction(database, org_id) as session:
            world.accounts += await _list_accounts(session, org_id)
            world.subscriptions += await _list_endpoints(
                session, org_id, sealer, hub_url=hub_url, sandbox_url=sandbox_url
            )
            world.toll_clients += await _list_toll_clients(
                session, org_id, sealer, sandbox_url=sandbox_url
            )
    # Own client, no proxy: the sandbox is on this machine.
    async with httpx.AsyncClient(
        base_url=sandbox_url, timeout=TIMEOUT_S, trust_env=False
    ) as client:
        try:
            return await _register(client, world)
        except httpx.TransportError:
            return [
                f"No sandbox answers at {sandbox_url}: nothing can be paid there yet.",
                "./phopay demo starts one and sets it up for the city.",
            ]


async def _list_accounts(session: AsyncSession, org_id: UUID) -> list[dict[str, Any]]:
    """List accounts that money may be sent to, the ones that wait for their test included."""
    query = (
        select(ReceivingAccount)
        .where(
            ReceivingAccount.org_id == org_id,
            ReceivingAccount.status != AccountStatus.RETIRED.value,
        )
        .order_by(ReceivingAccount.id)
    )
    links = select(PayeeAccount.receiving_account_id, PayeeAccount.virtual_account).where(
        PayeeAccount.org_id == org_id,
        PayeeAccount.virtual_account.is_not(None),
        PayeeAccount.status.in_(PAID_INTO),
    )
    virtual: dict[UUID, list[dict[str, str]]] = {}
    for account_id, number in await session.execute(links):
        virtual.setdefault(account_id, []).append({"number": str(number)})
    return [
        {
            "bin": account.bin,
            "number": account.account_number,
            "holder": account.holder_name,
            "virtual": virtual.get(account.id, []),
        }
        for account in await session.scalars(query)
    ]


async def _list_endpoints(
    session: AsyncSession, org_id: UUID, sealer: Sealer, *, hub_url: str, sandbox_url: str
) -> list[dict[str, Any]]:
    """List an organisation's sandbox endpoints as subscriptions.

    An endpoint that polls its provider polls the sandbox, which may have another port today.
    """
    query = select(CallbackEndpoint).where(
        CallbackEndpoint.org_id == org_id,
        CallbackEndpoint.is_sandbox,
        CallbackEndpoint.revoked_at.is_(None),
    )
    wanted = []
    for endpoint in await session.scalars(query.order_by(CallbackEndpoint.id)):
        secrets = open_secrets(endpoint, sealer, now=read_clock())
        keys = open_pull_credentials(endpoint, sealer)
        if keys is not None:
            endpoint.pull_url = sandbox_url
        wanted.append(
            {
                "provider": endpoint.provider,
                "url": f"{hub_url}/v1/callbacks/{endpoint.provider}/{endpoint.address}",
                "secret": secrets.keys[0],
                "username": secrets.username or "",
                "api_key": keys.token if keys else "",
                "client_id": keys.client_id or "" if keys else "",
                "accounts": await _list_spoken_for(session, org_id, endpoint.id),
            }
        )
    return wanted


async def _list_toll_clients(
    session: AsyncSession, org_id: UUID, sealer: Sealer, *, sandbox_url: str
) -> list[dict[str, Any]]:
    """List the contract in force, if there is one; it charges the sandbox, wherever that is."""
    contract = await find_contract(session, org_id)
    if contract is None:
        return []
    contract.url = sandbox_url
    secret = sealer.unseal(contract.sealed_secret, org_id=org_id, object_id=contract.id)
    return [{"client_id": contract.client_id, "secret": secret.decode()}]


def _describe_lane(gate: Gate, lane: Lane, hub_url: str) -> dict[str, Any]:
    return {
        "hub_url": hub_url,
        "lot_id": str(gate.lot_id),
        "access_id": str(lane.access_id),
        "key": lane.key,
    }


async def _list_spoken_for(
    session: AsyncSession, org_id: UUID, endpoint_id: UUID
) -> list[dict[str, str]]:
    query = (
        select(ReceivingAccount.bin, ReceivingAccount.account_number)
        .join(
            CallbackEndpointAccount,
            (CallbackEndpointAccount.org_id == ReceivingAccount.org_id)
            & (CallbackEndpointAccount.receiving_account_id == ReceivingAccount.id),
        )
        .where(
            CallbackEndpointAccount.org_id == org_id,
            CallbackEndpointAccount.endpoint_id == endpoint_id,
        )
        .order_by(ReceivingAccount.id)
    )
    return [{"bin": bin_, "number": number} for bin_, number in await session.execute(query)]


async def _register(client: httpx.AsyncClient, world: World) -> list[str]:
    payers = [
        {
            "bin": payer.bin,
            "number": payer.number,
            "holder": payer.holder,
            "balance_vnd": payer.balance_vnd,
            "payer": payer.name,
        }
        for payer in PAYERS
    ]
    lines = []
    for account in [*payers, *world.accounts]:
        answer = await client.post("/control/accounts", json=account)
        lines += _complain(answer, f"account …{str(account['number'])[-4:]}")
    answer = await client.get("/control/subscriptions")
    known = answer.raise_for_status().json()["subscriptions"]
    for wanted in world.subscriptions:
        lines += await _subscribe(client, wanted, known)
    for wanted in world.toll_clients:
        answer = await client.post("/control/toll/clients", json=wanted)
        lines += _complain(answer, "the toll contract")
    for value, balance_vnd in WALLETS.items() if world.toll_clients else ():
        wallet = {"kind": "plate", "value": value, "balance_vnd": balance_vnd}
        answer = await client.post("/control/toll/wallets", json=wallet)
        lines += _complain(answer, "a toll wallet")
    for wanted in world.lanes:
        answer = await client.post("/control/lanes", json=wanted)
        lines += _complain(answer, "a lane")
    return lines


async def _subscribe(
    client: httpx.AsyncClient, wanted: dict[str, Any], known: list[dict[str, Any]]
) -> list[str]:
    """Subscribe an endpoint, unless the sandbox knows it just so; its address names it."""
    tail = wanted["url"].rpartition("/")[2]
    for one in known:
        if one["url"].rpartition("/")[2] != tail:
            continue
        pairs = [{"bin": bin_, "number": number} for bin_, number in one["accounts"]]
        now = {**one, "accounts": pairs}
        # The sandbox makes a key of its own where we have none.
        if all(now[name] == wanted[name] or not wanted[name] for name in COMPARED):
            return []
        await client.delete(f"/control/subscriptions/{one['id']}")
    answer = await client.post("/control/subscriptions", json=wanted)
    return _complain(answer, f"endpoint {wanted['provider']}")


def _complain(answer: httpx.Response, about: str) -> list[str]:
    if answer.is_success:
        return []
    return [f"The sandbox does not take {about}: {answer.text[:200]}"]
