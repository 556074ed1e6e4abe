"""SQL of what matching needs to know: whose accounts these are, and which codes name whom.

Bank transactions have theirs in queries_transactions.py and queries_sightings.py, matches in
queries_matches.py, notices and breaks in their own packages; what people look at is in views.py
and sales.py.
"""

from collections.abc import Collection, Iterable
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from core.sql import run
from payments.bills.references import NextSerials, find_references
from payments.credits.types import ListedAccount, TradingLink
from payments.payees.queries import SKIPPED

# Serials from there on were given to nobody: what looks like their reference is a word. On another
# server or timeline than the last run was taken on, what may have been given out is added.
_NEXT_SERIAL = f"next_serial + {SKIPPED}"
# The organisation's codes travel with each row: two arrays, read once.
LIST_ACCOUNTS = text(f"""
    SELECT ARRAY(SELECT code FROM organisation_codes WHERE org_id = :org_id ORDER BY code),
           ARRAY(SELECT {_NEXT_SERIAL} FROM organisation_codes WHERE org_id = :org_id
                 ORDER BY code),
           ea.endpoint_id, ea.receiving_account_id, upper(ea.account_number), e.is_sandbox,
           a.status, a.approved_at
    FROM callback_endpoint_accounts ea
    JOIN callback_endpoints e ON e.org_id = ea.org_id AND e.id = ea.endpoint_id
    JOIN receiving_accounts a ON a.org_id = ea.org_id AND a.id = ea.receiving_account_id
    WHERE ea.org_id = :org_id AND ea.endpoint_id = ANY(CAST(:endpoint_ids AS uuid[]))
""")  # noqa: S608 (our own constant)

LIST_ACCOUNTS_BY_ID = text("""
    SELECT a.id, a.id, upper(a.account_number), false, a.status, a.approved_at
    FROM receiving_accounts a
    WHERE a.org_id = :org_id AND a.id = ANY(CAST(:account_ids AS uuid[]))
""")

# Who is in force first: a link that only waits never takes what is another's. An account without
# links has one row all the same: whether several providers report on it.
LIST_TRADING_LINKS = text("""
    SELECT a.id, channels.are_several, l.payee_id, upper(l.virtual_account), l.status,
           l.test_reference, l.activated_at IS NOT NULL, p.closed_at IS NOT NULL,
           l.owner_kind, l.owner_id
    FROM unnest(CAST(:account_ids AS uuid[])) AS a (id)
    CROSS JOIN LATERAL (
        SELECT count(DISTINCT e.provider) > 1 AS are_several
        FROM callback_endpoint_accounts ea
        JOIN callback_endpoints e ON e.org_id = ea.org_id AND e.id = ea.endpoint_id
        WHERE ea.org_id = :org_id AND ea.receiving_account_id = a.id) AS channels
    LEFT JOIN payee_accounts l ON l.org_id = :org_id AND l.receiving_account_id = a.id
    LEFT JOIN payees p ON p.org_id = l.org_id AND p.id = l.payee_id
    ORDER BY l.status NOT IN ('active', 'former'), l.id
""")

# Readable by every organisation: codes stand in every memo (docs/tenancy.md).
FIND_CODES = text(f"""
    SELECT code, {_NEXT_SERIAL} FROM organisation_codes WHERE code = ANY(CAST(:codes AS text[]))
""")  # noqa: S608 (our own constant)

LIST_ORG_CODES = text(f"""
    SELECT code, {_NEXT_SERIAL} FROM organisation_codes WHERE org_id = :org_id
""")  # noqa: S608 (our own constant)

IS_ON_ACCOUNT = text("""
    SELECT 1 FROM payee_accounts
    WHERE org_id = :org_id AND payee_id = :payee_id AND receiving_account_id = :account_id
      AND (status IN ('active', 'former')
           OR (CAST(:was_ever AS bool) AND approved_at IS NOT NULL))
    LIMIT 1
""")


async def list_accounts(
    session: AsyncSession, org_id: UUID, endpoint_ids: Collection[UUID]
) -> tuple[list[ListedAccount], NextSerials]:
    """List the accounts that these endpoints may speak for, and the organisation's codes."""
    rows = await run(session, LIST_ACCOUNTS, {"org_id": org_id, "endpoint_ids": list(endpoint_ids)})
    codes = dict(zip(rows[0][0], rows[0][1], strict=True)) if rows else {}
    return [ListedAccount(*row[2:]) for row in rows], codes


async def list_accounts_by_id(
    session: AsyncSession, org_id: UUID, account_ids: Collection[UUID]
) -> list[ListedAccount]:
    """List accounts whatever the endpoint (`endpoint_id` holds the account's own id)."""
    values = {"org_id": org_id, "account_ids": list(account_ids)}
    return [ListedAccount(*row) for row in await session.execute(LIST_ACCOUNTS_BY_ID, values)]


async def list_trading_links(
    session: AsyncSession, org_id: UUID, account_ids: Collection[UUID]
) -> tuple[list[TradingLink], set[UUID]]:
    """List every link to these accounts, ended ones too, those in force first.

    Returns:
        (the links, those of the accounts that several providers report on)
    """
    values = {"org_id": org_id, "account_ids": list(account_ids)}
    rows = await run(session, LIST_TRADING_LINKS, values)
    links = [TradingLink(account_id, *link) for account_id, _, *link in rows if link[0] is not None]
    return links, {account_id for account_id, are_several, *_ in rows if are_several}


async def list_org_codes(session: AsyncSession, org_id: UUID) -> NextSerials:
    """List the codes that name this organisation in references, with their next serials."""
    return {row[0]: row[1] for row in await run(session, LIST_ORG_CODES, {"org_id": org_id})}


async def add_foreign_codes(
    session: AsyncSession, own: NextSerials, memos: Iterable[str]
) -> NextSerials:
    """Add to an organisation's own codes those of others that references in these memos name.

    No query runs where no memo holds a reference of others, as nearly always.
    """
    named = {one.org_code for memo in memos for one in find_references(memo)} - own.keys()
    if not named:
        return own
    rows = await run(session, FIND_CODES, {"codes": sorted(named)})
    return {**own, **{row[0]: row[1] for row in rows}}


async def is_on_account(
    session: AsyncSession, org_id: UUID, *, payee_id: UUID, account_id: UUID, was_ever: bool
) -> bool:
    """Tell whether a payee's codes name, or named, an account.

    Args:
        was_ever: whatever became of it, once two people had agreed to it.
    """
    values = {
        "org_id": org_id,
        "payee_id": payee_id,
        "account_id": account_id,
        "was_ever": was_ever,
    }
    return (await session.execute(IS_ON_ACCOUNT, values)).first() is not None
