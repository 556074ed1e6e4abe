"""Terms of settlement for managers: commission, charges and shares of a payee, in percent."""

import re
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from api.http.deps import requires
from api.manage.page_context import Errors, ManagerContext, TheManager, read_line
from api.manage.settlement_words import say
from core.clock import hanoi_day
from core.errors import HubError, InvalidRequest
from core.money import format_vnd
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.payees.queries import get_payee
from payments.settlements import queries_terms
from payments.settlements.paper import write_rate
from payments.settlements.rules import (
    BPS,
    SHARE_NAME_CHARS_MAX,
    SHARES_MAX,
    Channel,
    Share,
    Terms,
)
from payments.settlements.terms import set_terms
from payments.settlements.types import TermsFacts

router = APIRouter(prefix="/manage/settlements/terms", include_in_schema=False)

BLANK_SHARES: Final = 2  # rows to fill in, besides those that there are
VERSIONS_SHOWN: Final = 10
PERCENT: Final = re.compile(r"(\d{1,3})(?:[.,](\d{1,2}))?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class RateField:
    """A percentage to be typed."""

    name: str
    label: str
    value: str


@dataclass(frozen=True, kw_only=True)
class ShareFields:
    """A share to be typed."""

    index: int
    name: str
    percent: str


@dataclass(frozen=True, kw_only=True)
class VersionRow:
    """What was agreed before."""

    version: int
    from_day: str
    set_at: str
    words: str


@dataclass(frozen=True, kw_only=True)
class TermsPage:
    """Everything templates/settlement_terms.html may use, already worded."""

    payee: str
    path: str
    list_path: str
    seen_version: int
    from_day: str
    commission: str
    fixed_charge: str
    charges: tuple[RateField, ...]
    shares: tuple[ShareFields, ...]
    versions: tuple[VersionRow, ...]
    can_set: bool
    errors: Errors


@router.get("/{payee_id}", dependencies=[requires(Permission.SETTLEMENTS_READ)])
async def show_terms(manager: TheManager, payee_id: UUID) -> Response:
    """Show what is agreed with a payee, and the form for other terms."""
    return await _render(manager, payee_id)


@router.post("/{payee_id}", dependencies=[requires(Permission.SETTLEMENTS_TERMS)])
async def change_terms(manager: TheManager, payee_id: UUID, request: Request) -> Response:
    """Agree on other terms from a day on."""
    async with request.form(max_fields=100, max_files=0) as form:
        typed = _read_form(form)
    errors: dict[str, str] = {}
    terms, from_day = _read_terms(manager, typed, errors)
    if errors or from_day is None:
        return await _render(manager, payee_id, typed=typed, errors=errors)
    version = typed.get("seen_version", "")
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await set_terms(
                tx,
                manager.org_id,
                payee_id,
                terms,
                from_day=from_day,
                seen_version=int(version) if version.isdecimal() and len(version) < 9 else 0,
                actor=manager.caller.actor,
                now=manager.now,
            )
    except InvalidRequest:
        return await _render(manager, payee_id, typed=typed, errors={"": say(manager, "bad_terms")})
    except HubError as error:
        return await _render(
            manager, payee_id, typed=typed, errors={"": manager.present_error(error)}
        )
    return manager.go(f"/settlements/terms/{payee_id}", done="settlement_terms_set")


def read_percent(text: str) -> int | None:
    """Read a percentage as basis points: "2,5" → 250; None: it is none, or over 100 %."""
    found = PERCENT.fullmatch(text.strip().removesuffix("%").strip())
    if found is None:
        return None
    bps = int(found[1]) * 100 + int((found[2] or "0").ljust(2, "0"))
    return bps if bps <= BPS else None


def _read_form(form: FormData) -> dict[str, str]:
    return {
        name: read_line(value, SHARE_NAME_CHARS_MAX)
        for name, value in form.items()
        if isinstance(value, str)
    }


def _read_terms(
    manager: ManagerContext, typed: dict[str, str], errors: dict[str, str]
) -> tuple[Terms, date | None]:
    """Read what was typed; what is wrong with it is added to `errors`."""

    def read_rate(field: str) -> int:
        text = typed.get(field, "")
        bps = read_percent(text) if text else 0
        if bps is None:
            errors[field] = say(manager, "bad_percent")
        return bps or 0

    fixed = re.sub(r"[.\s₫]", "", typed.get("fixed_charge", "")) or "0"
    if not (fixed.isascii() and fixed.isdecimal() and len(fixed) <= 11):
        errors["fixed_charge"] = manager.say("error.bad_amount")
        fixed = "0"
    from_day = None
    try:
        from_day = date.fromisoformat(typed.get("from_day", ""))
    except ValueError:
        errors["from_day"] = say(manager, "bad_day")
    charges = {channel.value: read_rate(f"charge_{channel.value}") for channel in Channel}
    shares = []
    for index in range(SHARES_MAX):
        name, bps = typed.get(f"share_name_{index}", ""), read_rate(f"share_{index}")
        if bool(name) != bool(bps) and f"share_{index}" not in errors:
            errors[f"share_{index}"] = say(manager, "bad_share")
        if name and bps:
            shares.append(Share(name=name, bps=bps))
    terms = Terms(
        commission_bps=read_rate("commission"),
        fixed_charge_vnd=int(fixed),
        charge_bps={channel: bps for channel, bps in charges.items() if bps},
        shares=tuple(shares),
    )
    return terms, from_day


async def _render(
    manager: ManagerContext,
    payee_id: UUID,
    *,
    typed: dict[str, str] | None = None,
    errors: Errors | None = None,
) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        payee = await get_payee(tx, manager.org_id, payee_id)
        name = payee.name
        found = await queries_terms.list_versions(
            tx, manager.org_id, payee_id, limit=VERSIONS_SHOWN
        )
    newest = found[0] if found else None
    shown = typed if typed is not None else _write_form(manager, newest)
    is_share = [bool(shown.get(f"share_name_{i}") or shown.get(f"share_{i}")) for i in range(10)]
    rows = min(SHARES_MAX, max((i + 1 for i in range(10) if is_share[i]), default=0) + BLANK_SHARES)
    page = TermsPage(
        payee=name,
        path=manager.path(f"/settlements/terms/{payee_id}"),
        list_path=manager.path("/settlements"),
        seen_version=0 if newest is None else newest.version,
        from_day=shown.get("from_day", ""),
        commission=shown.get("commission", ""),
        fixed_charge=shown.get("fixed_charge", ""),
        charges=tuple(
            RateField(
                name=f"charge_{channel.value}",
                label=say(manager, f"channel.{channel.value}"),
                value=shown.get(f"charge_{channel.value}", ""),
            )
            for channel in Channel
        ),
        shares=tuple(
            ShareFields(
                index=i,
                name=shown.get(f"share_name_{i}", ""),
                percent=shown.get(f"share_{i}", ""),
            )
            for i in range(rows)
        ),
        versions=tuple(_present_version(manager, one) for one in found),
        can_set=manager.may(Permission.SETTLEMENTS_TERMS),
        errors=errors or {},
    )
    return manager.render(
        "settlement_terms.html", page, here="settlements", status=422 if errors else 200
    )


def _write_form(manager: ManagerContext, newest: TermsFacts | None) -> dict[str, str]:
    """Fill the form in with what is agreed now."""
    today = hanoi_day(manager.now).isoformat()
    if newest is None:
        return {"from_day": today}
    terms = newest.terms
    form = {"from_day": today, "commission": _percent(terms.commission_bps)}
    form["fixed_charge"] = str(terms.fixed_charge_vnd) if terms.fixed_charge_vnd else ""
    form |= {f"charge_{name}": _percent(bps) for name, bps in terms.charge_bps.items()}
    for i, share in enumerate(terms.shares):
        form |= {f"share_name_{i}": share.name, f"share_{i}": _percent(share.bps)}
    return form


def _percent(bps: int) -> str:
    return write_rate(bps).removesuffix("\u00a0%") if bps else ""


def _present_version(manager: ManagerContext, one: TermsFacts) -> VersionRow:
    terms = one.terms
    parts = [say(manager, "commission_of", rate=write_rate(terms.commission_bps))]
    if terms.fixed_charge_vnd:
        amount = format_vnd(terms.fixed_charge_vnd)
        parts.append(f"{say(manager, 'fixed_charge')}: {amount}")
    parts += [
        say(manager, "charge_of", channel=say(manager, f"channel.{name}"), rate=write_rate(bps))
        for name, bps in terms.charge_bps.items()
    ]
    parts += [
        say(manager, "share_of", name=share.name, rate=write_rate(share.bps))
        for share in terms.shares
    ]
    return VersionRow(
        version=one.version,
        from_day=f"{one.from_day:%d/%m/%Y}",
        set_at=manager.present_instant(one.set_at),
        words=" · ".join(parts),
    )
