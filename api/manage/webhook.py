"""One webhook endpoint: its deliveries with what answered them, test events, replays, changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Query
from starlette.responses import Response

from api.http.deps import TheSettings, requires
from api.http.i18n import translate
from api.http.paging import next_cursor, read_cursor
from api.manage.forms import FormId, take_form
from api.manage.history import Change, list_changes_of
from api.manage.page_context import (
    PAGE_ROWS,
    Before,
    Errors,
    ManagerContext,
    Secret,
    TheManager,
    read_line,
)
from api.manage.webhooks import (
    Boxes,
    EndpointState,
    Events,
    Line,
    Url,
    list_boxes,
    present_errors,
    present_state,
)
from core.clock import HANOI
from core.errors import HubError, InvalidRequest
from core.shared_clock import new_event_id
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.webhooks import queries, replays, service
from payments.webhooks.addresses import list_origins
from payments.webhooks.errors import ReplayTooLarge
from payments.webhooks.models import WebhookAttempt
from payments.webhooks.rules import REPLAY_DAYS_MAX, DeliveryStatus, EndpointStatus, Failure
from payments.webhooks.views import DeliveryFacts, describe_delivery

router = APIRouter(prefix="/manage/webhooks/{endpoint_id}", include_in_schema=False)

MAY_READ: Final = [requires(Permission.WEBHOOK_ENDPOINTS_READ)]
MAY_MANAGE: Final = [requires(Permission.WEBHOOK_ENDPOINTS_MANAGE)]
TONES: Final = {
    DeliveryStatus.DELIVERED: ("good", "check"),
    DeliveryStatus.PENDING: ("plain", "clock"),
    DeliveryStatus.FAILED: ("bad", "cross"),
}
AsTyped = Annotated[str, Form(max_length=30)]


@dataclass(frozen=True, kw_only=True)
class DeliveryRow:
    """One event on its way."""

    path: str
    when: str
    type: str
    word: str
    icon: str
    tone: str
    detail: str  # the last answer, or why there was none
    attempts: int
    next_attempt: str  # "" if there is none


@dataclass(frozen=True, kw_only=True)
class WebhookPage:
    """Everything templates/webhook.html may use, already worded."""

    title: str
    url: str
    base_path: str  # for the forms
    suffix: str  # "?org=…" of the forms
    state: EndpointState
    stop_next: str  # what to do about it; "" while it is sent to
    is_enabled: bool
    old_secret_until: str
    form_url: str
    form_description: str
    boxes: Boxes
    rows: tuple[DeliveryRow, ...]
    show: str
    shows: tuple[tuple[str, str], ...]
    older: str
    since: str  # of the form for a replay, in Hà Nội's time
    until: str
    can_manage: bool
    history: tuple[Change, ...]
    errors: Errors


@dataclass(frozen=True, kw_only=True)
class AttemptRow:
    """One request and its answer."""

    number: int
    when: str
    took_ms: int
    word: str
    tone: str
    icon: str
    answer: str


@dataclass(frozen=True, kw_only=True)
class DeliveryPage:
    """Everything templates/webhook_delivery.html may use, already worded."""

    endpoint_title: str
    endpoint_path: str
    event_id: str
    row: DeliveryRow
    attempts: tuple[AttemptRow, ...]
    replay_path: str
    can_replay: bool


@router.get("", dependencies=MAY_READ)
async def show_webhook(
    manager: TheManager,
    endpoint_id: UUID,
    show: Annotated[str, Query(max_length=20)] = "all",
    before: Before = None,
) -> Response:
    """Show an endpoint and its deliveries."""
    return await _render(manager, endpoint_id, show=show, before=before)


@router.post("/change", dependencies=MAY_MANAGE)
async def change(
    manager: TheManager,
    settings: TheSettings,
    endpoint_id: UUID,
    url: Url = "",
    description: Line = "",
    events: Events = None,
    enabled: Annotated[str, Form(max_length=3)] = "",
) -> Response:
    """Change the address and the events; or, with `enabled`, only whether it is sent to."""
    if enabled:
        changes = service.EndpointChanges(is_enabled=enabled == "yes")
    else:
        changes = service.EndpointChanges(
            url=url.strip(), description=read_line(description), events=tuple(events or ())
        )
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await service.change_endpoint(
                tx,
                manager.org_id,
                endpoint_id,
                changes,
                allowed_origins=list_origins(settings.webhook_origins, manager.caller.org_code),
                actor=manager.caller.actor,
                now=manager.now,
            )
    except HubError as error:
        return await _render(manager, endpoint_id, errors=present_errors(manager, error))
    return manager.go(f"/webhooks/{endpoint_id}", done="webhook_changed")


@router.post("/delete", dependencies=MAY_MANAGE)
async def delete(manager: TheManager, endpoint_id: UUID) -> Response:
    """Delete an endpoint."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        await service.delete_endpoint(
            tx, manager.org_id, endpoint_id, actor=manager.caller.actor, now=manager.now
        )
    return manager.go("/webhooks", done="webhook_deleted")


@router.post("/rotate", dependencies=MAY_MANAGE)
async def rotate(manager: TheManager, endpoint_id: UUID, form_id: FormId = None) -> Response:
    """Make a new secret, shown once; the old one signs for 24 hours more."""
    route = "/manage/webhooks/{endpoint_id}/rotate"
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        if await take_form(tx, manager, route, form_id, endpoint_id, makes=endpoint_id):
            return manager.go(f"/webhooks/{endpoint_id}", done="made_before")
        secret = await service.rotate_secret(
            tx,
            manager.org_id,
            endpoint_id,
            sealer=manager.services.sealer,
            actor=manager.caller.actor,
            now=manager.now,
        )
        endpoint = await queries.get_endpoint(tx, manager.org_id, endpoint_id)
    shown = Secret(kind="webhook", name=endpoint.description or endpoint.url, text=secret)
    return manager.go(f"/webhooks/{endpoint_id}", shown, done="webhook_rotated")


@router.post("/test", dependencies=MAY_MANAGE)
async def send_test(manager: TheManager, endpoint_id: UUID, form_id: FormId = None) -> Response:
    """Send a test event."""
    route, event_id = "/manage/webhooks/{endpoint_id}/test", new_event_id()
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            first = await take_form(tx, manager, route, form_id, endpoint_id, makes=event_id)
            if first is None:
                await replays.send_test(
                    tx,
                    manager.org_id,
                    endpoint_id,
                    event_id,
                    actor=manager.caller.actor,
                    now=manager.now,
                )
    except HubError as error:
        return await _render(manager, endpoint_id, errors={"": manager.present_error(error)})
    return manager.go(
        f"/webhooks/{endpoint_id}/deliveries/{first or event_id}", done="webhook_test"
    )


@router.post("/replay", dependencies=MAY_MANAGE)
async def replay_range(
    manager: TheManager,
    endpoint_id: UUID,
    since: AsTyped = "",
    until: AsTyped = "",
    all_: Annotated[str, Form(alias="all", max_length=3)] = "",
    form_id: FormId = None,
) -> Response:
    """Send the events of a time again."""
    route = "/manage/webhooks/{endpoint_id}/replay"
    times = _read_instant(since), _read_instant(until)
    try:
        if times[0] is None or times[1] is None:
            raise InvalidRequest("Both instants are needed.")
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            facts = (endpoint_id, *times, all_)
            if await take_form(tx, manager, route, form_id, *facts, makes=endpoint_id) is None:
                await replays.replay_range(
                    tx,
                    manager.org_id,
                    endpoint_id,
                    since=times[0],
                    until=times[1],
                    only_failed=all_ != "yes",
                    actor=manager.caller.actor,
                    now=manager.now,
                )
    except (InvalidRequest, ReplayTooLarge):
        words = translate(manager.lang, "webhooks.bad_range", days=REPLAY_DAYS_MAX)
        return await _render(manager, endpoint_id, errors={"range": words}, typed=(since, until))
    except HubError as error:
        return await _render(manager, endpoint_id, errors={"": manager.present_error(error)})
    return manager.go(f"/webhooks/{endpoint_id}", done="webhook_replayed")


@router.get("/deliveries/{event_id}", dependencies=MAY_READ)
async def show_delivery(manager: TheManager, endpoint_id: UUID, event_id: UUID) -> Response:
    """Show one delivery with its attempts."""
    org_id = manager.org_id
    async with open_org_transaction(manager.database, org_id) as tx:
        endpoint = await queries.get_endpoint(tx, org_id, endpoint_id)
        found = await queries.get_delivery(tx, org_id, endpoint_id, event_id)
        attempts = await queries.list_attempts(tx, org_id, endpoint_id, event_id)
    page = DeliveryPage(
        endpoint_title=endpoint.description or endpoint.url,
        endpoint_path=manager.path(f"/webhooks/{endpoint_id}"),
        event_id=str(event_id),
        row=_present_delivery(manager, endpoint_id, describe_delivery(found)),
        attempts=_present_attempts(manager, attempts),
        replay_path=manager.path(f"/webhooks/{endpoint_id}/deliveries/{event_id}/replay"),
        can_replay=manager.may(Permission.WEBHOOK_ENDPOINTS_MANAGE)
        and endpoint.status == EndpointStatus.ENABLED,
    )
    return manager.render("webhook_delivery.html", page, here="webhooks")


@router.post("/deliveries/{event_id}/replay", dependencies=MAY_MANAGE)
async def replay_one(manager: TheManager, endpoint_id: UUID, event_id: UUID) -> Response:
    """Send one delivery again."""
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await replays.replay_delivery(
                tx,
                manager.org_id,
                endpoint_id,
                event_id,
                actor=manager.caller.actor,
                now=manager.now,
            )
    except HubError as error:
        return await _render(manager, endpoint_id, errors={"": manager.present_error(error)})
    return manager.go(f"/webhooks/{endpoint_id}/deliveries/{event_id}", done="webhook_replayed")


async def _render(
    manager: ManagerContext,
    endpoint_id: UUID,
    *,
    show: str = "all",
    before: str | None = None,
    typed: tuple[str, str] | None = None,
    errors: Errors | None = None,
) -> Response:
    status = DeliveryStatus(show) if show in set(DeliveryStatus) else None
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        endpoint = await queries.get_endpoint(tx, manager.org_id, endpoint_id)
        found = await queries.list_deliveries(
            tx,
            manager.org_id,
            endpoint_id,
            status=status,
            before_id=read_cursor(before),
            limit=PAGE_ROWS + 1,
        )
        history = await list_changes_of(tx, manager, "webhook_endpoint", endpoint_id)
    deliveries = [describe_delivery(one) for one in found]
    cursor = next_cursor(deliveries, PAGE_ROWS)
    base = f"/webhooks/{endpoint_id}"
    is_enabled = endpoint.status == EndpointStatus.ENABLED
    reason = f"webhooks.stop_next.{endpoint.stop_reason}"
    until = endpoint.old_secret_until
    times = typed or (
        _write_instant(manager.now - timedelta(hours=24)),
        _write_instant(manager.now + timedelta(minutes=1)),
    )
    page = WebhookPage(
        title=endpoint.description or endpoint.url,
        url=endpoint.url,
        base_path=f"/manage{base}",
        suffix=manager.path("").removeprefix("/manage"),
        state=present_state(manager, endpoint),
        stop_next="" if is_enabled else translate(manager.lang, reason),
        is_enabled=is_enabled,
        old_secret_until=manager.present_instant(until) if until and until > manager.now else "",
        form_url=endpoint.url,
        form_description=endpoint.description,
        boxes=list_boxes(manager, tuple(endpoint.events)),
        rows=tuple(_present_delivery(manager, endpoint_id, one) for one in deliveries[:PAGE_ROWS]),
        show=status.value if status else "all",
        shows=tuple(
            (one, translate(manager.lang, f"webhooks.show.{one}"))
            for one in ("all", *(one.value for one in DeliveryStatus))
        ),
        older=manager.path(base, show=show, before=cursor) if cursor else "",
        since=times[0],
        until=times[1],
        can_manage=manager.may(Permission.WEBHOOK_ENDPOINTS_MANAGE),
        history=history,
        errors=errors or {},
    )
    return manager.render("webhook.html", page, here="webhooks", status=422 if errors else 200)


def _present_delivery(
    manager: ManagerContext, endpoint_id: UUID, one: DeliveryFacts
) -> DeliveryRow:
    tone, icon = TONES[one.status]
    return DeliveryRow(
        path=manager.path(f"/webhooks/{endpoint_id}/deliveries/{one.id}"),
        when=manager.present_instant(one.created_at),
        type=one.type,
        word=translate(manager.lang, f"webhooks.show.{one.status.value}"),
        icon=icon,
        tone=tone,
        detail=_present_answer(manager, one.last_status, one.last_failure),
        attempts=one.attempts,
        next_attempt=manager.present_instant(one.next_attempt_at) if one.attempts else "",
    )


def _present_attempts(
    manager: ManagerContext, attempts: Sequence[WebhookAttempt]
) -> tuple[AttemptRow, ...]:
    return tuple(
        AttemptRow(
            number=one.number,
            when=manager.present_instant(one.started_at),
            took_ms=one.took_ms,
            word=_present_answer(
                manager, one.status, None if one.failure is None else Failure(one.failure)
            ),
            tone="good" if one.failure is None else "bad",
            icon="check" if one.failure is None else "cross",
            answer=one.answer,
        )
        for one in attempts
    )


def _present_answer(manager: ManagerContext, status: int | None, failure: Failure | None) -> str:
    """Say what came back: "HTTP 500", or why nothing did."""
    if failure is None or failure is Failure.STATUS:
        return "" if status is None else f"HTTP {status}"
    words = translate(manager.lang, f"webhooks.failure.{failure.value}")
    return words if status is None else f"HTTP {status}: {words}"


def _read_instant(typed: str) -> datetime | None:
    """Read what an input of the kind datetime-local sends, as Hà Nội's time."""
    try:
        return datetime.fromisoformat(typed).replace(tzinfo=HANOI)
    except ValueError:
        return None


def _write_instant(instant: datetime) -> str:
    return f"{instant.astimezone(HANOI):%Y-%m-%dT%H:%M}"
