"""Permissions, the roles that hold them, and the rules of passwords. Pure."""

import re
import unicodedata
from collections.abc import Collection, Iterable
from datetime import timedelta
from enum import StrEnum
from typing import Final, NamedTuple, TypeVar
from uuid import UUID

from core.errors import Violation
from core.text import STROKED_D

T = TypeVar("T")


class Role(StrEnum):
    """What a person does; each role has a fixed set of permissions (rules.py)."""

    VENDOR_OWNER = "vendor_owner"
    CASHIER = "cashier"
    ATTENDANT = "attendant"
    FINANCE = "finance"
    APPROVER = "approver"
    MANAGER = "manager"
    CITY_VIEWER = "city_viewer"
    ADMIN = "admin"


class ScopeKind(StrEnum):
    """What a person may be held to; the package that has these things says which exist."""

    PAYEE = "payee"
    LOT = "lot"


class Scope(NamedTuple):
    """One thing that a person works for. Who has none works for the whole organisation."""

    kind: ScopeKind
    id: UUID


class Permission(StrEnum):
    """One thing a caller may do. The value is also the scope's name on an API key."""

    BILLS_OPEN = "bills.open"
    BILLS_READ = "bills.read"  # also asking the provider about a bill
    BILLS_CANCEL = "bills.cancel"
    BILLS_TAKE_CASH = "bills.take_cash"  # for the rest of a short bill
    SALES_READ = "sales.read"  # counter sales and totals of the day
    SALES_SORT = "sales.sort"  # "của khách này?", "của tôi", "không phải tiền hàng"
    EVENTS_READ = "events.read"  # live screens
    PAYEES_READ = "payees.read"
    PAYEES_MANAGE = "payees.manage"
    ACCOUNTS_READ = "accounts.read"
    ACCOUNTS_PROPOSE = "accounts.propose"
    ACCOUNTS_APPROVE = "accounts.approve"  # the second person
    ACCOUNTS_ACKNOWLEDGE = "accounts.acknowledge"  # the holder saw that the account changed
    CALLBACK_ENDPOINTS_READ = "callback_endpoints.read"  # addresses and the notice log
    CALLBACK_ENDPOINTS_MANAGE = "callback_endpoints.manage"
    WEBHOOK_ENDPOINTS_READ = "webhook_endpoints.read"  # addresses and the log of deliveries
    WEBHOOK_ENDPOINTS_MANAGE = "webhook_endpoints.manage"  # also test events and replays
    BREAKS_READ = "breaks.read"
    BREAKS_RESOLVE = "breaks.resolve"  # and propose what becomes of their money
    BREAKS_APPROVE = "breaks.approve"  # the second person
    REFUNDS_REQUEST = "refunds.request"  # and the account that the payer named
    REFUNDS_APPROVE = "refunds.approve"  # the second person
    REFUNDS_INSTRUCT = "refunds.instruct"  # and what became of it; of a payee's account its owner
    LEDGER_READ = "ledger.read"
    STATEMENTS_IMPORT = "statements.import"  # files of banks
    STATEMENTS_ACCEPT = "statements.accept"  # they count from then on
    DAYS_CLOSE = "days.close"  # also what proves an account, and its opening balance
    SETTLEMENTS_READ = "settlements.read"  # statements of payees; a payee's people see their own
    SETTLEMENTS_DRAFT = "settlements.draft"  # and review, send and discard
    SETTLEMENTS_APPROVE = "settlements.approve"  # the second person
    SETTLEMENTS_TERMS = "settlements.terms"  # commission, charges and shares of a payee
    JOBS_READ = "jobs.read"  # how far imports, exports and other long work have come
    AUDIT_READ = "audit.read"
    STAFF_READ = "staff.read"
    STAFF_MANAGE = "staff.manage"
    KEYS_MANAGE = "keys.manage"
    PARKING_READ = "parking.read"  # lots, tariffs, who is inside
    PARKING_GATE = "parking.gate"  # entries, exits, what is collected, one's own shift
    PARKING_OVERRIDE = "parking.override"  # a full lot, a stay of somebody else, a reversal
    PARKING_MANAGE = "parking.manage"  # lots, tariffs, passes, what other shifts did
    PARKING_INSPECT = "parking.inspect"  # leakage figures, and recounts of what is inside
    LANES_SERVE = "lanes.serve"  # a lane's controller: fetches commands and answers them
    WATCH_LISTS_APPROVE = "watch_lists.approve"  # the second person
    DEVICES_MANAGE = "devices.manage"  # phones of a lot, and PINs
    COMPLAINTS_READ = "complaints.read"  # with the contact that a complainant gave
    COMPLAINTS_RESOLVE = "complaints.resolve"
    ORGANISATIONS_READ = "organisations.read"
    ORGANISATIONS_MANAGE = "organisations.manage"  # of the city only


P = Permission
_COUNTER: Final = frozenset(
    {P.BILLS_OPEN, P.BILLS_READ, P.BILLS_CANCEL, P.SALES_READ, P.SALES_SORT, P.EVENTS_READ}
    | {P.PAYEES_READ, P.BILLS_TAKE_CASH, P.REFUNDS_REQUEST}
)
_GATE: Final = frozenset({P.PARKING_READ, P.PARKING_GATE})
_COMPLAINTS: Final = frozenset({P.COMPLAINTS_READ, P.COMPLAINTS_RESOLVE})
_BOOKS: Final = frozenset(
    {
        P.BILLS_READ,
        P.SALES_READ,
        P.EVENTS_READ,
        P.PAYEES_READ,
        P.ACCOUNTS_READ,
        P.CALLBACK_ENDPOINTS_READ,
        P.WEBHOOK_ENDPOINTS_READ,
    }
    | {P.BREAKS_READ, P.LEDGER_READ, P.JOBS_READ, P.AUDIT_READ, P.SETTLEMENTS_READ}
)
# docs/permissions.md shows this table; a test holds them equal. Duties are kept apart: only an
# administrator can make an approver, since nobody grants what they lack.
ROLE_PERMISSIONS: Final[dict[Role, frozenset[Permission]]] = {
    Role.VENDOR_OWNER: _COUNTER
    | {P.ACCOUNTS_READ, P.ACCOUNTS_ACKNOWLEDGE, P.STAFF_READ, P.STAFF_MANAGE, P.REFUNDS_INSTRUCT}
    | {P.SETTLEMENTS_READ},
    Role.CASHIER: _COUNTER,
    Role.ATTENDANT: (_COUNTER - {P.SALES_SORT}) | _GATE,
    Role.FINANCE: _BOOKS
    | _COMPLAINTS
    | {P.BREAKS_RESOLVE, P.BILLS_CANCEL, P.PARKING_READ, P.PARKING_INSPECT}
    | {P.STATEMENTS_IMPORT, P.STATEMENTS_ACCEPT, P.REFUNDS_REQUEST, P.REFUNDS_INSTRUCT}
    | {P.DAYS_CLOSE, P.SETTLEMENTS_DRAFT},
    # Who approves accounts also sets the keys that prove them: docs/adr/0005.
    Role.APPROVER: _BOOKS
    | {P.ACCOUNTS_APPROVE, P.CALLBACK_ENDPOINTS_MANAGE, P.PARKING_READ, P.WATCH_LISTS_APPROVE}
    | {P.REFUNDS_APPROVE, P.SETTLEMENTS_APPROVE, P.BREAKS_APPROVE},
    Role.MANAGER: _COUNTER
    | _BOOKS
    | {P.PAYEES_MANAGE, P.ACCOUNTS_PROPOSE, P.ACCOUNTS_ACKNOWLEDGE, P.CALLBACK_ENDPOINTS_MANAGE}
    | {P.STAFF_READ, P.STAFF_MANAGE, P.KEYS_MANAGE, P.ORGANISATIONS_READ}
    | {P.WEBHOOK_ENDPOINTS_MANAGE, P.SETTLEMENTS_TERMS}
    | _GATE
    | _COMPLAINTS
    | {P.PARKING_OVERRIDE, P.PARKING_MANAGE, P.PARKING_INSPECT, P.DEVICES_MANAGE, P.LANES_SERVE},
    Role.CITY_VIEWER: frozenset({P.SALES_READ, P.PAYEES_READ, P.ORGANISATIONS_READ}),
    Role.ADMIN: frozenset(Permission),
}
# Who approves accounts neither proposes them nor makes who does; administrators do everything.
APART_FROM_APPROVING: Final = frozenset({P.ACCOUNTS_PROPOSE, P.STAFF_MANAGE})
# Held only by administrators of the city's own organisation, whatever their role elsewhere.
CITY_ONLY: Final = frozenset({P.ORGANISATIONS_MANAGE})
ROLE_NAMES: Final = frozenset(role.value for role in Role)
# What a machine may be trusted with: never people, keys, or where money goes.
API_SCOPES: Final = frozenset(
    {P.BILLS_OPEN, P.BILLS_READ, P.BILLS_CANCEL, P.SALES_READ, P.EVENTS_READ, P.PAYEES_READ}
    | {P.PAYEES_MANAGE, P.ACCOUNTS_READ, P.CALLBACK_ENDPOINTS_READ, P.BREAKS_READ, P.LEDGER_READ}
    | {P.JOBS_READ, P.PARKING_READ, P.PARKING_GATE, P.LANES_SERVE, P.STATEMENTS_IMPORT}
    | {P.WEBHOOK_ENDPOINTS_READ, P.REFUNDS_REQUEST}
)
# What people who are held to scopes may do: every route that asks for one of these narrows to
# what is theirs (a test walks them). Anything else acts on the whole organisation.
NARROWED: Final = (
    _COUNTER
    | _GATE
    | {
        P.ACCOUNTS_READ,
        P.ACCOUNTS_ACKNOWLEDGE,
        P.STAFF_READ,
        P.STAFF_MANAGE,
        P.LANES_SERVE,
        P.REFUNDS_INSTRUCT,
        P.SETTLEMENTS_READ,
    }
)
# These people see their payees, at least one, and nothing of the neighbours.
PAYEE_ROLES: Final = frozenset({Role.VENDOR_OWNER, Role.CASHIER})
SCOPES_MAX: Final = 50  # of one person

LOGIN: Final = re.compile(r"[a-z0-9](?:[a-z0-9._@+-]{1,62})[a-z0-9]")
PASSWORD_CHARS_MIN: Final = 10
PASSWORD_CHARS_MAX: Final = 200  # argon2 takes any length; the limit bounds the work of a request
# The commonest that have ten characters or more, with Việt Nam's own; a longer list would mostly
# hold what the length already refuses. Compared without case, marks and what is not alphanumeric.
_COMMON: Final = """
    1234567890 0123456789 12345678910 1234567891 0987654321 9876543210 1111111111 0000000000
    1122334455 1234512345 1231231231 123123123123 1234554321 123456789a a123456789 123456789q
    qwertyuiop qwerty1234 qwerty12345 qwerty123456 1q2w3e4r5t 1qaz2wsx3edc qazwsxedcrfv
    asdfghjkl1 zxcvbnm123 password12 password123 password1234 password12345 passw0rd123
    iloveyou123 iloveyou12 letmein1234 welcome123 welcome1234 admin12345 admin123456
    administrator changeme123 matkhau123 matkhau1234 matkhau12345 matkhau123456 matkhaumoi
    anhyeuem123 anhyeuem1234 emyeuanh123 yeuem12345 vietnam123 vietnam1234 vietnam12345 hanoi12345
    saigon12345 khongbiet123 khongcomatkhau abcdefghij abc1234567 abcd123456 abcd1234567
    aa12345678 aa123456789 taikhoan123 nganhang123 thanhtoan123 phopay1234 phopay12345"""
COMMON_PASSWORDS: Final = frozenset(_COMMON.split())

FAILURES_BEFORE_LOCK: Final = 5
LOCK_FOR: Final = timedelta(minutes=15)  # doubles with each failure after the fifth
LOCK_FOR_MAX: Final = timedelta(hours=4)  # longer would let strangers shut a vendor out for a day


def permissions_of(roles: Iterable[str]) -> frozenset[Permission]:
    """Return everything that holders of these roles may do; an unknown role adds nothing."""
    known = [ROLE_PERMISSIONS[Role(role)] for role in roles if role in ROLE_NAMES]
    return frozenset[Permission]().union(*known)


def may_grant(granter: frozenset[Permission], roles: Iterable[str]) -> bool:
    """Nobody grants what they lack: a manager makes cashiers, but no administrator or approver."""
    return permissions_of(roles) - CITY_ONLY <= granter


def can_be_scoped(roles: Iterable[str]) -> bool:
    """Whether holders of these roles can be held to scopes: all that they may do narrows."""
    return permissions_of(roles) <= NARROWED


def apply_choice(now: Iterable[T], chosen: Iterable[T], before: Iterable[T] | None) -> set[T]:
    """Return what is held after a choice: of what was `before` changed to `chosen`, the difference.

    Args:
        before: what was held when the choice was made; None takes the choice as the whole.
    """
    if before is None:
        return set(chosen)
    return (set(now) - (set(before) - set(chosen))) | (set(chosen) - set(before))


def combines_duties(roles: Collection[str]) -> bool:
    """Whether one login with these roles would be both persons that an account takes."""
    held = permissions_of(roles)
    is_both = P.ACCOUNTS_APPROVE in held and not APART_FROM_APPROVING.isdisjoint(held)
    return is_both and Role.ADMIN not in roles


def normalise_login(name: str) -> str:
    """Return a login as it is stored: NFKC, lower case, without outer space."""
    return unicodedata.normalize("NFKC", name).strip().lower()


def check_login(login: str) -> list[Violation]:
    """Say what is wrong with a normalised login for a new person."""
    if LOGIN.fullmatch(login):
        return []
    detail = "A login has 3 to 64 of the characters a–z, 0–9 and . _ @ + - inside."
    return [Violation(field="login", code="login_not_usable", detail=detail)]


def check_password(password: str, login: str, *, field: str = "password") -> list[Violation]:
    """Say what is wrong with a new password. Length decides, not kinds of characters.

    Source: NIST SP 800-63B §5.1.1.2 (a minimum length, a list of common ones, no composition
    rules). Refused too: the login itself, forwards, inside or padded with digits.
    """
    if len(password) < PASSWORD_CHARS_MIN:
        detail = f"A password has at least {PASSWORD_CHARS_MIN} characters."
        return [Violation(field=field, code="password_too_short", detail=detail)]
    if len(password) > PASSWORD_CHARS_MAX:
        detail = f"A password has at most {PASSWORD_CHARS_MAX} characters."
        return [Violation(field=field, code="password_too_long", detail=detail)]
    plain = _plain(password)
    name = _plain(login.partition("@")[0])
    is_common = plain in COMMON_PASSWORDS or len(set(plain)) <= 2
    if is_common:
        detail = "This password is one of the first that anybody tries."
        return [Violation(field=field, code="password_too_common", detail=detail)]
    if plain.strip("0123456789") in {name, name[::-1], ""} or plain == _plain(login):
        detail = "A password is not the login, and not only digits."
        return [Violation(field=field, code="password_like_login", detail=detail)]
    return []


def lock_for(failed_attempts: int) -> timedelta | None:
    """Return how long a login stays locked after this many failures in a row, or None."""
    over = failed_attempts - FAILURES_BEFORE_LOCK
    if over < 0:
        return None
    return min(LOCK_FOR * (1 << min(over, 10)), LOCK_FOR_MAX)


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold().translate(STROKED_D))
    return "".join(char for char in decomposed if char.isalnum())


# Who handles accounts compares whole numbers; finance and machines need to recognise them only.
SEES_WHOLE: Final = frozenset(
    {Permission.ACCOUNTS_PROPOSE, Permission.ACCOUNTS_APPROVE, Permission.ACCOUNTS_ACKNOWLEDGE}
)
