"""Matching: who trades on an account, what each credit is, and writing down what follows."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.ids import new_id
from identity.organisations.rules import OrgFacts
from payments.bills import queries_blocks, settling
from payments.bills.blocks_rules import BlockFacts, find_awaited, locate
from payments.bills.owners_rules import change_of_sale
from payments.bills.payment_rules import Payment, SettlingPlan
from payments.bills.references import NextSerials
from payments.bills.rules import BillState
from payments.breaks import queries as break_queries
from payments.breaks.types import NewBreak
from payments.credits import queries_matches
from payments.credits.effects import list_events, list_postings, open_vnd
from payments.credits.rules import (
    AccountRouting,
    CreditFacts,
    Names,
    Verdict,
    decide,
    read_names,
)
from payments.credits.types import ListedAccount, NewMatch, TradingLink
from payments.ledger import service as ledger
from payments.outbox import service as outbox
from payments.payees.rules import AccountStatus, LinkStatus


def describe_routings(
    accounts: Iterable[ListedAccount], links: Iterable[TradingLink]
) -> dict[UUID, AccountRouting]:
    """Say who trades on each of these accounts."""
    by_account: dict[UUID, list[TradingLink]] = defaultdict(list)
    for link in links:
        by_account[link.receiving_account_id].append(link)
    return {
        account.receiving_account_id: _describe_routing(
            account, by_account[account.receiving_account_id]
        )
        for account in accounts
    }


async def match_credits(
    session: AsyncSession,
    org: OrgFacts,
    credits_in: Sequence[CreditFacts],
    routings: dict[UUID, AccountRouting],
    *,
    codes: NextSerials,
    known_codes: NextSerials,
    may_wait: bool = True,
    now: datetime,
) -> tuple[list[NewMatch], dict[UUID, BillState]]:
    """Decide what each credit is, in order; the bills that changed come back locked.

    Args:
        codes: the codes that name the organisation in references.
        known_codes: these, and those of others that the memos name (queries.add_foreign_codes).
        may_wait: for the bills of phones without network.
    """
    names = [read_names(credit, codes, known_codes) for credit in credits_in]
    references = {reference for one in names for reference, _ in one.own}
    orders = {
        (credit.provider, one.order_id)
        for credit, one in zip(credits_in, names, strict=True)
        if one.order_id is not None
    }
    bills: dict[UUID, BillState] = {}
    if references or orders:
        bills = await settling.lock_named_bills(
            session, org.id, references=references, orders=orders
        )
    by_name: dict[str, list[BillState]] = defaultdict(list)
    for bill in bills.values():
        by_name[bill.reference].append(bill)
        if bill.provider_order_id is not None:
            by_name[bill.provider_order_id].append(bill)
    named_of = [_list_named(one, by_name) for one in names]
    issued: dict[str, BlockFacts] = {}
    # Most credits have their bill: whether a phone without network has it, few are asked.
    without = {
        reference
        for one, named in zip(names, named_of, strict=True)
        if not named
        for reference, _ in one.own
    }
    if without and may_wait:
        issued = await queries_blocks.find_issued(session, org.id, locate(without))
    matches: list[NewMatch] = []
    changed: dict[UUID, BillState] = {}
    for credit, one, named in zip(credits_in, names, named_of, strict=True):
        routing = routings[credit.receiving_account_id]
        awaited = None
        if issued and not named:
            awaited = find_awaited(
                [reference for reference, _ in one.own],
                issued,
                account_id=credit.receiving_account_id,
                now=now,
            )
        decision = decide(credit, one, routing, list(named.values()), awaited=awaited, now=now)
        if decision.bill_id is not None:
            changed[decision.bill_id] = bills[decision.bill_id]
        matches.append(
            NewMatch(
                id=new_id(), credit_id=credit.id, decision=decision, named=awaited or one.named
            )
        )
    return await _add_suggestions(session, org.id, matches, credits_in, now=now), changed


async def write_matches(
    session: AsyncSession,
    org_id: UUID,
    matches: Sequence[NewMatch],
    credits_in: Sequence[CreditFacts],
    bills: dict[UUID, BillState],
    *,
    reversed_payments: Sequence[Payment] = (),
    unchanged: Collection[UUID] = (),
    now: datetime,
) -> None:
    """Write matches with everything that follows: bills, payments, postings, breaks, events.

    Nothing is read, so that all of it may be sent together (core.sql).

    Args:
        unchanged: bills that were paid the same before; nobody needs to hear it again.
    """
    pairs = list(zip(matches, credits_in, strict=True))
    plan = SettlingPlan(
        bills=bills,
        payments=[payment for match in matches for payment in match.decision.payments],
        reversed=list(reversed_payments),
    )
    sales = [
        change_of_sale(match.credit_id, match.decision.owner)
        for match in matches
        if match.decision.owner is not None
    ]
    await settling.write(session, org_id, plan, sales=sales, now=now)
    await queries_matches.insert_matches(session, org_id, matches, now=now)
    if plan.payments:
        await queries_matches.insert_legs(session, org_id, matches)
    if still_open := [(c.id, left) for m, c in pairs if (left := open_vnd(m, c))]:
        await queries_matches.set_open(session, org_id, still_open)
    postings = [t for match, credit in pairs for t in list_postings(match, credit)]
    await ledger.post(session, org_id, postings, now=now)
    breaks = [
        NewBreak(
            kind=match.decision.opens_break,
            subject_id=credit.id,
            credit_id=credit.id,
            bill_id=match.decision.bill_id,
            amount_vnd=credit.amount_vnd - match.decision.applied_vnd,
            reason=match.decision.reason,
        )
        for match, credit in pairs
        if match.decision.opens_break is not None
    ]
    if breaks:
        await break_queries.insert_breaks_once(session, org_id, breaks, now=now)
    events = [event for match, credit in pairs for event in list_events(match, credit)]
    events = [event for event in events if event.bill_id not in unchanged]
    await outbox.record(session, org_id, events, now=now)


def _list_named(names: Names, by_name: Mapping[str, Sequence[BillState]]) -> dict[UUID, BillState]:
    """Return the bills that a credit names, by its references and its provider's order."""
    named = {b.id: b for ref, _ in names.own for b in by_name.get(ref, ())}
    if names.order_id is not None:
        named |= {b.id: b for b in by_name.get(names.order_id, ())}
    return named


def _describe_routing(account: ListedAccount, links: Sequence[TradingLink]) -> AccountRouting:
    """Say whose an account's money without reference is, from its links, those in force first.

    An approved link counts only before the account's first test: once the account is in force, a
    link that waits still waits for something of its own. A closed payee shares no account with its
    neighbours any more, but what comes by its own code stays its own.
    """
    counted = {LinkStatus.ACTIVE, LinkStatus.FORMER}
    if account.status != AccountStatus.ACTIVE:
        counted.add(LinkStatus.APPROVED)
    trading = [link for link in links if link.status in counted]
    virtual: dict[str, UUID] = {}
    for link in trading:
        if link.virtual_account is not None:
            virtual.setdefault(link.virtual_account, link.payee_id)
    still_open = [link for link in trading if not link.is_payee_closed]
    return AccountRouting(
        receiving_account_id=account.receiving_account_id,
        test_references=frozenset(link.test_reference for link in links),
        approved_at=account.approved_at,
        payee_ids=tuple(dict.fromkeys(link.payee_id for link in still_open or trading)),
        payee_by_virtual_account=virtual,
        ended_virtual_accounts=frozenset(
            link.virtual_account
            for link in links
            if link.virtual_account is not None
            and link.status == LinkStatus.ENDED
            and link.was_in_force
        ),
        owner_by_payee={
            link.payee_id: (link.owner_kind, link.owner_id)
            for link in trading[::-1]  # those in force first, and so last here
            if link.owner_kind is not None and link.owner_id is not None
        },
    )


async def _add_suggestions(
    session: AsyncSession,
    org_id: UUID,
    matches: list[NewMatch],
    credits_in: Sequence[CreditFacts],
    *,
    now: datetime,
) -> list[NewMatch]:
    """For counter sales, find the one open bill with just that amount: "của khách này?"."""
    at: list[int] = []
    sales: list[tuple[UUID, int]] = []
    for i, match in enumerate(matches):
        payee_id = match.decision.payee_id
        if match.decision.verdict is Verdict.COUNTER_SALE and payee_id is not None:
            at.append(i)
            sales.append((payee_id, credits_in[i].amount_vnd))
    if not sales:
        return matches
    found = await queries_matches.find_suggestions(session, org_id, sales, now=now)
    for n, bill_id in found.items():
        matches[at[n]] = replace(matches[at[n]], suggested_bill_id=bill_id)
    return matches
