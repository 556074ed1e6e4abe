"""A stall of the running city whose bills are orders at the sandbox's payOS."""

import secrets
from typing import Any

from core.audit import SYSTEM
from core.clock import read_clock
from core.db import Database
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from payments.connections.service import EndpointRequest, create_endpoint
from tests.world.constants import MB
from tests.world.running_city import RunningCity, StaffedStall


def open_payos_stall(city: RunningCity) -> StaffedStall:
    """Open a stall, and let payOS alone report on its account, by orders."""
    stall = city.open_stall()
    secret, client_id, api_key = (secrets.token_hex(16) for _ in range(3))
    settings = city.fresh_database.settings

    async def connect(database: Database) -> str:
        async with open_org_transaction(database, city.org.id) as session:
            endpoint, _ = await create_endpoint(
                session,
                city.org,
                EndpointRequest(
                    provider="payos",
                    name="payOS",
                    secret=secret,
                    is_sandbox=True,
                    account_ids=[stall.account_id],
                    pull_url=city.sandbox_url,
                    pull_token=api_key,
                    pull_client_id=client_id,
                ),
                sandbox_origins=(city.sandbox_url,),
                sealer=Sealer.from_settings(settings),
                actor=SYSTEM,
                now=read_clock(),
            )
            return endpoint.address

    address = city.do(connect)
    city.sql(
        "UPDATE callback_endpoints SET revoked_at = now() WHERE provider = 'sepay' AND id IN"
        " (SELECT endpoint_id FROM callback_endpoint_accounts WHERE receiving_account_id = %(id)s)",
        id=stall.account_id,
    )
    subscription = {
        "provider": "payos",
        "url": f"{city.url}/v1/callbacks/payos/{address}",
        "secret": secret,
        "client_id": client_id,
        "api_key": api_key,
        "accounts": [{"bin": MB, "number": stall.account_number}],
    }
    city.sandbox.post("/control/subscriptions", json=subscription).raise_for_status()
    return stall


def subscription_of(city: RunningCity, stall: StaffedStall) -> dict[str, Any]:
    """Return what the sandbox knows of the stall's payOS."""
    found = city.sandbox.get("/control/subscriptions").json()["subscriptions"]
    return next(
        dict(one)
        for one in found
        if one["provider"] == "payos" and one["accounts"][0][1] == stall.account_number
    )


def fail(city: RunningCity, stall: StaffedStall, **profile: Any) -> None:
    """Let the stall's payOS misbehave; nothing: be honest again."""
    body = {"subscription": subscription_of(city, stall)["id"], "profile": profile}
    city.sandbox.post("/control/faults", json=body).raise_for_status()


def count_orders(city: RunningCity) -> int:
    """Return how many orders payOS has, whatever became of them."""
    return int(city.sandbox.get("/control/payment-requests").json()["count"])
