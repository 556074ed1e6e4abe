"""A hub whose bills may have an owner that writes nothing, so that only notifying it is measured.

Run as `python -m loadtests.owner_hub FD`, as ops.hub_process.
"""

import sys
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from api.app import create_app
from ops import hub_process
from payments.bills.owners_rules import Change
from registry import REGISTRY

OWNER_KIND: Final = "bench"


async def take_note(session: AsyncSession, change: Change, *, now: datetime) -> None:
    """Handle a change by doing nothing: the hub marks it as handled in the same transaction."""


if __name__ == "__main__":
    registry = replace(REGISTRY, bill_owners={OWNER_KIND: take_note})
    hub_process.main(int(sys.argv[1]), partial(create_app, registry=registry))
