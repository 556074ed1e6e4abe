"""Choosing a stall: of one's own several, or of all; none is out of reach."""

import pytest

from core.audit import SYSTEM
from core.clock import read_clock
from core.tenancy import open_org_transaction
from payments.payees.service import add_payee, close_payee
from tests.api.counter.conftest import PAGE, sign_in
from tests.world.cities import add_stall, employ
from tests.world.constants import PASSWORD
from tests.world.markets import Market
from tests.world.pages import as_reader, let_in, text_of
from tests.world.payees import many_payees

pytestmark = pytest.mark.anyio


async def test_who_works_at_two_stalls_chooses_between_them_and_sees_no_third(
    market: Market,
) -> None:
    org_id = market.stall.org.id
    second = await add_stall(market.hub, org_id, "Cô Hai hoa quả")
    await add_stall(market.hub, org_id, "Chú Ba cá")
    own = [market.stall.payee_id, second]
    await employ(market.admin, "lan", "cashier", org=market.stall.org.code, payee_ids=own)
    lan = market.hub.new_client(**PAGE)
    await lan.post("/login", data={"login": "lan", "password": PASSWORD})

    choose = await lan.get("/counter")
    there = await lan.get(f"/counter?payee={second}")

    assert "Cô Hai hoa quả" in choose.text
    assert "Chú Ba cá" not in choose.text
    assert f"/counter?payee={second}" in choose.text
    assert there.status_code == 200
    assert f"payee={second}" in there.text  # the stall's other screens stay with it


@pytest.mark.slow
async def test_the_six_hundredth_stall_is_found_by_its_name(market: Market) -> None:
    org_id = market.stall.org.id
    async with open_org_transaction(market.hub.services.database, org_id) as session:
        await many_payees(session, market.stall.org, 600)
        await add_payee(
            session, org_id, name="Đặng Thị Tơ", place="Dãy Z", actor=SYSTEM, now=read_clock()
        )
    manager = await let_in(market, "manager")

    for page, found in (("/counter", "/counter?find="), ("/manage/staff", "/manage/staff?find=")):
        assert "Đặng Thị Tơ" not in (await manager.get(page)).text
        assert "chỉ hiện một phần" in text_of(await manager.get(page)), page
        for typed in ("dang to", "ĐẶNG", "day z", "thi tơ"):
            assert "Đặng Thị Tơ" in (await manager.get(f"{found}{typed}")).text, (page, typed)
        assert "Đặng Thị Tơ" not in (await manager.get(f"{found}dang %25")).text


async def test_a_person_of_a_closed_stall_still_shows_it(market: Market) -> None:
    await sign_in(market, "lan", "cashier", payee_id=market.stall.payee_id)
    org_id = market.stall.org.id
    async with open_org_transaction(market.hub.services.database, org_id) as session:
        await close_payee(
            session, org_id, market.stall.payee_id, actor=SYSTEM, reason="nghỉ", now=read_clock()
        )
    manager = as_reader(await market.staff("quanly", "manager"))

    assert "Phở gia truyền (đã đóng)" in text_of(await manager.get("/manage/staff"))
