"""A new callback endpoint: choose the provider, its secret, its accounts; then copy the address."""

from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Query
from starlette.responses import Response

from api.http.deps import requires
from api.manage.callback_endpoint import list_accounts
from api.manage.forms import FormId, take_form
from api.manage.page_context import Errors, Find, ManagerContext, Secret, TheManager, read_line
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.connections import service
from payments.connections.errors import BadPullToken, BadSecret, SandboxRefused
from payments.connections.vouching import vouch_of
from payments.payees.errors import BadAccount
from payments.providers import PROVIDERS

# Before manage_endpoint's in api/app.py: "new" is no endpoint's id.
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
    can_be_polled: bool
    needs_client_id: bool  # for polling; a token alone is not enough
    pull_hint: str
    can_be_sandbox: bool
    accounts: tuple[tuple[str, str, str, bool], ...]
    accounts_are_more: bool  # than are listed: `find` finds them
    find: str
    name: str
    is_sandbox: bool
    errors: Errors


@router.get("", dependencies=[requires(Permission.CALLBACK_ENDPOINTS_MANAGE)])
async def show_new(
    manager: TheManager,
    provider: Annotated[str, Query(max_length=20)] = "",
    find: Find = "",
) -> Response:
    """Ask for the provider, then for its secret and the accounts."""
    return await _render_new(manager, provider, ticked=None, find=find)


@router.post("", dependencies=[requires(Permission.CALLBACK_ENDPOINTS_MANAGE)])
async def create(
    manager: TheManager,
    provider: Annotated[str, Form(max_length=20)] = "",
    name: Annotated[str, Form(max_length=500)] = "",
    secret: Annotated[str, Form(max_length=1_000)] = "",
    pull_token: Annotated[str, Form(max_length=1_000)] = "",
    pull_client_id: Annotated[str, Form(max_length=1_000)] = "",
    accounts: Annotated[list[UUID] | None, Form(max_length=100)] = None,
    sandbox: Annotated[str, Form(max_length=3)] = "",
    form_id: FormId = None,
) -> Response:
    """Make the address; a secret that the hub made is on the next page, once."""
    if provider not in PROVIDERS:
        return await _render_new(manager, "", ticked=None)
    ticked, is_sandbox = accounts or [], sandbox == "yes"
    line = read_line(name, NAME_CHARS_MAX) or manager.word("provider", provider)
    errors = {} if ticked else {"accounts": manager.say("error.account_needed")}
    if not secret.strip() and PROVIDERS[provider].capabilities.issues_secret:
        errors["secret"] = manager.say("error.secret_needed")
    if errors:
        return await _render_new(manager, provider, line, is_sandbox, ticked, errors)
    endpoint_id, route = new_id(), "/manage/endpoints/new"
    facts = (provider, line, secret, is_sandbox, ticked, pull_token, pull_client_id)
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            first = await take_form(tx, manager, route, form_id, *facts, makes=endpoint_id)
            if first is not None:
                return manager.go(f"/endpoints/{first}", done="made_before")
            endpoint, secrets = await service.create_endpoint(
                tx,
                manager.caller.org,
                service.EndpointRequest(
                    provider=provider,
                    name=line,
                    secret=secret.strip() or None,
                    is_sandbox=is_sandbox,
                    account_ids=ticked,
                    pull_token=pull_token.strip() or None,
                    pull_client_id=pull_client_id.strip() or None,
                ),
                sealer=manager.services.sealer,
                actor=manager.caller.actor,
                vouch=vouch_of(
                    manager.caller.actor,
                    may_approve=manager.may(Permission.ACCOUNTS_APPROVE),
                    now=manager.now,
                ),
                id_=endpoint_id,
                now=manager.now,
            )
    except (BadSecret, BadPullToken, BadAccount, SandboxRefused) as error:
        fields = {BadSecret: "secret", BadPullToken: "pull_token", BadAccount: "accounts"}
        field = fields.get(type(error), "")
        problem = {field: manager.present_error(error)}
        return await _render_new(manager, provider, line, is_sandbox, ticked, problem)
    shown = None
    if not secret.strip():
        text, username = secrets.keys[0], secrets.username or ""
        shown = Secret(kind="endpoint", name=line, text=text, username=username)
    return manager.go(f"/endpoints/{endpoint.id}", shown, done="endpoint_created")


async def _render_new(
    manager: ManagerContext,
    provider: str,
    name: str = "",
    is_sandbox: bool = False,
    ticked: list[UUID] | None = None,
    errors: Errors | None = None,
    find: str = "",
) -> Response:
    provider = provider if provider in PROVIDERS else ""
    chosen = PROVIDERS.get(provider)
    can_be_polled = chosen is not None and chosen.capabilities.can_be_pulled
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        accounts, are_more = await list_accounts(tx, manager, ticked, find)
    page = NewEndpointPage(
        choices=tuple(
            ProviderChoice(
                name=one,
                word=manager.word("provider", one),
                hint=manager.word("provider_hint", one),
                path=manager.path("/endpoints/new", provider=one),
            )
            for one in PROVIDERS
        ),
        provider=provider,
        provider_word=manager.word("provider", provider),
        makes_secret=chosen is not None and not chosen.capabilities.issues_secret,
        secret_hint=manager.word("secret_hint", provider),
        can_be_polled=can_be_polled,
        needs_client_id=chosen is not None and chosen.capabilities.pull_needs_client_id,
        pull_hint=manager.word("pull_hint", provider) if can_be_polled else "",
        can_be_sandbox=not manager.caller.org.is_live,
        accounts=accounts,
        accounts_are_more=are_more,
        find=find,
        name=name or (manager.word("provider", provider) if provider else ""),
        is_sandbox=is_sandbox,
        errors=errors or {},
    )
    status = 422 if errors else 200
    return manager.render("manage_endpoint_new.html", page, here="endpoints", status=status)
