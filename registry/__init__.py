"""The registry: what packages offer to others that must not import them, in one place.

The hub and the worker are started with the same one. A package that owns bills, queues jobs or
keeps something about people adds a line here; nothing is registered while a process runs. (What the
worker runs by the clock is listed in worker/jobs.py, providers in payments/providers.)
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final

from core.clock import read_clock
from core.db import Database
from core.jobs.attempts import Handler
from identity.devices.queries import end_person
from identity.people.hooks import Hooks
from identity.people.rules import ScopeKind
from parking.exits import rules as parking
from parking.exits.owner import handle_bill_change as handle_parking_bill
from parking.passes import rules as passes
from parking.passes.owner import handle_bill_change as handle_pass_bill
from parking.places import posters
from parking.places.queries import find_lot_ids
from parking.shifts import deposits
from parking.shifts.posters import handle_poster_change
from parking.shifts.queries import find_shift_at
from parking.tax_exports import jobs as tax_export_jobs
from parking.tax_exports import rules as tax_export_rules
from payments.bills.owners import BillOwner
from payments.connections.vouching import handle_permission_lost
from payments.payees.queries import find_payee_ids
from payments.reconciliation import jobs as reconciliation_jobs
from payments.settlements import jobs as settlement_jobs
from payments.settlements import rules as settlement_rules
from payments.statements import jobs as statement_jobs
from payments.statements import rules as statement_rules


@dataclass(frozen=True, kw_only=True, slots=True)
class Registry:
    """What the packages of one installation offer."""

    hooks: Hooks  # what identity calls above it, and notifies
    # Kind of owner → its handler.
    bill_owners: Mapping[str, BillOwner]
    # Kind of queued job → its handler. Made with the hub's database, for transactions of one
    # organisation each. A worker leaves jobs of other kinds to newer ones.
    job_handlers: Mapping[str, Callable[[Database], Handler]]


REGISTRY: Final = Registry(
    hooks=Hooks(
        scope_kinds={ScopeKind.PAYEE: find_payee_ids, ScopeKind.LOT: find_lot_ids},
        on_permission_lost=(handle_permission_lost,),
        on_signed_out=(end_person,),
        find_shift=find_shift_at,
    ),
    bill_owners=MappingProxyType(
        {
            parking.OWNER_KIND: handle_parking_bill,
            deposits.OWNER_KIND: deposits.handle_deposit_change,
            passes.OWNER_KIND: handle_pass_bill,
            posters.OWNER_KIND: handle_poster_change,
        }
    ),
    job_handlers=MappingProxyType(
        {
            statement_rules.READ: statement_jobs.make_reader,
            statement_rules.WRITE: statement_jobs.make_writer,
            statement_rules.PURGE: statement_jobs.make_purger,
            statement_rules.MATCH: partial(reconciliation_jobs.make_matcher, read_clock=read_clock),
            settlement_rules.DRAFT: settlement_jobs.make_drafter,
            tax_export_rules.KIND: tax_export_jobs.make_writer,
        }
    ),
)
