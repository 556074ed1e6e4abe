"""A new callback endpoint: choose the provider, its secret, its accounts; then copy the address."""

from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Query
from starlette.responses import Response

from api.auth.rules import Permission
from api.deps import requires
from api.screens.manage_endpoint import list_accounts
from api.screens.manage_frame import Desk, Errors, Secret, TheDesk, read_line
from core.db import open_org_transaction
from payments.callbacks import service
from payments.callbacks.errors import BadAskToken, BadSecret, SandboxRefused
from payments.callbacks.providers import ASKABLE, PROVIDERS
from payments.callbacks.service import GENERATES_SECRET
from payments.payees.errors import BadAccount

# Before manage_endpoint's in api/main.py: "new" is no endpoint's id.
router = APIRouter(prefix="/manage/endpoints/new", include_in_schema=False)

NAME_CHARS_MAX: Final = 80


@dataclass(frozen=True, kw_only=True)
class ProviderChoice:
    """One provider to choose in the first step."""

    name: str
    word: str
    hint: str
    path: str


@dataclass(frozen=True, kw_only=True)
class NewEndpointPage:
    """Everything templates/manage_endpoint_new.html may use, already worded."""

    choices: tuple[ProviderChoice, ...]
    provider: str  # "" in the first step
    provider_word: str
    makes_secret: bool  # the hub makes it; otherwise it is pasted
    secret_hint: str
    can_be_asked: bool
    needs_client_id: bool  # for asking; a token alone is not enough
    ask_hint: str
    can_be_sandbox: bool
    accounts: tuple[tuple[str, str, str, bool], ...]
    name: str
    is_sandbox: bool
    errors: Errors


@router.get("", dependencies=[requires(Permission.ENDPOINTS_MANAGE)])
async def show_new(desk: TheDesk, provider: Annotated[str, Query(max_length=20)] = "") -> Response:
    """Ask for the provider, then for its secret and the accounts."""
    return await _draw_new(desk, provider, ticked=None)


@router.post("", dependencies=[requires(Permission.ENDPOINTS_MANAGE)])
async def create(
    desk: TheDesk,
    provider: Annotated[str, Form(max_length=20)] = "",
    name: Annotated[str, Form(max_length=500)] = "",
    secret: Annotated[str, Form(max_length=1_000)] = "",
    ask_token: Annotated[str, Form(max_length=1_000)] = "",
    ask_client_id: Annotated[str, Form(max_length=1_000)] = "",
    accounts: Annotated[list[UUID] | None, Form(max_length=100)] = None,
    sandbox: Annotated[str, Form(max_length=3)] = "",
) -> Response:
    """Make the address; a secret that the hub made is on the next page, once."""
    if provider not in PROVIDERS:
        return await _draw_new(desk, "", ticked=None)
    ticked, is_sandbox = accounts or [], sandbox == "yes"
    line = read_line(name, NAME_CHARS_MAX) or desk.word("provider", provider)
    errors = {} if ticked else {"accounts": desk.say("error.account_needed")}
    if not secret.strip() and provider not in GENERATES_SECRET:
        errors["secret"] = desk.say("error.secret_needed")
    if errors:
        return await _draw_new(desk, provider, line, is_sandbox, ticked, errors)
    try:
        async with open_org_transaction(desk.sessions, desk.org_id) as tx:
            endpoint, secrets = await service.create_endpoint(
                tx,
                desk.caller.org,
                provider=provider,
                name=line,
                secret=secret.strip() or None,
                is_sandbox=is_sandbox,
                account_ids=ticked,
                ask_url=None,
                ask_token=ask_token.strip() or None,
                ask_client_id=ask_client_id.strip() or None,
                sealer=desk.sealer,
                actor=desk.caller.actor,
                may_vouch=desk.may(Permission.ACCOUNTS_APPROVE),
                now=desk.now,
            )
    except (BadSecret, BadAskToken, BadAccount, SandboxRefused) as error:
        fields = {BadSecret: "secret", BadAskToken: "ask_token", BadAccount: "accounts"}
        field = fields.get(type(error), "")
        problem = {field: desk.word_error(error)}
        return await _draw_new(desk, provider, line, is_sandbox, ticked, problem)
    shown = None
    if not secret.strip():
        text, username = secrets.keys[0], secrets.username or ""
        shown = Secret(kind="endpoint", name=line, text=text, username=username)
    return desk.go(f"/endpoints/{endpoint.id}", shown, done="endpoint_created")


async def _draw_new(
    desk: Desk,
    provider: str,
    name: str = "",
    is_sandbox: bool = False,
    ticked: list[UUID] | None = None,
    errors: Errors | None = None,
) -> Response:
    provider = provider if provider in PROVIDERS else ""
    async with open_org_transaction(desk.sessions, desk.org_id) as tx:
        accounts = await list_accounts(tx, desk, ticked)
    page = NewEndpointPage(
        choices=tuple(
            ProviderChoice(
                name=one,
                word=desk.word("provider", one),
                hint=desk.word("provider_hint", one),
                path=desk.path("/endpoints/new", provider=one),
            )
            for one in PROVIDERS
        ),
        provider=provider,
        provider_word=desk.word("provider", provider),
        makes_secret=provider in GENERATES_SECRET,
        secret_hint=desk.word("secret_hint", provider),
        can_be_asked=provider in ASKABLE,
        needs_client_id=provider in ASKABLE and ASKABLE[provider].needs_client_id,
        ask_hint=desk.word("ask_hint", provider) if provider in ASKABLE else "",
        can_be_sandbox=not desk.caller.org.is_live,
        accounts=accounts,
        name=name or (desk.word("provider", provider) if provider else ""),
        is_sandbox=is_sandbox,
        errors=errors or {},
    )
    status = 422 if errors else 200
    return desk.render("manage_endpoint_new.html", page, here="endpoints", status=status)
