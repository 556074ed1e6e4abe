"""Opening, reading and cancelling bills."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.audit import Actor, record_change
from core.idempotency import find_repeats, take_keys
from core.ids import new_id, new_token
from payments.bills import queries, settling
from payments.bills.errors import BillIdTaken, BillNotCancellable, BillNotFound
from payments.bills.rules import (
    CANCELLABLE,
    BillFacts,
    BillRequest,
    BillStatus,
    is_same_request,
    new_bill,
)
from payments.outbox import service as outbox
from payments.outbox.rules import EventKind, NewEvent
from payments.payees.errors import PayeeHasNoAccount, PayeeNotFound
from payments.payees.queries import find_payee_ids, find_routes
from payments.payees.rules import PayeeRoute

Opened = BillFacts | Exception


async def open_bills(
    session: AsyncSession,
    org_id: UUID,
    requests: Sequence[BillRequest],
    references: Sequence[str],
    *,
    now: datetime,
) -> list[Opened]:
    """Open bills in a handful of statements, however many they are.

    Args:
        references: one fresh reference per request; those of repeats stay unused.

    Returns:
        Per request, in order: the bill (the first one's current state if it is a repeat), or what
        is wrong with it. An answer that is an error wrote nothing for its request.

    Raises:
        BillIdTaken: a client-made id collided inside a batch of several; try them one by one.
    """
    assert len(requests) == len(references)
    answers: dict[int, Opened] = {}
    routes = await find_routes(session, org_id, {request.payee_id for request in requests})
    without_route = [i for i, one in enumerate(requests) if one.payee_id not in routes]
    if without_route:
        answers = await _answer_without_route(session, org_id, requests, without_route)
    ids = [request.id or new_id() for request in requests]
    repeats = await _take_keys(session, org_id, requests, ids, skip=answers, now=now)
    new = [
        _make_bill(org_id, ids[i], request, routes, references[i], now)
        for i, request in enumerate(requests)
        if i not in answers and i not in repeats
    ]
    links = [(bill, routes[bill.payee_id].link_id) for bill in new]
    new_ids = await queries.insert_bills_once(session, org_id, links) if links else set()
    # An id that came twice is stored once: what is in the table decides for the second.
    times = Counter(bill.id for bill in new)
    bills = {bill.id: bill for bill in new if bill.id in new_ids and times[bill.id] == 1}
    wanted = times.keys() | {answer for answer in repeats.values() if isinstance(answer, UUID)}
    if unread := wanted - bills.keys():
        bills |= await queries.find_bills(session, org_id, unread)
    is_answered: set[UUID] = set()
    for i, request in enumerate(requests):
        if i in answers:
            continue
        repeat = repeats.get(i)
        if isinstance(repeat, Exception):
            answers[i] = repeat
            continue
        bill = bills[repeat or ids[i]]
        is_first = repeat is None and ids[i] in new_ids and ids[i] not in is_answered
        is_answered.add(bill.id)
        if repeat is None and not is_first and not is_same_request(bill, request):
            if request.repeatable is not None:
                raise BillIdTaken(bill.id)  # its key was written: roll back
            answers[i] = BillIdTaken(bill.id)
            continue
        answers[i] = bill if is_first else replace(bill, is_replayed=True)
    return [answers[i] for i in range(len(requests))]


async def cancel_bill(
    session: AsyncSession,
    org_id: UUID,
    bill_id: UUID,
    *,
    actor: Actor,
    reason: str | None,
    now: datetime,
) -> BillFacts:
    """Cancel a bill that is not settled. Cancelling twice answers like the first time.

    What was paid stays recorded; that it is due for refund is noted by payments.refunds.service.

    Raises:
        BillNotFound, BillNotCancellable
    """
    locked = await settling.lock_bills(session, org_id, [bill_id])
    if bill_id not in locked:
        raise BillNotFound(bill_id)
    status = locked[bill_id].status
    if status == BillStatus.CANCELLED:
        return await queries.get_bill(session, org_id, bill_id)
    if status not in CANCELLABLE:
        raise BillNotCancellable(status)
    await queries.mark_cancelled(session, org_id, bill_id, now=now)
    locked[bill_id].status = BillStatus.CANCELLED
    await settling.close_short(session, org_id, locked.values(), now=now)
    await settling.notify_rails(session, org_id, locked.values())
    await settling.notify_owners(session, org_id, locked.values(), now=now)
    bill = await queries.get_bill(session, org_id, bill_id)
    record_change(
        session,
        org_id=org_id,
        actor=actor,
        action="bill.cancelled",
        object_kind="bill",
        object_id=bill_id,
        before={"status": status},
        after={"status": bill.status, "paid_vnd": bill.paid_vnd},
        reason=reason,
        now=now,
    )
    cancelled = NewEvent(
        kind=EventKind.BILL_CANCELLED,
        payee_id=bill.payee_id,
        bill_id=bill.id,
        data={"reference": bill.reference, "paid_vnd": bill.paid_vnd},
    )
    await outbox.record(session, org_id, [cancelled], now=now)
    return bill


async def _answer_without_route(
    session: AsyncSession, org_id: UUID, requests: Sequence[BillRequest], at: Sequence[int]
) -> dict[int, Opened]:
    """Answer requests whose payee has no account, or does not exist here.

    A repeat still gets its bill, as the first time.

    Nothing is stored, so that the same key may open the bill once there is an account.
    """
    known_ids = await find_payee_ids(session, org_id, {requests[i].payee_id for i in at})
    answers: dict[int, Opened] = {}
    for i in at:
        payee_id = requests[i].payee_id
        is_known = payee_id in known_ids
        answers[i] = PayeeHasNoAccount(payee_id) if is_known else PayeeNotFound(payee_id)
    keyed = [(i, key) for i in at if (key := requests[i].repeatable) is not None]
    if not keyed:
        return answers
    repeats = await find_repeats(session, org_id, [key for _, key in keyed])
    ids = {first for first in repeats if isinstance(first, UUID)}
    bills = await queries.find_bills(session, org_id, ids) if ids else {}
    for (i, _), first in zip(keyed, repeats, strict=True):
        if isinstance(first, UUID):
            answers[i] = replace(bills[first], is_replayed=True)
        elif first is not None:
            answers[i] = first
    return answers


async def _take_keys(
    session: AsyncSession,
    org_id: UUID,
    requests: Sequence[BillRequest],
    ids: Sequence[UUID],
    *,
    skip: dict[int, Opened],
    now: datetime,
) -> dict[int, UUID | Exception]:
    """Write the Idempotency-Keys; say which requests are repeats, and of which bill."""
    keyed = [
        (i, request.repeatable, ids[i])
        for i, request in enumerate(requests)
        if request.repeatable is not None and i not in skip
    ]
    if not keyed:
        return {}
    pairs = [(key, bill_id) for _, key, bill_id in keyed]
    taken = await take_keys(session, org_id, pairs, now=now)
    return {i: first for (i, _, _), first in zip(keyed, taken, strict=True) if first is not None}


def _make_bill(
    org_id: UUID,
    bill_id: UUID,
    request: BillRequest,
    routes: Mapping[UUID, PayeeRoute],
    reference: str,
    now: datetime,
) -> BillFacts:
    return new_bill(
        org_id,
        bill_id,
        request,
        routes[request.payee_id],
        reference=reference,
        public_token=new_token(),
        now=now,
    )
