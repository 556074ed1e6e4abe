"""An endpoint's last 24 hours: the same figures wherever they are shown."""

import re
from datetime import timedelta

import httpx
import pytest

from core.clock import read_clock
from core.db import Database
from core.ids import first_id_at, new_id
from core.tenancy import open_org_transaction
from payments.callbacks import queries
from payments.callbacks.types import NewNotice
from tests.world.markets import Market
from tests.world.pages import let_in, text_of

pytestmark = pytest.mark.anyio

# Around the bounds that a screen might have of its own: midnight, 24 hours, two days.
AGES_H = (0.1, 1, 8, 13, 20, 23.9, 24.1, 30, 47)
IN_A_DAY = sum(age_h < 24 for age_h in AGES_H)


async def receive_at(database: Database, market: Market, *ages_h: float) -> None:
    """Store one notice that came so many hours ago, for each age."""
    now = read_clock()
    notices = [
        NewNotice(
            id=first_id_at(now - timedelta(hours=age_h)),
            endpoint_id=market.stall.endpoint_id,
            provider=market.stall.provider,
            source="callback",
            body=str(new_id()).encode(),
            headers={},
            skew_s=None,
            received_at=now - timedelta(hours=age_h),
        )
        for age_h in ages_h
    ]
    async with open_org_transaction(database, market.stall.org.id) as session:
        await queries.insert_notices(session, market.stall.org.id, notices)


async def test_every_surface_shows_the_same_figure_for_the_last_24_hours(market: Market) -> None:
    await receive_at(market.hub.services.database, market, *AGES_H)
    manager = await let_in(market, "manager")
    endpoint_id = market.stall.endpoint_id

    overview = await manager.get("/manage")
    page = await manager.get(f"/manage/endpoints/{endpoint_id}")
    shown = await manager.get(
        f"/v1/callback-endpoints/{endpoint_id}", headers={"Accept": "application/json"}
    )

    assert _figure(overview) == _figure(page) == shown.json()["last_day"]["accepted"] == IN_A_DAY


def _figure(page: httpx.Response) -> int:
    found = re.search(r'data-label="Đã nhận">(\d+)<', page.text)
    found = found or re.search(r"Đã nhận (\d+)", text_of(page))
    assert found is not None
    return int(found[1])
