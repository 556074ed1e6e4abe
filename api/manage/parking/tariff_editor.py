"""The tariff editor: a form or the document, looked at in a preview before it is published."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import FormData
from starlette.responses import Response

from api.http.deps import requires
from api.http.i18n import translate
from api.manage.forms import FormId, take_form
from api.manage.page_context import ManagerContext, TheManager
from api.manage.parking.tariff_form import (
    FormFields,
    change_groups,
    place_faults,
    read_form,
    show_form,
)
from api.manage.parking.tariff_preview import Preview, make_preview
from api.manage.parking.vehicle_words import list_classes
from core.clock import hanoi_day
from core.errors import HubError, Violation
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from parking.places.queries import list_operators
from parking.places.rules import PaymentTiming
from parking.tariffs.errors import TariffNotReadable, TariffSampleNotFound
from parking.tariffs.publishing import publish_version
from parking.tariffs.reading import (
    DOCUMENT_BYTES_MAX,
    FORMAT,
    build_tariff,
    read_document,
    read_sample_document,
)
from parking.tariffs.shapes import Shape, take_apart
from parking.tariffs.structure import LostTicketRule
from parking.tariffs.views import TariffView, get_document, get_tariff

router = APIRouter(prefix="/manage/tariffs", include_in_schema=False)

BODY_BYTES_MAX: Final = 6 * DOCUMENT_BYTES_MAX  # percent signs make a letter six times as long
TAX_RATES: Final = (0, 500, 800, 1_000)
Sent = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class EditorPage:
    """Everything templates/tariff_editor.html may use, already worded."""

    tariff_id: UUID
    tariff_name: str
    form: Mapping[str, str]  # what belongs to the whole tariff
    fields: FormFields
    document: str  # JSON; shown instead of the form where it is not empty
    errors: dict[str, str]  # by field; "" is for the whole
    others: tuple[tuple[str, str], ...]  # (path, what is wrong): faults that no field shows
    classes: tuple[tuple[str, str], ...]
    shapes: tuple[tuple[str, str], ...]
    timings: tuple[tuple[str, str], ...]
    lost_rules: tuple[tuple[str, str], ...]
    tax_rates: tuple[tuple[str, str], ...]
    first_day: str  # a price begins then at the earliest


@dataclass(frozen=True, kw_only=True)
class PreviewPage:
    """Everything templates/tariff_preview.html may use, already worded."""

    tariff_id: UUID
    tariff_name: str
    preview: Preview
    document: str  # JSON, to be published
    is_unverified: bool


@router.get("/{tariff_id}/edit", dependencies=[requires(Permission.PARKING_MANAGE)])
async def show_editor(
    manager: TheManager, tariff_id: UUID, start: Annotated[str, Query(max_length=80)] = ""
) -> Response:
    """Show the editor, filled with a sample, a version, or what is in force."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        tariff = await get_tariff(tx, manager.org_id, tariff_id, now=manager.now)
        document = await _find_start(tx, manager, tariff, start)
    return _render_editor(manager, tariff, document)


@router.post(
    "/{tariff_id}/edit",
    dependencies=[requires(Permission.PARKING_MANAGE)],
    max_body_size=BODY_BYTES_MAX,
)
async def work_on(
    request: Request,
    manager: TheManager,
    tariff_id: UUID,
    do: Annotated[str, Form(max_length=40)] = "preview",
    form_id: FormId = None,
) -> Response:
    """Add or remove rows, look at the preview, or publish what was looked at."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        tariff = await get_tariff(tx, manager.org_id, tariff_id, now=manager.now)
    sent = await request.form()
    try:
        document, wrong = _read_sent(sent)
    except TariffNotReadable as error:
        return _render_editor(manager, tariff, {}, text=_text(sent), faults=error.violations)
    if do in ("document", "form", "refresh"):
        as_text = _write(document) if do == "document" else ""
        return _render_editor(manager, tariff, document, text=as_text)
    if do not in ("preview", "publish", "back"):
        return _render_editor(manager, tariff, change_groups(document, do))
    if do == "back":
        return _render_editor(manager, tariff, document)
    was_text = bool(_text(sent)) and do == "preview"
    try:
        if do == "publish":
            return await _publish(manager, tariff, document, form_id)
        preview = await _look_at(manager, tariff, document, wrong)
    except TariffNotReadable as error:
        text = _write(document) if was_text else ""
        return _render_editor(
            manager, tariff, document, text=text, faults=error.violations, wrong=wrong
        )
    except HubError as error:
        return _render_editor(manager, tariff, document, wrong={"": manager.present_error(error)})
    return manager.render("tariff_preview.html", preview, here="tariffs")


async def _publish(
    manager: ManagerContext, tariff: TariffView, document: dict[str, Any], form_id: UUID | None
) -> Response:
    version_id = new_id()
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        first = await take_form(
            tx,
            manager,
            f"/manage/tariffs/{tariff.id}/edit",
            form_id,
            _write(document),
            makes=version_id,
        )
        if first is None:
            await publish_version(
                tx,
                manager.org_id,
                version_id,
                tariff_id=tariff.id,
                document=document,
                actor=manager.caller.actor,
                now=manager.now,
            )
    return manager.go(f"/tariffs/{tariff.id}", done="tariff_published")


async def _look_at(
    manager: ManagerContext, tariff: TariffView, document: dict[str, Any], wrong: Sent
) -> PreviewPage:
    """Check a document and say what it would cost.

    Raises:
        TariffNotReadable
    """
    built = build_tariff(document)
    if wrong:
        raise TariffNotReadable([Violation(field="", code="bad_value", detail="")])
    holds = None
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        if tariff.in_force is not None:
            known = await get_document(tx, manager.org_id, tariff.id, tariff.in_force.id)
            holds = build_tariff(known)
    return PreviewPage(
        tariff_id=tariff.id,
        tariff_name=tariff.name,
        preview=make_preview(manager, built, holds),
        document=_write(document),
        is_unverified=built.is_unverified_sample,
    )


async def _find_start(
    tx: AsyncSession, manager: ManagerContext, tariff: TariffView, start: str
) -> dict[str, Any]:
    kind, _, name = start.partition(":")
    document: dict[str, Any] | None = None
    if kind == "sample":
        try:
            document = read_sample_document(name)
        except TariffSampleNotFound:
            document = None
    elif kind == "version" and _is_version(tariff, name):
        document = await get_document(tx, manager.org_id, tariff.id, UUID(name))
    elif tariff.versions and kind != "blank":
        latest = tariff.in_force or tariff.versions[0]
        document = await get_document(tx, manager.org_id, tariff.id, latest.id)
    tomorrow = hanoi_day(manager.now) + timedelta(days=1)
    document = document or _blank(tariff.name)
    if kind in ("sample", "blank", ""):
        operators = await list_operators(tx, manager.org_id)
        if operators and not tariff.versions:
            one = operators[0]
            seller = {"name": one.name, "address": one.address, "tax_code": one.tax_code}
            document = document | {"seller": seller}
    return document | {"valid_from_on": tomorrow.isoformat()}


def _is_version(tariff: TariffView, name: str) -> bool:
    return name in {str(one.id) for one in tariff.versions}


def _blank(name: str) -> dict[str, Any]:
    line = {"type": "flatRate", "value_vnd": ""}
    return {
        "format": FORMAT,
        "name": name,
        "is_unverified_sample": True,  # until somebody says otherwise
        "payment_timing": PaymentTiming.PAY_PRIOR_TO_EXIT.value,
        "exit_grace_minutes": 15,
        "rate_tables": [
            {"vehicle_classes": ["motorbike"], "rate_line_collections": [{"rate_lines": [line]}]}
        ],
    }


def _read_sent(sent: FormData) -> tuple[dict[str, Any], Sent]:
    """Read what was sent: the document as a text, or the fields.

    Raises:
        TariffNotReadable: the text is no document.
    """
    if text := _text(sent):
        return read_document(text), {}
    return read_form(sent)


def _text(sent: FormData) -> str:
    value = sent.get("document", "")
    return value if isinstance(value, str) else ""


def _write(document: dict[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, indent=2)


def _render_editor(
    manager: ManagerContext,
    tariff: TariffView,
    document: dict[str, Any],
    *,
    text: str = "",
    faults: tuple[Violation, ...] = (),
    wrong: Sent | None = None,
) -> Response:
    fields = show_form(take_apart(document))
    placed, others = place_faults(faults, fields.groups)
    if text:
        placed, others = {}, list(faults)
    errors = {name: say_fault(manager.lang, one) for name, one in placed.items()}
    for name, what in (wrong or {}).items():
        errors[name] = manager.say("error.bad_number") if what == "number" else what
    if faults and "" not in errors:
        errors[""] = translate(manager.lang, "tariffs.editor.has_faults")
    page = EditorPage(
        tariff_id=tariff.id,
        tariff_name=tariff.name,
        form=fields.head,
        fields=fields,
        document=text,
        errors=errors,
        others=tuple((one.field, say_fault(manager.lang, one)) for one in others if one.field),
        classes=list_classes(manager.lang),
        shapes=_choices(manager, "shape", [one.value for one in Shape]),
        timings=_choices(manager, "timing", [one.value for one in PaymentTiming]),
        lost_rules=_choices(manager, "lost_rule", [one.value for one in LostTicketRule]),
        tax_rates=_list_tax_rates(manager, fields.head.get("tax_rate_bps", "")),
        first_day=hanoi_day(manager.now).isoformat(),
    )
    status = 422 if errors else 200
    return manager.render("tariff_editor.html", page, here="tariffs", status=status)


def say_fault(lang: str, fault: Violation) -> str:
    """Say what is wrong with a value of a tariff's document, and what to write instead."""
    if lang == "en":
        return fault.detail
    key = fault.field.rpartition(".")[2].partition("[")[0]
    for name in (f"{key}_{fault.code}", fault.code):
        try:
            return translate(lang, f"tariffs.fault.{name}")
        except KeyError:
            continue
    return fault.detail


def _choices(manager: ManagerContext, group: str, names: list[str]) -> tuple[tuple[str, str], ...]:
    return tuple((name, translate(manager.lang, f"tariffs.{group}.{name}")) for name in names)


def _list_tax_rates(manager: ManagerContext, current: str) -> tuple[tuple[str, str], ...]:
    none = ("", translate(manager.lang, "tariffs.no_tax"))
    rates = {str(rate) for rate in TAX_RATES} | ({current} if current.isdecimal() else set())
    # Basis points in words: 800 → "8%".
    return (none, *((one, f"{int(one) // 100}%") for one in sorted(rates, key=int)))
