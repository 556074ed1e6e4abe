"""A lost permission is handled in every organisation, one at a time; a crash loses none of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import SYSTEM, Actor, AuditRow
from core.db import Database
from core.tenancy import open_org_transaction
from identity.organisations.rules import OrgKind
from identity.people.hooks import Hooks, PermissionLoss
from identity.people.losses import finish_loss, finish_losses
from identity.people.passwords import Passwords
from identity.people.rules import Permission, Role
from identity.people.service import HUB, Granter, StaffChange, add_staff, change_staff
from registry import REGISTRY
from tests.world.constants import NOON
from tests.world.organisations import an_organisation
from tests.world.stalls import PayableStall, a_payable_stall

pytestmark = pytest.mark.anyio

HOOKS = REGISTRY.hooks

CHIEF = Granter(
    actor=Actor(kind="staff", id=UUID(int=77), name="Quản trị", request_id="r7"),
    permissions=frozenset(Permission),
)


@dataclass
class Listener:
    """Handles losses; refuses for one organisation, as one whose rows are locked would."""

    refuses: UUID | None = None
    heard: list[UUID] = field(default_factory=list)

    async def __call__(self, session: AsyncSession, loss: PermissionLoss, *, now: datetime) -> None:
        if loss.org_id == self.refuses:
            raise RuntimeError("its rows are locked")
        bound = await session.scalar(text("SELECT current_setting('app.org_id')"))
        assert bound == str(loss.org_id)
        self.heard.append(loss.org_id)

    @property
    def hooks(self) -> Hooks:
        return Hooks(on_permission_lost=(self,))


@dataclass(kw_only=True)
class Town:
    """A city with two administrators, and markets whose endpoints one of them answers for."""

    city_id: UUID
    boss_id: UUID
    markets: Sequence[PayableStall]


@pytest.fixture
async def town(app_database: Database, owner_database: Database) -> Town:
    markets = [
        await a_payable_stall(app_database, code=code, is_live=True)
        for code in ("HKXM", "DXA2", "THA9")
    ]
    async with app_database.begin() as session:
        city = await an_organisation(session, code="HANX", kind=OrgKind.CITY, actor=SYSTEM)
        _, boss = [
            await add_staff(
                session,
                city.id,
                granter=HUB,
                passwords=Passwords(memory_kib=64),
                login=login,
                display_name=login,
                password="phở bò Hà Nội 3",
                roles=[Role.ADMIN],
                hooks=HOOKS,
                now=NOON,
            )
            for login in ("chief", "boss")
        ]
    async with owner_database.begin() as session:
        await session.execute(
            text("UPDATE callback_endpoints SET key_vouched_by = :id"), {"id": boss.id}
        )
    return Town(city_id=city.id, boss_id=boss.id, markets=markets)


async def demote(database: Database, town: Town, hooks: Hooks, *roles: Role) -> None:
    async with open_org_transaction(database, town.city_id) as session:
        await change_staff(
            session,
            town.city_id,
            town.boss_id,
            StaffChange(roles=roles or [Role.FINANCE]),
            granter=CHIEF,
            hooks=hooks,
            reason="đổi việc",
            now=NOON,
        )


async def count_vouched(owner_database: Database) -> int:
    async with owner_database.begin() as session:
        query = text("SELECT count(*) FROM callback_endpoints WHERE key_vouched_by IS NOT NULL")
        return await session.scalar(query) or 0


async def test_the_change_itself_enters_no_other_organisation(
    app_database: Database, town: Town
) -> None:
    listener = Listener()

    await demote(app_database, town, listener.hooks)

    assert listener.heard == [town.city_id]
    assert await finish_loss(app_database, listener.hooks, town.city_id, town.boss_id, now=NOON)
    assert sorted(listener.heard[1:]) == sorted(market.org.id for market in town.markets)


async def test_who_keeps_approving_at_home_loses_it_elsewhere(
    app_database: Database, town: Town
) -> None:
    listener = Listener()

    await demote(app_database, town, listener.hooks, Role.APPROVER)
    await finish_loss(app_database, listener.hooks, town.city_id, town.boss_id, now=NOON)

    assert len(listener.heard) == 1 + len(town.markets)


async def test_what_a_crash_left_is_handled_by_the_worker_in_the_name_of_who_changed_it(
    app_database: Database, worker_database: Database, owner_database: Database, town: Town
) -> None:
    await demote(app_database, town, HOOKS)  # and the process dies
    assert await count_vouched(owner_database) == len(town.markets)

    rounds = [await finish_losses(app_database, worker_database, HOOKS, now=NOON) for _ in range(2)]

    assert rounds == [1, 0]
    assert await count_vouched(owner_database) == 0
    async with owner_database.begin() as session:
        wanted = select(AuditRow).where(AuditRow.action == "callback_endpoint.vouch_revoked")
        rows = (await session.scalars(wanted)).all()
    assert {row.org_id for row in rows} == {market.org.id for market in town.markets}
    assert {(row.actor_id, row.request_id, row.reason) for row in rows} == {
        (CHIEF.actor.id, "r7", "đổi việc")
    }


async def test_one_organisation_whose_subscriber_fails_holds_up_no_other_and_is_handled_later(
    app_database: Database, worker_database: Database, town: Town
) -> None:
    deaf = sorted(market.org.id for market in town.markets)[0]
    listener = Listener(refuses=deaf)
    await demote(app_database, town, listener.hooks)

    is_done = await finish_loss(app_database, listener.hooks, town.city_id, town.boss_id, now=NOON)
    others = set(listener.heard)
    listener.refuses = None
    rounds = [
        await finish_losses(app_database, worker_database, listener.hooks, now=NOON)
        for _ in range(2)
    ]

    assert not is_done
    assert others == {town.city_id, *(m.org.id for m in town.markets)} - {deaf}
    assert deaf in listener.heard
    assert rounds == [1, 0]
