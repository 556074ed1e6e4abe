"""Contracts with a toll operator: made, tried, given another key, ended. No key is shown again."""

from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form
from starlette.responses import Response

from api.http.deps import TheSealer, TheSettings, TheTolls, requires
from api.http.i18n import translate
from api.manage.forms import FormId, take_form
from api.manage.page_context import Errors, ManagerContext, TheManager, read_line
from core.errors import HubError
from core.ids import new_id
from core.tenancy import open_org_transaction
from identity.people.rules import Permission
from payments.rails.toll import contracts, queries
from payments.rails.toll.errors import BadTollUrl
from payments.rails.toll.models import TollContract
from payments.rails.toll.rules import ContractTest

router = APIRouter(prefix="/manage/toll-contracts", include_in_schema=False)

LISTED_MAX: Final = 50
SECRET_CHARS: Final = range(16, 257)
Text = Annotated[str, Form(max_length=1_000)]


@dataclass(frozen=True, kw_only=True)
class ContractRow:
    """One contract, without its key."""

    id: UUID
    name: str
    url: str
    client_id: str
    made: str
    ended: str  # "" while it is in force
    tone: str
    icon: str
    word: str


@dataclass(frozen=True, kw_only=True)
class ContractTried:
    """What an operator answered a moment ago."""

    id: UUID
    tone: str
    word: str
    next_step: str


@dataclass(frozen=True, kw_only=True)
class TollContractsPage:
    """Everything templates/toll_contracts.html may use, already worded."""

    rows: tuple[ContractRow, ...]
    has_open: bool
    origins: tuple[str, ...]  # where requests may go
    form: dict[str, str]
    errors: Errors
    failed: str  # the contract whose form was not accepted
    tried: ContractTried | None
    can_manage: bool


@router.get("", dependencies=[requires(Permission.CALLBACK_ENDPOINTS_READ)])
async def show_contracts(manager: TheManager, settings: TheSettings) -> Response:
    """List the contracts, the newest first; one is in force."""
    return await _render(manager, _origins(manager, settings))


@router.post("", dependencies=[requires(Permission.CALLBACK_ENDPOINTS_MANAGE)])
async def create(
    manager: TheManager,
    settings: TheSettings,
    sealer: TheSealer,
    name: Text = "",
    url: Text = "",
    client_id: Text = "",
    secret: Text = "",
    form_id: FormId = None,
) -> Response:
    """Put a contract in force."""
    origins = _origins(manager, settings)
    form = {"name": read_line(name), "url": url.strip(), "client_id": read_line(client_id, 80)}
    secret = secret.strip()
    errors = {field: manager.say("error.needed") for field, value in form.items() if not value}
    if not _is_secret(secret):
        errors["secret"] = translate(manager.lang, "toll_contracts.bad_secret")
    elif not form["client_id"].isascii() or " " in form["client_id"]:
        errors["client_id"] = translate(manager.lang, "toll_contracts.bad_client_id")
    if errors:
        return await _render(manager, origins, form=form, errors=errors)
    contract_id = new_id()
    try:
        async with open_org_transaction(manager.database, manager.org_id) as tx:
            route, facts = "/manage/toll-contracts", (*form.values(), secret)
            if await take_form(tx, manager, route, form_id, *facts, makes=contract_id) is None:
                await contracts.create_contract(
                    tx,
                    manager.caller.org,
                    contract_id,
                    **form,
                    secret=secret,
                    allowed_origins=origins,
                    sealer=sealer,
                    actor=manager.caller.actor,
                    now=manager.now,
                )
    except HubError as error:
        field = "url" if isinstance(error, BadTollUrl) else ""
        errors = {field: manager.present_error(error)}
        return await _render(manager, origins, form=form, errors=errors)
    return manager.go("/toll-contracts", done="toll_contract_made")


@router.post("/{contract_id}/secret", dependencies=[requires(Permission.CALLBACK_ENDPOINTS_MANAGE)])
async def set_secret(
    manager: TheManager,
    settings: TheSettings,
    sealer: TheSealer,
    contract_id: UUID,
    secret: Text = "",
) -> Response:
    """Replace the key that signs requests."""
    secret = secret.strip()
    if not _is_secret(secret):
        errors = {"": translate(manager.lang, "toll_contracts.bad_secret")}
        return await _render(
            manager, _origins(manager, settings), errors=errors, failed=str(contract_id)
        )
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        await contracts.set_secret(
            tx,
            manager.org_id,
            contract_id,
            secret=secret,
            sealer=sealer,
            actor=manager.caller.actor,
            now=manager.now,
        )
    return manager.go("/toll-contracts", done="toll_key_set")


@router.post("/{contract_id}/test", dependencies=[requires(Permission.CALLBACK_ENDPOINTS_MANAGE)])
async def try_out(
    manager: TheManager, settings: TheSettings, tolls: TheTolls, contract_id: UUID
) -> Response:
    """Ask the operator about a charge that never was: it must answer, and sign its answer."""
    result, instead = await tolls.try_contract(manager.org_id, contract_id)
    key = f"toll_contracts.tried.{result.value}"
    tried = ContractTried(
        id=contract_id,
        tone="good" if result is ContractTest.WORKS else "bad",
        word=translate(manager.lang, key),
        next_step=translate(manager.lang, f"toll_contracts.next.{result.value}", instead=instead),
    )
    return await _render(manager, _origins(manager, settings), tried=tried)


@router.post("/{contract_id}/revoke", dependencies=[requires(Permission.CALLBACK_ENDPOINTS_MANAGE)])
async def revoke(manager: TheManager, contract_id: UUID) -> Response:
    """End a contract. What was charged before is still looked up and refunded."""
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        await contracts.revoke_contract(
            tx, manager.org_id, contract_id, actor=manager.caller.actor, now=manager.now
        )
    return manager.go("/toll-contracts", done="toll_contract_ended")


def _origins(manager: ManagerContext, settings: TheSettings) -> tuple[str, ...]:
    is_live = manager.caller.org.is_live
    return tuple(settings.toll_origins if is_live else settings.sandbox_origins)


def _is_secret(secret: str) -> bool:
    return len(secret) in SECRET_CHARS and secret.isprintable()


async def _render(
    manager: ManagerContext,
    origins: tuple[str, ...],
    *,
    form: dict[str, str] | None = None,
    errors: Errors | None = None,
    failed: str = "",
    tried: ContractTried | None = None,
) -> Response:
    async with open_org_transaction(manager.database, manager.org_id) as tx:
        found = await queries.list_contracts(tx, manager.org_id, limit=LISTED_MAX)
    page = TollContractsPage(
        rows=tuple(_present(manager, one) for one in found),
        has_open=any(one.revoked_at is None for one in found),
        origins=origins,
        form=form or {"name": "", "url": origins[0] if origins else "", "client_id": ""},
        errors=errors or {},
        failed=failed,
        tried=tried,
        can_manage=manager.may(Permission.CALLBACK_ENDPOINTS_MANAGE),
    )
    status = 422 if errors else 200
    return manager.render("toll_contracts.html", page, here="toll_contracts", status=status)


def _present(manager: ManagerContext, one: TollContract) -> ContractRow:
    is_open = one.revoked_at is None
    word = "open" if is_open else "ended"
    return ContractRow(
        id=one.id,
        name=one.name,
        url=one.url,
        client_id=one.client_id,
        made=manager.present_instant(one.created_at),
        ended=manager.present_instant(one.revoked_at),
        tone="good" if is_open else "plain",
        icon="check" if is_open else "stop",
        word=translate(manager.lang, f"toll_contracts.state.{word}"),
    )
