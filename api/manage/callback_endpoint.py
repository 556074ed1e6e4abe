"""A callback endpoint: the address to copy, its health, and changes to what it may report."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.http.deps import TheSettings, requires
from api.manage.endpoint_health import present_health
from api.manage.forms import FormId, take_form
from api.manage.history import Change, list_changes_of
from api.manage.notices import NoticeRow, present_notice
from api.manage.page_context import CHOICES_MAX, Errors, Find, ManagerContext, Secret, TheManager
from core.masking import mask_tail
from core.settings import Settings
from core.tenancy import open_org_transaction
from identity.people.rules import SEES_WHOLE, Permission
from payments.callbacks import views
from payments.connections import queries, service
from payments.connections.errors import BadPullToken, BadSecret, CallbackEndpointRevoked
from payments.connections.models import CallbackEndpoint, CallbackEndpointAccount
from payments.connections.pull_setup import set_pull_credentials
from payments.onboarding import service as onboarding
from payments.payees.errors import BadAccount
from payments.payees.queries import list_links, list_links_of_accounts
from payments.payees.rules import AccountStatus
from payments.providers import PROVIDERS
from payments.vietqr.banks import name_bank

router = APIRouter(prefix="/manage/endpoints", include_in_schema=False)

OVERLAP_HOURS: Final = (0, 24, 7 * 24)
LATEST_SHOWN: Final = 5
TICKED_MAX: Final = service.ACCOUNTS_LISTED_MAX + CHOICES_MAX  # on one form


@dataclass(frozen=True, kw_only=True)
class EndpointPage:
    """Everything templates/manage_endpoint.html may use, already worded."""

    name: str
    provider: str
    provider_word: str
    is_sandbox: bool
    is_revoked: bool
    url: str
    steps: tuple[str, ...]  # what to do at the provider
    makes_secret: bool
    can_be_polled: bool  # the provider can; with a token or not
    needs_client_id: bool
    pull_hint: str
    pulled_word: str  # whether it is polled now
    previous_key_until: str
    accounts: tuple[tuple[str, str, str, bool], ...]
    accounts_are_more: bool  # than are listed: `find` finds them
    find: str
    account_words: str
    unvouched: str  # why test transfers that it reports do not count; "" when they do
    accepted: int
    rejected: int
    waiting: int
    success_percent: int | None
    skew_hint: str
    tone: str
    icon: str
    word: str
    latest: tuple[NoticeRow, ...]
    log_path: str
    base_path: str  # for the forms
    suffix: str  # "?org=…" of the forms
    can_manage: bool
    overlaps: tuple[tuple[str, str], ...]
    history: tuple[Change, ...]
    errors: Errors


@router.get("/{endpoint_id}", dependencies=[requires(Permission.CALLBACK_ENDPOINTS_READ)])
async def show_endpoint(
    manager: TheManager, settings: TheSettings, endpoint_id: UUID, find: Find = ""
) -> Response:
    """Show the address to copy, what to do with it, and its health."""
    return await _render_one(manager, settings, endpoint_id, {}, find)


@router.post(
    "/{endpoint_id}/accounts", dependencies=[requires(Permission.CALLBACK_ENDPOINTS_MANAGE)]
)
async def change_accounts(
    manager: TheManager,
    settings: TheSettings,
    endpoint_id: UUID,
    accounts: Annotated[list[UUID] | None, Form(max_length=TICKED_MAX)] = None,
    before: Annotated[list[UUID] | None, Form(max_length=TICKED_MAX)] = None,
) -> Response:
    """Apply what was ticked and unticked; messages that waited are processed at once.

    Args:
        before: what was ticked when the page was drawn: others may have changed it since.
    """
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await onboarding.change_accounts(
                tx,
                manager.org_id,
                endpoint_id,
                chosen=accounts or [],
                before=before or [],
                actor=manager.caller.actor,
                may_vouch=manager.may(Permission.ACCOUNTS_APPROVE),
                now=manager.now,
            )
    except BadAccount as error:
        return await _render_one(
            manager, settings, endpoint_id, {"accounts": manager.present_error(error)}
        )
    return manager.go(f"/endpoints/{endpoint_id}", done="accounts_set")


@router.post("/{endpoint_id}/rotate", dependencies=[requires(Permission.CALLBACK_ENDPOINTS_MANAGE)])
async def rotate(
    manager: TheManager,
    settings: TheSettings,
    endpoint_id: UUID,
    secret: Annotated[str, Form(max_length=1_000)] = "",
    overlap_h: Annotated[int, Form(ge=0, le=168)] = 24,
    form_id: FormId = None,
) -> Response:
    """Give the endpoint a new secret; the old one holds for the overlap."""
    facts, route = (endpoint_id, secret, overlap_h), "/manage/endpoints/{endpoint_id}/rotate"
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            if await take_form(tx, manager, route, form_id, *facts, makes=endpoint_id):
                return manager.go(f"/endpoints/{endpoint_id}", done="made_before")
            secrets = await service.rotate_secret(
                tx,
                manager.org_id,
                endpoint_id,
                secret=secret.strip() or None,
                overlap=timedelta(hours=overlap_h),
                sealer=manager.services.sealer,
                actor=manager.caller.actor,
                may_vouch=manager.may(Permission.ACCOUNTS_APPROVE),
                now=manager.now,
            )
            name = (await queries.get_endpoint(tx, manager.org_id, endpoint_id)).name
    except (BadSecret, CallbackEndpointRevoked) as error:
        field = "secret" if isinstance(error, BadSecret) else ""
        return await _render_one(
            manager, settings, endpoint_id, {field: manager.present_error(error)}
        )
    shown = None
    if not secret.strip():
        text, username = secrets.keys[0], secrets.username or ""
        shown = Secret(kind="endpoint", name=name, text=text, username=username)
    return manager.go(f"/endpoints/{endpoint_id}", shown, done="secret_rotated")


@router.post(
    "/{endpoint_id}/pull-credentials",
    dependencies=[requires(Permission.CALLBACK_ENDPOINTS_MANAGE)],
)
async def set_pull(
    manager: TheManager,
    settings: TheSettings,
    endpoint_id: UUID,
    pull_token: Annotated[str, Form(max_length=1_000)] = "",
    pull_client_id: Annotated[str, Form(max_length=1_000)] = "",
) -> Response:
    """Replace the credentials for polling; left empty, the provider is no longer polled."""
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            await set_pull_credentials(
                tx,
                manager.org_id,
                endpoint_id,
                token=pull_token.strip() or None,
                client_id=pull_client_id.strip() or None,
                sealer=manager.services.sealer,
                actor=manager.caller.actor,
                may_vouch=manager.may(Permission.ACCOUNTS_APPROVE),
                now=manager.now,
            )
    except (BadPullToken, CallbackEndpointRevoked) as error:
        field = "pull_token" if isinstance(error, BadPullToken) else ""
        return await _render_one(
            manager, settings, endpoint_id, {field: manager.present_error(error)}
        )
    return manager.go(f"/endpoints/{endpoint_id}", done="pull_token_set")


@router.post("/{endpoint_id}/revoke", dependencies=[requires(Permission.CALLBACK_ENDPOINTS_MANAGE)])
async def revoke(manager: TheManager, endpoint_id: UUID) -> Response:
    """Close the address for good; every process forgets it within 3 seconds."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        await service.revoke_endpoint(
            tx, manager.org_id, endpoint_id, actor=manager.caller.actor, now=manager.now
        )
    return manager.go(f"/endpoints/{endpoint_id}", done="callback_endpoint_revoked")


async def list_accounts(
    tx: AsyncSession, manager: ManagerContext, ticked: list[UUID] | None, find: str = ""
) -> tuple[tuple[tuple[str, str, str, bool], ...], bool]:
    """List the accounts that an endpoint may be given, each once; None ticks the only one.

    Those that are ticked come whatever is searched for, so that none is unticked unseen. Numbers
    are whole only for who handles accounts: finance needs to recognise them.

    Returns:
        The accounts, and whether there are more than are listed: `find` finds them.
    """
    is_whole = not SEES_WHOLE.isdisjoint(manager.caller.permissions)
    found = await list_links(tx, manager.org_id, find=find, limit=CHOICES_MAX + 1)
    are_more = len(found) > CHOICES_MAX or bool(find)
    own = await list_links_of_accounts(tx, manager.org_id, ticked or [])
    links = list({one[0].id: one for one in (*own, *found[:CHOICES_MAX])}.values())
    names: dict[UUID, list[str]] = {}
    words: dict[UUID, tuple[str, str]] = {}
    for _, account, payee in reversed(links):
        names.setdefault(account.id, []).append(payee.name)
        number = account.account_number if is_whole else mask_tail(account.account_number)
        words[account.id] = (f"{name_bank(account.bin)} {number}", account.status)
    if ticked is None:
        ticked = list(words) if len(words) == 1 else []
    shown = tuple(
        (
            str(account_id),
            word,
            ", ".join(dict.fromkeys(names[account_id]))
            + (
                "" if status == AccountStatus.ACTIVE else f" · {manager.say('endpoint.not_tested')}"
            ),
            account_id in ticked,
        )
        for account_id, (word, status) in words.items()
    )
    return shown, are_more


async def _render_one(
    manager: ManagerContext,
    settings: Settings,
    endpoint_id: UUID,
    errors: Errors,
    find: str = "",
) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        endpoint = await queries.get_endpoint(tx, manager.org_id, endpoint_id)
        page = await _read_one(tx, manager, settings, endpoint, errors, find)
    status = 422 if errors else 200
    return manager.render("manage_endpoint.html", page, here="endpoints", status=status)


async def _read_one(
    tx: AsyncSession,
    manager: ManagerContext,
    settings: Settings,
    endpoint: CallbackEndpoint,
    errors: Errors,
    find: str,
) -> EndpointPage:
    org_id = manager.org_id
    listed = await queries.list_callback_endpoint_accounts(tx, org_id, [endpoint.id])
    ticked = [one.receiving_account_id for one in listed]
    accounts, are_more = await list_accounts(tx, manager, ticked, find)
    counts = (await views.count_notices(tx, org_id, [endpoint.id], now=manager.now))[endpoint.id]
    latest = await views.list_notices(tx, org_id, endpoint.id, limit=LATEST_SHOWN)
    tone, icon, word = present_health(manager, endpoint, counts)
    received = counts.accepted + counts.rejected
    until = endpoint.previous_key_until
    base = f"/endpoints/{endpoint.id}"
    capabilities = PROVIDERS[endpoint.provider].capabilities
    return EndpointPage(
        name=endpoint.name,
        provider=endpoint.provider,
        provider_word=manager.word("provider", endpoint.provider),
        is_sandbox=endpoint.is_sandbox,
        is_revoked=endpoint.revoked_at is not None,
        url=f"{settings.public_url}/v1/callbacks/{endpoint.provider}/{endpoint.address}",
        steps=tuple(manager.word("setup", endpoint.provider).split("\n")),
        makes_secret=not capabilities.issues_secret,
        can_be_polled=capabilities.can_be_pulled,
        needs_client_id=capabilities.pull_needs_client_id,
        pull_hint=manager.word("pull_hint", endpoint.provider)
        if capabilities.can_be_pulled
        else "",
        pulled_word=_present_pulled(manager, endpoint),
        previous_key_until=manager.present_instant(until) if until and until > manager.now else "",
        accounts=accounts,
        accounts_are_more=are_more,
        find=find,
        account_words=", ".join(word for _, word, _, is_ticked in accounts if is_ticked),
        unvouched=_present_unvouched(manager, endpoint, listed),
        accepted=counts.accepted,
        rejected=counts.rejected,
        waiting=counts.waiting,
        success_percent=counts.accepted * 100 // received if received else None,
        skew_hint=_present_skew(manager, counts.skew_s_max),
        tone=tone,
        icon=icon,
        word=word,
        latest=tuple(present_notice(manager, endpoint.id, one) for one in latest),
        log_path=manager.path(f"{base}/notices"),
        base_path=f"/manage{base}",
        suffix=manager.path("").removeprefix("/manage"),
        can_manage=manager.may(Permission.CALLBACK_ENDPOINTS_MANAGE),
        overlaps=tuple(
            (str(hours), manager.say(f"key.overlap.h{hours}")) for hours in OVERLAP_HOURS
        ),
        history=await list_changes_of(tx, manager, "callback_endpoint", endpoint.id),
        errors=errors,
    )


def _present_unvouched(
    manager: ManagerContext, endpoint: CallbackEndpoint, listed: Sequence[CallbackEndpointAccount]
) -> str:
    """Say what somebody who may approve accounts has to do before test transfers count."""
    if not manager.caller.org.is_live or endpoint.revoked_at is not None:
        return ""
    words = []
    if endpoint.key_vouched_from is None:
        words.append(manager.say("endpoint.unvouched_key"))
    elif endpoint.key_vouched_from > manager.now:
        when = manager.present_instant(endpoint.key_vouched_from)
        words.append(manager.say("endpoint.vouched_from", when=when))
    if numbers := [mask_tail(one.account_number) for one in listed if one.vouched_by is None]:
        words.append(manager.say("endpoint.unvouched_accounts", numbers=", ".join(numbers)))
    return " ".join(words)


def _present_pulled(manager: ManagerContext, endpoint: CallbackEndpoint) -> str:
    if not PROVIDERS[endpoint.provider].capabilities.can_be_pulled:
        return manager.say("endpoint.pulled_never")
    is_pulled = endpoint.sealed_pull_token is not None
    return manager.say("endpoint.pulled_yes" if is_pulled else "endpoint.pulled_no")


def _present_skew(manager: ManagerContext, skew_s: int | None) -> str:
    """Say that clocks disagree once it is worth looking: a window is five minutes."""
    if skew_s is None or abs(skew_s) < 60:
        return ""
    return manager.say("endpoint.skew", seconds=skew_s)
