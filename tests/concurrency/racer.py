"""One process of a race: prepares its calls, waits at a barrier, and runs them at one signal.

Run by tests/concurrency/races.py as `python -m tests.concurrency.racer`. A line of JSON on standard
input says what to race; "ready" goes out once every call stands at the barrier with its connection
open and its transaction begun; the next line lets them all go.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from core.audit import Actor
from core.db import Database, open_database, open_engine
from core.errors import HubError
from core.idempotency import Repeatable, take_keys
from core.ids import new_id
from core.sealing import Sealer
from core.settings import Settings
from core.tenancy import open_org_transaction
from identity.organisations.rules import OrgFacts
from payments.bills.rules import BillRequest
from payments.bills.serials import ReferenceSource
from payments.bills.service import cancel_bill
from payments.bills.writer import BillWriter
from payments.callbacks import queries as notice_queries
from payments.connections import service
from payments.credits import assigning, corrections, rematching
from payments.credits.processing import process_notices
from payments.credits.processor import NoticeProcessor
from payments.onboarding.service import approve_account
from payments.payees.accounts import propose_account
from payments.payees.rules import HeldBy
from payments.payees.service import add_payee
from payments.refunds.files import make_file
from payments.refunds.requesting import request_refund
from payments.refunds.rules import Step
from payments.refunds.steps import StepTaken, take_step
from payments.refunds.types import NewRefund
from tests.concurrency import racer_breaks

CONNECTIONS = 12


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a race, as it stands at the barrier."""

    database: Database
    settings: Settings
    context: BillWriter
    references: ReferenceSource
    org: OrgFacts
    now: datetime
    said: dict[str, Any]
    go: Callable[[], Awaitable[int]]

    def id(self, name: str) -> UUID:
        return UUID(self.said[name])

    @property
    def actor(self) -> Actor:
        number = int(self.said.get("actor", 9))
        return Actor(kind="staff", id=UUID(int=number), name=f"person {number}")


async def settle_one(call: Call) -> str:
    async with open_org_transaction(call.database, call.org.id) as session:
        due = await notice_queries.lock_due_notice(session, call.org.id, call.id("notice_id"))
        await call.go()
        return str(await process_notices(session, call.org, due, now=call.now))


async def settle_these(call: Call) -> str:
    """Settle these notices in one batch, as a hub does that got them together."""
    async with open_org_transaction(call.database, call.org.id) as session:
        notice_ids = [UUID(one) for one in call.said["notice_ids"]]
        due = await notice_queries.lock_notices(session, call.org.id, notice_ids)
        await call.go()
        return str(await process_notices(session, call.org, due, now=call.now))


async def settle_all(call: Call) -> str:
    await call.go()
    processor = NoticeProcessor(call.database, read_clock=lambda: call.now)
    return str(await processor.process(call.org))


async def judge(call: Call) -> str:
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        credit_id = call.id("credit_id")
        return str(await rematching.rematch(session, call.org, credit_id, now=call.now))


async def assign(call: Call) -> str:
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        await assigning.assign_credit(
            session,
            call.org.id,
            call.id("credit_id"),
            payee_id=call.id("payee_id"),
            actor=call.actor,
            now=call.now,
        )
    return "assigned"


async def confirm(call: Call) -> str:
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        await assigning.confirm_for_bill(
            session,
            call.org.id,
            call.id("credit_id"),
            bill_id=call.id("bill_id"),
            payee_id=call.id("payee_id"),
            actor=call.actor,
            now=call.now,
        )
    return "confirmed"


async def take_out(call: Call) -> str:
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        await corrections.mark_not_takings(
            session,
            call.org.id,
            call.id("credit_id"),
            payee_id=call.id("payee_id"),
            actor=call.actor,
            reason="",
            now=call.now,
        )
    return "out"


async def put_back(call: Call) -> str:
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        await corrections.mark_takings_again(
            session,
            call.org.id,
            call.id("credit_id"),
            payee_id=call.id("payee_id"),
            actor=call.actor,
            now=call.now,
        )
    return "back"


async def cancel(call: Call) -> str:
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        bill = await cancel_bill(
            session, call.org.id, call.id("bill_id"), actor=call.actor, reason=None, now=call.now
        )
    return bill.status


async def refund(call: Call) -> str:
    new = NewRefund(
        id=call.id("id"),
        payment_id=UUID(call.said["payment_id"]) if "payment_id" in call.said else None,
        credit_id=UUID(call.said["credit_id"]) if "credit_id" in call.said else None,
        amount_vnd=call.said["amount_vnd"],
        reason="race",
    )
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        await request_refund(session, call.org.id, new, actor=call.actor, now=call.now)
    return "requested"


async def step(call: Call) -> str:
    """Take a refund a step further."""
    holder = call.said.get("acts_for")
    taken = StepTaken(
        step=Step(call.said["step"]),
        bank_reference=call.said.get("bank_reference"),
        acts_for=None if holder is None else HeldBy(holder),
    )
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        done = await take_step(
            session, call.org.id, call.id("refund_id"), taken, actor=call.actor, now=call.now
        )
    return done.status


async def pay_file(call: Call) -> str:
    """Instruct what is approved of an account by one payment file."""
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        made = await make_file(
            session,
            call.org.id,
            call.id("id"),
            account_id=call.id("account_id"),
            layout="plain",
            actor=call.actor,
            now=call.now,
        )
    return str(made.refunds)


async def same_money(call: Call) -> str:
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        await corrections.mark_same_money(
            session, call.org.id, call.id("credit_id"), actor=call.actor, now=call.now
        )
    return "same_money"


async def approve(call: Call) -> str:
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        link = await approve_account(
            session, call.org.id, call.id("link_id"), actor=call.actor, now=call.now
        )
    return link.status


async def propose(call: Call) -> str:
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        link = await propose_account(
            session,
            call.org.id,
            payee_id=call.id("payee_id"),
            bin_="970436",
            account_number=call.said["account_number"],
            virtual_account=None,
            holder_name="NGUYEN THI A",
            test_reference=call.said["reference"],
            actor=call.actor,
            now=call.now,
        )
    return str(link.id)


async def add_one_payee(call: Call) -> str:
    """Add a payee under an Idempotency-Key, as its route does."""
    payee_id = new_id()
    key = Repeatable(route="payees", key=call.said["key"], body_hash=b"same")
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        (first,) = await take_keys(session, call.org.id, [(key, payee_id)], now=call.now)
        if first is None:
            await add_payee(
                session,
                call.org.id,
                id_=payee_id,
                name="Cô Lan",
                place="B12",
                actor=call.actor,
                now=call.now,
            )
    return str(first or payee_id)


async def open_bill(call: Call) -> str:
    request = BillRequest(
        payee_id=call.id("payee_id"),
        amount_vnd=call.said["amount_vnd"],
        purpose="race",
        expires_at=call.now + timedelta(minutes=15),
        monitor_until=call.now + timedelta(days=1),
        created_by=UUID(int=9),
        id=UUID(call.said["id"]) if "id" in call.said else new_id(),
        repeatable=Repeatable(route="bills", key=call.said["key"], body_hash=b"same")
        if "key" in call.said
        else None,
    )
    await call.go()
    return str((await call.context.open_bill(call.org, request)).id)


async def take_references(call: Call) -> str:
    await call.go()
    return " ".join(await call.references.take(call.org, call.said["count"]))


async def rotate(call: Call) -> str:
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        secrets = await service.rotate_secret(
            session,
            call.org.id,
            call.id("endpoint_id"),
            secret=None,
            overlap=timedelta(days=1),
            sealer=Sealer.from_settings(call.settings),
            actor=call.actor,
            now=call.now,
        )
    return secrets.keys[0]


CALLS: dict[str, Callable[[Call], Awaitable[str]]] = {
    one.__name__: one
    for one in (
        settle_one, settle_these, settle_all, judge, assign, confirm, take_out, put_back, cancel,
        approve, open_bill, take_references, rotate, propose, add_one_payee, refund, step,
        same_money, pay_file, *racer_breaks.CALLS,
    )
}  # fmt: skip


async def run_race(settings: Settings, race: dict[str, Any]) -> list[str]:
    """Run the calls of one race; answer what each returned, or the name of its error."""
    engine = open_engine(settings.app_database_url.get_secret_value(), settings, pool_size=12)
    database = open_database(engine)
    now = datetime.fromisoformat(race["now"])
    context = BillWriter(database, read_clock=lambda: now)
    references = ReferenceSource(database, run_length=race.get("run_length", 1_000))
    calls: list[dict[str, Any]] = race["calls"]
    barrier = asyncio.Barrier(len(calls) + 1)
    org = OrgFacts(**{**race["org"], "id": UUID(race["org"]["id"])})

    async def run_call(said: dict[str, Any]) -> str:
        call = Call(
            database=database,
            settings=settings,
            context=context,
            references=references,
            org=org,
            now=now,
            said=said,
            go=barrier.wait,
        )
        try:
            return await CALLS[said["what"]](call)
        except HubError as error:
            return type(error).__name__

    await _open_connections(database)
    tasks = [asyncio.create_task(run_call(said)) for said in calls]
    while barrier.n_waiting < len(tasks):
        if any(task.done() for task in tasks):
            break  # it failed before the barrier: gather below says why
        await asyncio.sleep(0.002)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    if barrier.n_waiting == len(tasks):
        await barrier.wait()
    try:
        return await asyncio.gather(*tasks)
    finally:
        await engine.dispose()


async def _open_connections(database: Database) -> None:
    """Fill the pool, so that no call has to connect after the signal."""
    opened = asyncio.Barrier(CONNECTIONS)

    async def open_one() -> None:
        async with database() as session:
            await session.connection()
            await opened.wait()

    await asyncio.gather(*(open_one() for _ in range(CONNECTIONS)))


def main() -> None:
    """Run races until standard input ends."""
    settings = Settings()  # type: ignore[call-arg]  # from PHOPAY_… variables
    for line in sys.stdin:
        print(json.dumps(asyncio.run(run_race(settings, json.loads(line)))), flush=True)


if __name__ == "__main__":
    main()
