"""Calls of a race that are about breaks (tests/concurrency/racer.py)."""

from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from core.audit import Actor
from core.db import Database
from core.tenancy import open_org_transaction
from identity.organisations.rules import OrgFacts
from payments.breaks import evidence, service
from payments.credits import admissions
from payments.decisions import deciding, proposing
from payments.decisions.proposing import NewDecision
from payments.decisions.rules import Action


class Call(Protocol):
    """One call of a race, as it stands at the barrier."""

    @property
    def database(self) -> Database: ...
    @property
    def org(self) -> OrgFacts: ...
    @property
    def now(self) -> datetime: ...
    @property
    def said(self) -> dict[str, Any]: ...
    @property
    def actor(self) -> Actor: ...
    def id(self, name: str) -> UUID: ...
    async def go(self) -> int: ...


async def propose_one(call: Call) -> str:
    """Propose to write the money of a break off, or to undo a decision."""
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        who: dict[str, Any] = {"actor": call.actor, "now": call.now}
        if "undoes_id" in call.said:
            made = await proposing.propose_undo(
                session,
                call.org.id,
                call.id("undoes_id"),
                id_=call.id("id"),
                reason="race",
                **who,
            )
        else:
            new = NewDecision(
                id=call.id("id"),
                action=Action.WRITE_OFF,
                amount_vnd=call.said["amount_vnd"],
                reason="race",
            )
            made = await proposing.propose(session, call.org.id, call.id("break_id"), new, **who)
    return made.status


async def decide(call: Call) -> str:
    """Approve a decision, or refuse it (`words`)."""
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        who: dict[str, Any] = {"actor": call.actor, "now": call.now}
        decision_id = call.id("decision_id")
        if "words" in call.said:
            done = await deciding.refuse(
                session, call.org.id, decision_id, words=call.said["words"], **who
            )
        else:
            done = await deciding.approve(session, call.org.id, decision_id, **who)
    return done.status


async def give_break(call: Call) -> str:
    """Give the money of a break to a bill."""
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        await admissions.assign(
            session,
            call.org.id,
            call.id("break_id"),
            bill_id=call.id("bill_id"),
            actor=call.actor,
            now=call.now,
        )
    return "given"


async def close_break(call: Call) -> str:
    """Close a break in words."""
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        await service.close_break(
            session,
            call.org.id,
            call.id("break_id"),
            resolution=call.said["words"],
            actor=call.actor,
            now=call.now,
        )
    return "closed"


async def note_break(call: Call) -> str:
    """Write a note."""
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        await evidence.add_note(
            session,
            call.org.id,
            call.id("break_id"),
            note_id=call.id("id"),
            words=call.said["words"],
            actor=call.actor,
            now=call.now,
        )
    return "noted"


async def attach(call: Call) -> str:
    """Put a file beside a break."""
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        await evidence.add_file(
            session,
            call.org.id,
            call.id("break_id"),
            file_id=call.id("id"),
            file_name="x.pdf",
            content=b"%PDF-" + call.said["words"].encode(),
            actor=call.actor,
            now=call.now,
        )
    return "attached"


async def close_breaks(call: Call) -> str:
    """Close breaks in bulk; say how many it closed, or found closed so."""
    async with open_org_transaction(call.database, call.org.id) as session:
        await call.go()
        answers = await service.do_in_bulk(
            session,
            call.org.id,
            [UUID(one) for one in call.said["break_ids"]],
            resolution=call.said["words"],
            actor=call.actor,
            now=call.now,
        )
    return str(sum(one.problem is None for one in answers))


CALLS = (propose_one, decide, give_break, close_break, note_break, attach, close_breaks)
