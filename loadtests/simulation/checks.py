"""Checks after a step: the hub's own invariants, and the model against API and ledger.

A cheap check looks at sums, after every step; a whole one reads every list of the API.
"""

from collections import Counter
from datetime import date
from typing import Any, Final

from loadtests.simulation.model import Account, Item, Payee
from loadtests.simulation.statements import check_lines
from loadtests.simulation.town import Organisation, Town, ask, list_all
from payments.invariants.jobs import run_checks

SHOWN_MAX: Final = 5
# They judge by the clock whether people and providers are slow, which they are here on purpose.
NOT_JUDGED: Final = frozenset({"earning_endpoints_are_not_silent"})
BALANCES: Final = """
    SELECT code, subject_id::text, sum(vnd)::bigint FROM (
        SELECT credit_code AS code, credit_subject_id AS subject_id, amount_vnd AS vnd FROM postings
        UNION ALL
        SELECT debit_code, debit_subject_id, -amount_vnd FROM postings) sides
    GROUP BY code, subject_id HAVING sum(vnd) <> 0
"""
Balances = dict[tuple[str, str], int]


async def check_sums(town: Town) -> list[str]:
    """Hold each balance of the ledger against the model; return what differs."""
    rows = await town.stage.select(BALANCES)
    said: Balances = {(code, subject): int(vnd) for code, subject, vnd in rows}
    wanted: Balances = {}
    for payee in town.model.payees:
        wanted["takings", payee.id] = town.model.takings_vnd(payee)
        wanted["not_takings", payee.id] = town.model.not_takings_vnd(payee)
    for account in _accounts(town):
        booked = town.booked.get(account.number)
        proved_vnd = booked.proved_vnd if booked else 0  # a proof moves it between the two
        wanted["bank", account.id] = -proved_vnd
        wanted["bank_clearing", account.id] = proved_vnd - town.model.reported_vnd(account)
        wanted["unapplied_cash", account.id] = town.model.unapplied_vnd(account)
        wanted["refunds_in_transit", account.id] = town.model.in_transit_vnd(account)
    found = [
        f"{code} of {subject}: the ledger says {said.get((code, subject), 0)}, the model {vnd}"
        for (code, subject), vnd in wanted.items()
        if said.get((code, subject), 0) != vnd
    ]
    if made_vnd := town.stage.sandbox.bank.total_vnd():
        found.append(f"the sandbox's banks made or lost {made_vnd}")
    return found[:SHOWN_MAX]


async def check_whole(town: Town) -> list[str]:
    """Hold everything against everything; return what differs."""
    found = [*await check_sums(town), *await check_invariants(town), *await check_lines(town)]
    for org in town.orgs:
        found += [
            *await _check_bills(town, org),
            *await _check_credits(town, org),
            *await _check_breaks(town, org),
            *await _check_refunds(town, org),
        ]
    return found


async def check_invariants(town: Town) -> list[str]:
    """Run the checks of payments/invariants as the worker does; return what they found."""
    found = []
    async for run in run_checks(town.stage.databases, is_whole=True, now=town.stage.clock.now):
        if run.name not in NOT_JUDGED and run.status != "ok":
            found.append(f"invariant {run.name}: {run.status}, {run.violations} rows {run.error}")
    return found


async def check_totals(town: Town, days: list[date]) -> list[str]:
    """Hold what the API says that each payee took on these days together against the model."""
    found = []
    for payee in town.model.payees:
        manager = town.org_of(payee).people["manager"]
        took_vnd = 0
        for day in days:
            params = {"payee_id": payee.id, "on": day.isoformat()}
            took_vnd += (await ask(manager, "GET", "/v1/totals", params=params))["takings_vnd"]
        if took_vnd != (wanted_vnd := town.model.takings_vnd(payee)):
            found.append(
                f"stall {payee.number} took {took_vnd} by the API, by the model {wanted_vnd}"
            )
    return found


async def _check_bills(town: Town, org: Organisation) -> list[str]:
    now = town.stage.clock.now
    listed = await list_all(org.people["manager"], "/v1/bills", "bills")
    said = {
        one["id"]: (one["status"], one["paid_vnd"], one["received_vnd"], one["is_late"])
        for one in listed
    }
    wanted = {
        bill.id: (bill.status_at(now), bill.paid_vnd, bill.received_vnd, bill.is_late)
        for bill in town.model.bills
        if bill.payee.org == org.number
    }
    names = {bill.id: f"bill {bill.number}" for bill in town.model.bills}
    return _compare("(status, paid, received, late)", said, wanted, names)


async def _check_credits(town: Town, org: Organisation) -> list[str]:
    listed = await list_all(org.people["finance"], "/v1/credits", "credits")
    said = {
        one["bank_reference"]: (one["verdict"], one["amount_vnd"], one["applied_vnd"])
        for one in listed
    }
    known = [c for c in town.model.credits if c.org == org.number and c.reported_vnd is not None]
    wanted = {c.reference: (c.verdict, c.reported_vnd or 0, c.applied_vnd) for c in known}
    names = {c.reference: f"credit {c.number}" for c in known}
    found = _compare("(verdict, amount, applied)", said, wanted, names)
    if len(listed) != len(said):
        found.append(f"organisation {org.number} has a bank reference twice")
    return found


async def _check_breaks(town: Town, org: Organisation) -> list[str]:
    """Account for every fault that was injected: the right kinds of breaks, and no others."""
    listed = await list_all(org.people["finance"], "/v1/breaks", "breaks", is_open="true")
    references = await _read_references(town, org)
    said = Counter(
        (
            one["kind"],
            one["amount_vnd"],
            references.get(one["credit_id"] or one["subject_id"]) or _bill_of(town, one),
        )
        for one in listed
    )
    wanted = Counter(
        (item.kind, item.amount_vnd, _subject_of(item))
        for item in town.model.items
        if item.is_open and item.org == org.number
    )
    found = [f"break {key} x {n} is not in the model" for key, n in (said - wanted).items()]
    found += [f"break {key} x {n} is not at the hub" for key, n in (wanted - said).items()]
    return found[:SHOWN_MAX]


async def _check_refunds(town: Town, org: Organisation) -> list[str]:
    listed = await list_all(org.people["finance"], "/v1/refunds", "refunds")
    said = {one["id"]: (one["status"], one["amount_vnd"]) for one in listed}
    ours = [refund for refund in town.model.refunds if refund.org == org.number]
    wanted = {refund.id: (refund.status, refund.amount_vnd) for refund in ours}
    names = {refund.id: f"refund {refund.number}" for refund in ours}
    return _compare("(status, amount)", said, wanted, names)


async def _read_references(town: Town, org: Organisation) -> dict[str, str]:
    """Return the bank's reference of an organisation's credits and lines, by the hub's id."""
    query = """
        SELECT id::text, bank_reference FROM bank_transactions WHERE org_id = %s
        UNION ALL SELECT id::text, bank_reference FROM statement_lines WHERE org_id = %s
    """
    rows = await town.stage.select(query, org.market.org.id, org.market.org.id)
    return {str(id_): str(reference) for id_, reference in rows}


def _bill_of(town: Town, listed: Any) -> str:
    for bill in town.model.bills:
        if bill.id in (listed["bill_id"], listed["subject_id"]):
            return f"bill {bill.number}"
    return f"{listed['reason']} {listed['subject_id']}"


def _subject_of(item: Item) -> str:
    if item.credit is not None:
        return item.credit.reference
    assert item.bill is not None
    return f"bill {item.bill.number}"


def _compare(
    what: str, said: dict[str, Any], wanted: dict[str, Any], names: dict[str, str]
) -> list[str]:
    differing = sorted(
        key for key in said.keys() | wanted.keys() if said.get(key) != wanted.get(key)
    )
    return [
        f"{names.get(key, key)} {what}: the hub says {said.get(key)}, the model {wanted.get(key)}"
        for key in differing[:SHOWN_MAX]
    ]


def _accounts(town: Town) -> list[Account]:
    first: dict[str, Payee] = {}
    for payee in town.model.payees:
        first.setdefault(payee.account.id, payee)
    return [payee.account for payee in first.values()]
