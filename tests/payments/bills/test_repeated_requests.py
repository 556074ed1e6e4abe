"""A request for a bill that comes again is answered like the first time, whatever changed since."""

from dataclasses import replace
from uuid import UUID

import pytest

from core.db import Database
from core.idempotency import IdempotencyKeyReused, Repeatable
from core.ids import new_id
from core.tenancy import open_org_transaction
from payments.bills.errors import BillIdTaken
from payments.bills.rules import BillFacts, BillRequest
from payments.bills.serials import ReferenceSource
from payments.bills.service import Opened, open_bills
from payments.payees.errors import PayeeHasNoAccount
from payments.payees.service import close_payee
from tests.world.bills import a_bill_request, a_reference
from tests.world.constants import MANAGER, NOON
from tests.world.reads import count_rows
from tests.world.stalls import PayableStall

pytestmark = pytest.mark.anyio


def a_request(
    stall: PayableStall, key: str, *, id_: UUID | None = None, body: bytes = b"h"
) -> BillRequest:
    repeatable = Repeatable(route="POST /v1/bills", key=key, body_hash=body)
    return a_bill_request(stall, id=id_, repeatable=repeatable)


async def open_them(
    database: Database, stall: PayableStall, *requests: BillRequest
) -> list[Opened]:
    references = [a_reference(stall) for _ in requests]
    async with open_org_transaction(database, stall.org.id) as session:
        return await open_bills(session, stall.org.id, requests, references, now=NOON)


async def close(database: Database, stall: PayableStall) -> None:
    async with open_org_transaction(database, stall.org.id) as session:
        await close_payee(
            session, stall.org.id, stall.payee_id, actor=MANAGER, reason=None, now=NOON
        )


async def test_a_repeat_after_the_payee_closed_answers_the_first_bill(
    app_database: Database, stall: PayableStall
) -> None:
    request = a_request(stall, "k1")
    (first,) = await open_them(app_database, stall, request)
    await close(app_database, stall)

    again, other_body, new = await open_them(
        app_database, stall, request, a_request(stall, "k1", body=b"other"), a_request(stall, "k2")
    )

    assert isinstance(first, BillFacts)
    assert isinstance(again, BillFacts)
    assert again.id == first.id
    assert isinstance(other_body, IdempotencyKeyReused)
    assert isinstance(new, PayeeHasNoAccount)
    assert await count_rows(app_database, stall, "idempotency_keys") == 1  # not of the refused


async def test_two_keys_with_one_id_of_which_one_was_used_are_told_apart(
    app_database: Database, stall: PayableStall
) -> None:
    """k1 made its bill; now k1 and k2 come together, both with another bill's id."""
    (first,) = await open_them(app_database, stall, a_request(stall, "k1"))
    assert isinstance(first, BillFacts)
    mine = new_id()

    again, new = await open_them(
        app_database, stall, a_request(stall, "k1", id_=mine), a_request(stall, "k2", id_=mine)
    )

    assert isinstance(again, BillFacts)
    assert isinstance(new, BillFacts)
    assert (again.id, new.id) == (first.id, mine)


async def test_of_one_key_twice_in_one_batch_the_earlier_request_opens_the_bill(
    app_database: Database, stall: PayableStall
) -> None:
    twice = [a_request(stall, "k1", id_=new_id()) for _ in range(40)]

    opened = await open_them(app_database, stall, *twice)

    assert all(isinstance(one, BillFacts) and one.id == twice[0].id for one in opened)
    assert [getattr(one, "is_replayed", None) for one in opened] == [False, *[True] * 39]


async def test_one_id_under_two_keys_for_two_bills_is_taken_once(
    app_database: Database, stall: PayableStall
) -> None:
    mine = new_id()
    await open_them(app_database, stall, a_request(stall, "k1", id_=mine))
    other = replace(a_request(stall, "k2", id_=mine), amount_vnd=1)
    with pytest.raises(BillIdTaken):
        await open_them(app_database, stall, other)


async def test_references_go_on_from_run_to_run_and_none_comes_twice(
    app_database: Database, stall: PayableStall
) -> None:
    source = ReferenceSource(app_database, run_length=7)

    taken = [one for count in (3, 3, 5, 20, 1) for one in await source.take(stall.org, count)]

    assert len(set(taken)) == 32
