"""Subscribers of identity's events: the one list, filled here where all packages meet."""

from typing import Final

from identity.people.hooks import Hooks
from identity.people.rules import ScopeKind
from payments.connections.vouching import handle_permission_lost
from payments.payees.queries import find_payee_ids

HOOKS: Final = Hooks(
    scope_kinds={ScopeKind.PAYEE: find_payee_ids},
    on_permission_lost=(handle_permission_lost,),
)
