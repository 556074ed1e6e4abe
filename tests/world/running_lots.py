"""Lots of the running city, with a tariff, an attendant who signs in, and a bank that reports."""

from dataclasses import dataclass
from typing import Any

from core.clock import read_clock
from core.db import Database
from core.tenancy import open_org_transaction
from identity.people import service
from identity.people.passwords import Passwords
from identity.people.rules import Role, Scope, ScopeKind, can_be_scoped
from registry import REGISTRY
from tests.world.constants import PASSWORD
from tests.world.databases import PASSWORD_MEMORY_KIB
from tests.world.lots import LotFacts, a_lot
from tests.world.parking_sessions import a_tariff
from tests.world.running_city import HIRED_BEFORE, RunningCity, StaffedStall


@dataclass(frozen=True, kw_only=True)
class StaffedLot:
    """A lot of the running city, and who works there."""

    lot: LotFacts
    stall: StaffedStall  # the lot's payee, as the bank knows it
    attendant: str  # a login, with PASSWORD


def open_lot(
    city: RunningCity, *, document: dict[str, Any] | None = None, **facts: Any
) -> StaffedLot:
    """Open a lot with an attendant held to it; its payee has an account that the bank reports.

    Args:
        document: of its tariff.
        facts: of the lot, as `a_lot` takes them.
    """
    stall = city.open_stall()
    login = stall.owner.replace("owner", "attendant")

    async def seed(database: Database) -> LotFacts:
        now = read_clock()
        paid_to = (stall.payee_id, stall.account_id)
        lot = await a_lot(database, org=city.org, paid_to=paid_to, now=now, **facts)
        await a_tariff(database, lot, document, now=now)
        await employ_at(database, lot, login, Role.ATTENDANT)
        return lot

    return StaffedLot(lot=city.do(seed), stall=stall, attendant=login)


async def employ_at(database: Database, lot: LotFacts, login: str, *roles: Role) -> None:
    """Let somebody of a lot sign in with PASSWORD: held to it, where the roles can be."""
    async with open_org_transaction(database, lot.org.id) as session:
        await service.add_staff(
            session,
            lot.org.id,
            granter=service.HUB,
            passwords=Passwords(memory_kib=PASSWORD_MEMORY_KIB),
            login=login,
            display_name="Anh Tú",
            password=PASSWORD,
            roles=list(roles),
            scopes=[Scope(ScopeKind.LOT, lot.id)] if can_be_scoped(roles) else [],
            hooks=REGISTRY.hooks,
            now=read_clock() - HIRED_BEFORE,
        )
