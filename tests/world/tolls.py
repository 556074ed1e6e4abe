"""A lot whose drivers have toll wallets: a sandbox's toll operator, and a service that calls it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select, text

from core.clock import read_clock
from core.db import Database
from core.ids import new_id
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from parking.exits.toll import TollWanted, write_toll
from payments.breaks.models import Break
from payments.polling.client import open_client
from payments.rails.toll import queries
from payments.rails.toll.contracts import create_contract
from payments.rails.toll.rules import AccountKind, TollFacts
from payments.rails.toll.service import TollService
from tests.world.constants import MANAGER
from tests.world.parking_sessions import PER_VISIT_VND, Gate, a_bill_wanted, a_gate
from tests.world.sandboxes import a_sandbox

CLIENT_ID, TOLL_SECRET = "bai-xe", "a-secret-of-the-toll-operator"
PLATE = "29AA12345"
ENOUGH_VND = 1_000_000


@dataclass(frozen=True, kw_only=True)
class TollGate:
    """A gate with a contract in force, and its operator."""

    gate: Gate
    database: Database
    owner: Database
    tolls: TollService
    operator: httpx.Client
    contract_id: UUID

    @property
    def org_id(self) -> UUID:
        """The organisation that runs the lot."""
        return self.gate.org_id

    def misbehave(self, **faults: Any) -> None:
        """Set how the operator misbehaves; nothing: honest again."""
        self.operator.post("/control/toll/faults", json=faults).raise_for_status()

    def fill_wallet(self, value: str = PLATE, **facts: Any) -> None:
        """Open a wallet."""
        wanted = {"kind": "plate", "value": value, "balance_vnd": ENOUGH_VND, **facts}
        self.operator.post("/control/toll/wallets", json=wanted).raise_for_status()

    def read_operator(self) -> dict[str, Any]:
        """Return the operator's own books."""
        books: dict[str, Any] = self.operator.get("/control/toll").json()
        return books

    async def write(self, stay_id: UUID, *, id_: UUID | None = None, **facts: Any) -> UUID:
        """Write a charge of a stay down, as the attendant's phone asks; nobody is called."""
        wanted = TollWanted(id=id_ or new_id(), kind=AccountKind.PLATE, tag=None)
        now = read_clock()
        async with open_org_transaction(self.database, self.org_id) as session:
            await write_toll(
                session,
                self.org_id,
                stay_id,
                wanted,
                a_bill_wanted(self.gate, facts.get("amount_vnd", PER_VISIT_VND)),
                priced_at=now,
                actor=self.gate.attendant,
                now=now,
            )
        return wanted.id

    async def charge(self, stay_id: UUID, *, account: str = PLATE, **facts: Any) -> TollFacts:
        """Charge a stay to its driver's account."""
        id_ = await self.write(stay_id, **facts)
        return await self.tolls.charge(self.org_id, id_, account=account)

    async def read(self, id_: UUID) -> TollFacts:
        """Return a charge as it stands."""
        async with open_org_transaction(self.database, self.org_id) as session:
            return await queries.get_request(session, self.org_id, id_)

    async def read_breaks(self) -> list[Break]:
        """Return what a person is to look at, or was."""
        async with open_org_transaction(self.database, self.org_id) as session:
            return list(await session.scalars(select(Break).order_by(Break.id)))

    async def look_up(self, id_: UUID, *, is_old: bool = False) -> TollFacts:
        """Let the worker look a charge up now; by then it may have been written long ago."""
        age = "interval '5 min'" if is_old else "interval '0 s'"
        async with self.owner.begin() as session:
            await session.execute(
                text(
                    "UPDATE toll_requests SET next_attempt_at = now(),"
                    f" created_at = created_at - {age} WHERE id = :id"
                ),
                {"id": id_},
            )
        assert await self.tolls.resume(self.org_id, id_)
        return await self.read(id_)


async def a_gate_of_today(database: Database) -> Gate:
    """Make a lot of an organisation that is not live, whose attendant's shift is open now."""
    return await a_gate(database, is_live=False, now=read_clock())


@asynccontextmanager
async def a_toll_gate(
    gate: Gate, database: Database, owner: Database, sealer: Sealer, *, url: str | None = None
) -> AsyncIterator[TollGate]:
    """Let a lot charge the toll wallets of a sandbox, one of which is full.

    Args:
        gate: `a_gate_of_today`, perhaps of a template.
        url: of another operator than the sandbox's, such as one that is away.
    """
    contract_id = new_id()
    with _operator() as operator:
        origin = url or str(operator.base_url).rstrip("/")
        async with open_org_transaction(database, gate.org_id) as session:
            await create_contract(
                session,
                gate.lot.org,
                contract_id,
                name="Ví thu phí thử",
                url=origin,
                client_id=CLIENT_ID,
                secret=TOLL_SECRET,
                allowed_origins=[origin],
                sealer=sealer,
                actor=MANAGER,
                now=read_clock(),
            )
        async with open_client() as client:
            tolls = TollService(database, sealer, client, read_clock=read_clock)
            made = TollGate(
                gate=gate,
                database=database,
                owner=owner,
                tolls=tolls,
                operator=operator,
                contract_id=contract_id,
            )
            made.fill_wallet()
            yield made
            await tolls.drain()


@contextmanager
def _operator() -> Iterator[httpx.Client]:
    with a_sandbox() as operator:
        admitted = {"client_id": CLIENT_ID, "secret": TOLL_SECRET}
        operator.post("/control/toll/clients", json=admitted).raise_for_status()
        yield operator
