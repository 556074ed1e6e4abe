"""Balances at any instant equal a plain sum, whatever was posted late and closed when."""

from datetime import datetime, timedelta
from random import Random

import psycopg
import pytest

from core.db import Database
from core.tenancy import open_org_transaction
from payments.ledger.rules import AccountKey, bank_clearing, cash_in_drawer, takings, unapplied
from payments.ledger.summing import sum_at, sum_of_day
from tests.payments.ledger.books import DAY, ONE_DAY, a_posting, balance, close, plain_sum, post
from tests.world.constants import NOON
from tests.world.databases import FreshDatabase
from tests.world.stalls import PayableStall

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

STEPS = 60
SEEDS = [*range(2), *(pytest.param(seed, marks=pytest.mark.drill) for seed in range(2, 30))]


def keys_of(stall: PayableStall) -> list[AccountKey]:
    return [
        bank_clearing(stall.account_id),
        takings(stall.payee_id),
        unapplied(stall.account_id),
        cash_in_drawer(stall.payee_id),
    ]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_balance_at_any_instant_is_the_sum_of_what_was_posted_until_then(
    app_database: Database, stall: PayableStall, seed: int
) -> None:
    """Postings come early, late and at midnight, by clocks that are off; days close meanwhile."""
    random, now, next_day = Random(seed), NOON, DAY
    instants: list[datetime] = []
    for _ in range(STEPS):
        now += timedelta(minutes=random.choice([0, 1, 60, 400]), microseconds=random.randint(0, 9))
        if random.random() < 0.2 and next_day <= (now + timedelta(hours=7)).date():
            await close(app_database, stall, next_day, now=now)
            next_day += ONE_DAY
        else:
            happened = now - random.choice([timedelta(0), ONE_DAY, 9 * ONE_DAY, -ONE_DAY])
            kind = random.choice(["sale", "cash", "unknown"])
            off = timedelta(minutes=random.choice([0, 0, 0, -3, 3]))
            amount_vnd = random.randint(1, 99_999)
            await post(
                app_database,
                stall,
                a_posting(stall, amount_vnd, at=happened, kind=kind),
                now=now + off,
            )
        instants += [now, now - timedelta(microseconds=1), now + timedelta(minutes=2)]

    assert next_day > DAY, f"seed {seed} closed no day"
    org_id = stall.org.id
    async with open_org_transaction(app_database, org_id) as session:
        for key in keys_of(stall):
            for at in random.sample(instants, 15):
                expected = await plain_sum(session, org_id, key, f"posted_at <= '{at}'")
                assert await sum_at(session, org_id, key, at=at) == expected, (seed, key, at)
            everything = await plain_sum(session, org_id, key, "true")
            assert await sum_at(session, org_id, key) == everything, (seed, key)
            # The first closed day holds all that lies before it.
            for days in range((next_day - DAY).days + 2):
                day = DAY + days * ONE_DAY
                expected = await plain_sum(session, org_id, key, f"day <= '{day}'")
                assert await sum_of_day(session, org_id, key, day) == expected, (seed, key, day)


async def test_a_balance_reads_no_posting_of_a_closed_day(
    app_database: Database, fresh_database: FreshDatabase, stall: PayableStall
) -> None:
    """Their rows are taken away, and the balance is the same."""
    for days in range(3):
        at = NOON + days * ONE_DAY
        await post(app_database, stall, a_posting(stall, 10**days, at=at), now=at)
    for days in range(2):
        await close(app_database, stall, DAY + days * ONE_DAY)
    with psycopg.connect(fresh_database.owner_url) as owner:
        owner.execute("DELETE FROM postings WHERE amount_vnd < 100")

    assert await balance(app_database, stall, takings(stall.payee_id)) == 111
    at = NOON + timedelta(days=1, minutes=1)  # the first day was closed at noon
    assert await balance(app_database, stall, takings(stall.payee_id), at=at) == 1
