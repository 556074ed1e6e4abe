"""./phopay ledger verify: the books of one organisation, or of all, against their hashes."""

import json
from collections.abc import AsyncIterator

from core.db import open_database, open_engine
from core.settings import Settings
from identity.organisations.queries import find_organisation, list_org_facts
from identity.organisations.rules import OrgFacts
from ops.errors import CannotStart
from payments.closing.service import read_sections
from payments.ledger.verifying import Verified, list_organisations, verify_books


async def verify_ledger(
    settings: Settings, org_code: str | None
) -> AsyncIterator[tuple[OrgFacts, Verified]]:
    """Verify the books of an organisation, or of each, as the role that only reads them.

    Raises:
        CannotStart: no such organisation.
    """
    engine = open_engine(settings.worker_database_url.get_secret_value(), settings, pool_size=1)
    database = open_database(engine)
    try:
        async with database.begin() as session:
            if org_code is None:
                orgs = await list_org_facts(session, await list_organisations(session))
            else:
                org = await find_organisation(session, org_code)
                if org is None:
                    raise CannotStart(f"There is no organisation {org_code!r}.")
                orgs = [org]
        for org in sorted(orgs, key=lambda one: one.code):
            yield org, await verify_books(database, org.id, read_sections=read_sections)
    finally:
        await engine.dispose()


def word_verified(org: OrgFacts, found: Verified) -> list[str]:
    """Word what was found for a person at the terminal."""
    lines = []
    if found.last is not None:
        lines.append(
            f"{org.code}: {found.days} closed days up to {found.last.day} agree,"
            f" {found.postings} postings. Head: {found.last.hash.hex()}"
        )
    elif found.fault is None:
        lines.append(f"{org.code}: no day is closed yet")
    if found.fault is not None:
        lines.append(f"{org.code}: {found.fault.day or 'the books'} DOES NOT AGREE")
        lines += [f"  {reason}" for reason in found.fault.reasons]
    return lines


def write_verified(org: OrgFacts, found: Verified) -> str:
    """Write what was found as one JSON object."""
    last, fault = found.last, found.fault
    return json.dumps(
        {
            "org": org.code,
            "agrees": fault is None,
            "days": found.days,
            "postings": found.postings,
            "closed_through": None if last is None else last.day.isoformat(),
            "head": None if last is None else last.hash.hex(),
            "wrong_day": None if fault is None or fault.day is None else fault.day.isoformat(),
            "reasons": [] if fault is None else list(fault.reasons),
        }
    )
