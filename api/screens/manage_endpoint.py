"""One callback endpoint: the address to copy, how it does, and changing what it may say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import Response

from api.auth.rules import Permission
from api.deps import TheSettings, requires
from api.live.events import first_id_at
from api.routes.accounts import SEES_WHOLE
from api.screens.frame import name_bank
from api.screens.manage import judge_health
from api.screens.manage_deliveries import DeliveryRow, word_delivery
from api.screens.manage_frame import Desk, Errors, Secret, TheDesk
from api.screens.manage_history import Change, list_changes_of
from core.db import open_org_transaction
from core.logging import mask_tail
from core.settings import Settings
from payments.callbacks import service, views
from payments.callbacks.asking_setup import set_ask_keys
from payments.callbacks.errors import BadAskToken, BadSecret, EndpointRevoked
from payments.callbacks.models import CallbackEndpoint, EndpointAccount
from payments.callbacks.providers import ASKABLE
from payments.callbacks.service import GENERATES_SECRET
from payments.payees.errors import BadAccount
from payments.payees.models import AccountStatus
from payments.payees.queries import list_links

router = APIRouter(prefix="/manage/endpoints", include_in_schema=False)

OVERLAP_HOURS: Final = (0, 24, 7 * 24)
LATEST_SHOWN: Final = 5


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
    can_be_asked: bool  # the provider can; with a token or not
    needs_client_id: bool
    ask_hint: str
    asked_word: str  # whether it is asked now
    previous_key_until: str
    accounts: tuple[tuple[str, str, str, bool], ...]
    account_words: str
    unvouched: str  # why test transfers that it tells of do not count; "" when they do
    believed: int
    rejected: int
    waiting: int
    success_percent: int | None
    skew_hint: str
    tone: str
    icon: str
    word: str
    latest: tuple[DeliveryRow, ...]
    log_path: str
    base_path: str  # for the forms
    suffix: str  # "?org=…" of the forms
    can_manage: bool
    overlaps: tuple[tuple[str, str], ...]
    history: tuple[Change, ...]
    errors: Errors


@router.get("/{endpoint_id}", dependencies=[requires(Permission.ENDPOINTS_READ)])
async def show_endpoint(desk: TheDesk, settings: TheSettings, endpoint_id: UUID) -> Response:
    """Show the address to copy, what to do with it, and how it does."""
    return await _draw_one(desk, settings, endpoint_id, {})


@router.post("/{endpoint_id}/accounts", dependencies=[requires(Permission.ENDPOINTS_MANAGE)])
async def set_accounts(
    desk: TheDesk,
    settings: TheSettings,
    endpoint_id: UUID,
    accounts: Annotated[list[UUID] | None, Form(max_length=100)] = None,
) -> Response:
    """Say which accounts the endpoint may speak for; what waited is judged at once."""
    try:
        async with open_org_transaction(desk.sessions, desk.org_id) as tx:
            await service.set_accounts(
                tx,
                desk.org_id,
                endpoint_id,
                accounts or [],
                actor=desk.caller.actor,
                may_vouch=desk.may(Permission.ACCOUNTS_APPROVE),
                now=desk.now,
            )
    except BadAccount as error:
        return await _draw_one(desk, settings, endpoint_id, {"accounts": desk.word_error(error)})
    return desk.go(f"/endpoints/{endpoint_id}", done="accounts_set")


@router.post("/{endpoint_id}/rotate", dependencies=[requires(Permission.ENDPOINTS_MANAGE)])
async def rotate(
    desk: TheDesk,
    settings: TheSettings,
    endpoint_id: UUID,
    secret: Annotated[str, Form(max_length=1_000)] = "",
    overlap_h: Annotated[int, Form(ge=0, le=168)] = 24,
) -> Response:
    """Give the endpoint a new secret; the old one holds for the overlap."""
    try:
        async with open_org_transaction(desk.sessions, desk.org_id) as tx:
            secrets = await service.rotate_secret(
                tx,
                desk.org_id,
                endpoint_id,
                secret=secret.strip() or None,
                overlap=timedelta(hours=overlap_h),
                sealer=desk.sealer,
                actor=desk.caller.actor,
                may_vouch=desk.may(Permission.ACCOUNTS_APPROVE),
                now=desk.now,
            )
            name = (await service.get_endpoint(tx, desk.org_id, endpoint_id)).name
    except (BadSecret, EndpointRevoked) as error:
        field = "secret" if isinstance(error, BadSecret) else ""
        return await _draw_one(desk, settings, endpoint_id, {field: desk.word_error(error)})
    shown = None
    if not secret.strip():
        text, username = secrets.keys[0], secrets.username or ""
        shown = Secret(kind="endpoint", name=name, text=text, username=username)
    return desk.go(f"/endpoints/{endpoint_id}", shown, done="secret_rotated")


@router.post("/{endpoint_id}/asking", dependencies=[requires(Permission.ENDPOINTS_MANAGE)])
async def set_asking(
    desk: TheDesk,
    settings: TheSettings,
    endpoint_id: UUID,
    ask_token: Annotated[str, Form(max_length=1_000)] = "",
    ask_client_id: Annotated[str, Form(max_length=1_000)] = "",
) -> Response:
    """Replace what the provider is asked with; empty, it is asked no more."""
    try:
        async with open_org_transaction(desk.sessions, desk.org_id) as tx:
            await set_ask_keys(
                tx,
                desk.org_id,
                endpoint_id,
                token=ask_token.strip() or None,
                client_id=ask_client_id.strip() or None,
                sealer=desk.sealer,
                actor=desk.caller.actor,
                may_vouch=desk.may(Permission.ACCOUNTS_APPROVE),
                now=desk.now,
            )
    except (BadAskToken, EndpointRevoked) as error:
        field = "ask_token" if isinstance(error, BadAskToken) else ""
        return await _draw_one(desk, settings, endpoint_id, {field: desk.word_error(error)})
    return desk.go(f"/endpoints/{endpoint_id}", done="ask_token_set")


@router.post("/{endpoint_id}/revoke", dependencies=[requires(Permission.ENDPOINTS_MANAGE)])
async def revoke(desk: TheDesk, endpoint_id: UUID) -> Response:
    """Close the address for good; every process forgets it within 3 seconds."""
    async with open_org_transaction(desk.sessions, desk.org_id) as tx:
        await service.revoke_endpoint(
            tx, desk.org_id, endpoint_id, actor=desk.caller.actor, now=desk.now
        )
    return desk.go(f"/endpoints/{endpoint_id}", done="endpoint_revoked")


async def list_accounts(
    tx: AsyncSession, desk: Desk, ticked: list[UUID] | None
) -> tuple[tuple[str, str, str, bool], ...]:
    """List the accounts that an endpoint may be given, each once; None ticks the only one.

    Numbers are whole only for who handles accounts: finance needs to recognise them.
    """
    is_whole = not SEES_WHOLE.isdisjoint(desk.caller.permissions)
    links = await list_links(tx, desk.org_id)
    names: dict[UUID, list[str]] = {}
    words: dict[UUID, tuple[str, str]] = {}
    for _, account, payee in reversed(links):
        names.setdefault(account.id, []).append(payee.name)
        number = account.account_number if is_whole else mask_tail(account.account_number)
        words[account.id] = (f"{name_bank(account.bin)} {number}", account.status)
    if ticked is None:
        ticked = list(words) if len(words) == 1 else []
    return tuple(
        (
            str(account_id),
            word,
            ", ".join(dict.fromkeys(names[account_id]))
            + ("" if status == AccountStatus.ACTIVE else f" · {desk.say('endpoint.not_tested')}"),
            account_id in ticked,
        )
        for account_id, (word, status) in words.items()
    )


def judge_endpoint(
    endpoint: CallbackEndpoint, counts: views.DeliveryCounts
) -> tuple[str, str, str]:
    """Return (tone, icon, word) of how an endpoint does; a revoked one does nothing more."""
    return ("bad", "stop", "revoked") if endpoint.revoked_at else judge_health(counts)


async def _draw_one(desk: Desk, settings: Settings, endpoint_id: UUID, errors: Errors) -> Response:
    async with open_org_transaction(desk.sessions, desk.org_id) as tx:
        endpoint = await service.get_endpoint(tx, desk.org_id, endpoint_id)
        page = await _read_one(tx, desk, settings, endpoint, errors)
    status = 422 if errors else 200
    return desk.render("manage_endpoint.html", page, here="endpoints", status=status)


async def _read_one(
    tx: AsyncSession, desk: Desk, settings: Settings, endpoint: CallbackEndpoint, errors: Errors
) -> EndpointPage:
    org_id = desk.org_id
    listed = await service.list_endpoint_accounts(tx, org_id, [endpoint.id])
    accounts = await list_accounts(tx, desk, [one.receiving_account_id for one in listed])
    since = first_id_at(desk.now - views.COUNTED_FOR)
    counts = await views.count_deliveries(tx, org_id, endpoint.id, first_id=since)
    latest = await views.list_deliveries(tx, org_id, endpoint.id, limit=LATEST_SHOWN)
    tone, icon, word = judge_endpoint(endpoint, counts)
    told = counts.believed + counts.rejected
    until = endpoint.previous_key_until
    base = f"/endpoints/{endpoint.id}"
    asking = ASKABLE.get(endpoint.provider)
    return EndpointPage(
        name=endpoint.name,
        provider=endpoint.provider,
        provider_word=desk.word("provider", endpoint.provider),
        is_sandbox=endpoint.is_sandbox,
        is_revoked=endpoint.revoked_at is not None,
        url=f"{settings.public_url}/v1/callbacks/{endpoint.provider}/{endpoint.address}",
        steps=tuple(desk.word("setup", endpoint.provider).split("\n")),
        makes_secret=endpoint.provider in GENERATES_SECRET,
        can_be_asked=asking is not None,
        needs_client_id=asking is not None and asking.needs_client_id,
        ask_hint=desk.word("ask_hint", endpoint.provider) if asking else "",
        asked_word=_word_asked(desk, endpoint),
        previous_key_until=desk.word_instant(until) if until and until > desk.now else "",
        accounts=accounts,
        account_words=", ".join(word for _, word, _, is_ticked in accounts if is_ticked),
        unvouched=_word_unvouched(desk, endpoint, listed),
        believed=counts.believed,
        rejected=counts.rejected,
        waiting=counts.waiting,
        success_percent=counts.believed * 100 // told if told else None,
        skew_hint=_word_skew(desk, counts.skew_s_max),
        tone=tone,
        icon=icon,
        word=desk.say(f"health.{word}"),
        latest=tuple(word_delivery(desk, endpoint.id, one) for one in latest),
        log_path=desk.path(f"{base}/deliveries"),
        base_path=f"/manage{base}",
        suffix=desk.path("").removeprefix("/manage"),
        can_manage=desk.may(Permission.ENDPOINTS_MANAGE),
        overlaps=tuple((str(hours), desk.say(f"key.overlap.h{hours}")) for hours in OVERLAP_HOURS),
        history=await list_changes_of(tx, desk, "endpoint", endpoint.id),
        errors=errors,
    )


def _word_unvouched(
    desk: Desk, endpoint: CallbackEndpoint, listed: Sequence[EndpointAccount]
) -> str:
    """Say what somebody who may approve accounts has to do before test transfers count."""
    if not desk.caller.org.is_live or endpoint.revoked_at is not None:
        return ""
    words = []
    if endpoint.key_vouched_from is None:
        words.append(desk.say("endpoint.unvouched_key"))
    elif endpoint.key_vouched_from > desk.now:
        when = desk.word_instant(endpoint.key_vouched_from)
        words.append(desk.say("endpoint.vouched_from", when=when))
    if numbers := [mask_tail(one.account_number) for one in listed if one.vouched_by is None]:
        words.append(desk.say("endpoint.unvouched_accounts", numbers=", ".join(numbers)))
    return " ".join(words)


def _word_asked(desk: Desk, endpoint: CallbackEndpoint) -> str:
    if endpoint.provider not in ASKABLE:
        return desk.say("endpoint.asked_never")
    is_asked = endpoint.sealed_ask_token is not None
    return desk.say("endpoint.asked_yes" if is_asked else "endpoint.asked_no")


def _word_skew(desk: Desk, skew_s: int | None) -> str:
    """Say that clocks disagree once it is worth looking: a window is five minutes."""
    if skew_s is None or abs(skew_s) < 60:
        return ""
    return desk.say("endpoint.skew", seconds=skew_s)
