"""The list of webhook endpoints, and adding one: its secret is on the next page, once."""

from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Form
from starlette.responses import Response

from api.http.deps import TheSettings, requires
from api.http.i18n import translate
from api.manage.forms import FormId, take_form
from api.manage.page_context import Errors, ManagerContext, Secret, TheManager, read_line
from core.errors import HubError, InvalidRequest
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.webhooks import queries, service
from payments.webhooks.addresses import list_origins
from payments.webhooks.errors import BadWebhookUrl
from payments.webhooks.models import WebhookEndpoint
from payments.webhooks.rules import ENDPOINTS_MAX, EVENT_TYPES, GROUPS, EndpointStatus, StopReason
from payments.webhooks.types import EndpointRequest

router = APIRouter(prefix="/manage/webhooks", include_in_schema=False)

Url = Annotated[str, Form(max_length=1_000)]
Line = Annotated[str, Form(max_length=500)]
Events = Annotated[list[str] | None, Form(max_length=40)]
TONES: Final = {
    EndpointStatus.ENABLED: ("good", "check"),
    EndpointStatus.DISABLED: ("plain", "stop"),
    EndpointStatus.GONE: ("bad", "stop"),
}
Boxes = tuple[tuple[str, str, str, bool], ...]


@dataclass(frozen=True, kw_only=True)
class EndpointState:
    """Whether an endpoint is sent to, and if not, why."""

    word: str
    icon: str
    tone: str


@dataclass(frozen=True, kw_only=True)
class WebhookRow:
    """One endpoint of the list."""

    path: str
    url: str
    description: str
    events: str
    state: EndpointState


@dataclass(frozen=True, kw_only=True)
class WebhooksPage:
    """Everything templates/webhooks.html may use, already worded."""

    rows: tuple[WebhookRow, ...]
    boxes: Boxes
    url: str
    description: str
    errors: Errors
    can_manage: bool
    can_add: bool


@router.get("", dependencies=[requires(Permission.WEBHOOK_ENDPOINTS_READ)])
async def show_webhooks(manager: TheManager) -> Response:
    """List the endpoints."""
    return await _render(manager)


@router.post("", dependencies=[requires(Permission.WEBHOOK_ENDPOINTS_MANAGE)])
async def create(
    manager: TheManager,
    settings: TheSettings,
    url: Url = "",
    description: Line = "",
    events: Events = None,
    form_id: FormId = None,
) -> Response:
    """Add an endpoint; its secret is shown once, on its page."""
    url, line, chosen = url.strip(), read_line(description), tuple(events or ())
    endpoint_id, route = new_id(), "/manage/webhooks"
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            facts = (url, line, chosen)
            first = await take_form(tx, manager, route, form_id, *facts, makes=endpoint_id)
            if first is not None:
                return manager.go(f"/webhooks/{first}", done="made_before")
            _, secret = await service.create_endpoint(
                tx,
                manager.org_id,
                EndpointRequest(url=url, events=chosen, description=line),
                allowed_origins=list_origins(settings.webhook_origins, manager.caller.org_code),
                sealer=manager.services.sealer,
                actor=manager.caller.actor,
                id_=endpoint_id,
                now=manager.now,
            )
    except HubError as error:
        errors = present_errors(manager, error)
        return await _render(manager, url=url, description=line, chosen=chosen, errors=errors)
    shown = Secret(kind="webhook", name=line or url, text=secret)
    return manager.go(f"/webhooks/{endpoint_id}", shown, done="webhook_made")


def present_errors(manager: ManagerContext, error: HubError) -> Errors:
    """Say what is wrong with an endpoint's form, beside the field that it is about."""
    if isinstance(error, BadWebhookUrl):
        words = translate(manager.lang, "webhooks.bad_url")
        return {"url": f"{words} ({error})" if manager.lang == "en" else words}
    if isinstance(error, InvalidRequest):
        return {"events": translate(manager.lang, "webhooks.events_needed")}
    return {"": manager.present_error(error)}


def list_boxes(manager: ManagerContext, chosen: tuple[str, ...]) -> Boxes:
    """List what can be chosen: the groups, and single types that were chosen by the API."""
    single = [one for one in chosen if one in EVENT_TYPES.values()]
    return tuple(
        (one, present_choice(manager, one), _list_types(manager, one), one in chosen)
        for one in (*GROUPS, *single)
    )


def present_choice(manager: ManagerContext, choice: str) -> str:
    """Say a group; single types are technical names and stay what they are."""
    if choice not in GROUPS:
        return choice
    return translate(manager.lang, f"webhooks.group.{choice.removesuffix('.*')}")


def present_state(manager: ManagerContext, endpoint: WebhookEndpoint) -> EndpointState:
    """Say whether an endpoint is sent to."""
    status = EndpointStatus(endpoint.status)
    tone, icon = TONES[status]
    key = f"state.{status.value}"
    if endpoint.stop_reason == StopReason.FAILING:
        key, tone = "state.failing", "bad"
    elif status is EndpointStatus.ENABLED and endpoint.failing_since is not None:
        key, tone, icon = "state.in_trouble", "attention", "warning"
    return EndpointState(word=translate(manager.lang, f"webhooks.{key}"), icon=icon, tone=tone)


def _list_types(manager: ManagerContext, choice: str) -> str:
    group = choice.removesuffix("*")
    names = [one for one in EVENT_TYPES.values() if group.endswith(".") and one.startswith(group)]
    if names or not group.endswith("."):
        return ", ".join(names)
    return translate(manager.lang, "webhooks.to_come")


async def _render(
    manager: ManagerContext,
    *,
    url: str = "",
    description: str = "",
    chosen: tuple[str, ...] = ("bill.*", "payment.*"),
    errors: Errors | None = None,
) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await queries.list_endpoints(tx, manager.org_id, limit=ENDPOINTS_MAX)
    page = WebhooksPage(
        rows=tuple(
            WebhookRow(
                path=manager.path(f"/webhooks/{one.id}"),
                url=one.url,
                description=one.description,
                events=", ".join(present_choice(manager, event) for event in one.events),
                state=present_state(manager, one),
            )
            for one in found
        ),
        boxes=list_boxes(manager, chosen),
        url=url,
        description=description,
        errors=errors or {},
        can_manage=manager.may(Permission.WEBHOOK_ENDPOINTS_MANAGE),
        can_add=len(found) < ENDPOINTS_MAX,
    )
    return manager.render("webhooks.html", page, here="webhooks", status=422 if errors else 200)
