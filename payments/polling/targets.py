"""Poll targets of an account: each endpoint whose provider has a pull API and a token."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from core.sealing import Sealer, SecretNotReadable
from payments.bills.queries_lists import list_order_ids
from payments.connections.credentials import open_pull_credentials
from payments.connections.models import CallbackEndpoint
from payments.connections.service import open_secrets
from payments.polling.client import PollTarget, PullResult
from payments.polling.queries import list_pullable_endpoints
from payments.providers import PROVIDERS
from payments.providers.errors import PollFailed, ProviderRefusedToken, ProviderResponseUnreadable
from payments.providers.pulling import PullCredentials, PullQuery
from payments.providers.types import EndpointSecrets, PulledBy

ORDERS_MAX: Final = 10
LOOK_BACK: Final = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True, slots=True)
class SkippedEndpoint:
    """An endpoint that could not be polled at all, because its sealed secrets do not open."""

    endpoint_id: UUID
    provider: str
    problem: PollFailed  # its cause is for the log

    @property
    def result(self) -> PullResult:
        """The same as if the provider had answered so."""
        return PullResult(problems=[self.problem])


async def list_targets(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    sealer: Sealer,
    *,
    payee_id: UUID,
    bill_id: UUID | None,
    now: datetime,
) -> tuple[list[PollTarget], list[SkippedEndpoint]]:
    """List a poll target for every endpoint that reports on an account and has a token.

    Args:
        payee_id: whose orders are looked up, where a provider knows its own orders only.
        bill_id: the one bill whose order is looked up there, instead of the recent ones.

    Returns:
        (the targets, the endpoints that cannot be polled, which does not affect the others).
    """
    targets: list[PollTarget] = []
    skipped: list[SkippedEndpoint] = []
    for endpoint, number in await list_pullable_endpoints(session, org_id, account_id):
        try:
            credentials, secrets = open_seals(endpoint, sealer, now=now)
        except PollFailed as problem:
            skipped.append(
                SkippedEndpoint(
                    endpoint_id=endpoint.id, provider=endpoint.provider, problem=problem
                )
            )
            continue
        order_ids: Sequence[str] = ()
        if PROVIDERS[endpoint.provider].capabilities.pulled_by is PulledBy.ORDER:
            order_ids = await list_order_ids(
                session,
                org_id,
                payee_id,
                account_id,
                rail=endpoint.provider,
                bill_id=bill_id,
                since=now - LOOK_BACK,
                limit=ORDERS_MAX,
            )
        query = PullQuery(
            account_number=number,
            order_ids=tuple(order_ids),
            since=now - LOOK_BACK,
            credentials=credentials,
            secrets=secrets,
        )
        targets.append(make_target(endpoint, query))
    return targets, skipped


def make_target(endpoint: CallbackEndpoint, query: PullQuery) -> PollTarget:
    """Make the poll target of an endpoint whose provider has a pull API."""
    provider = PROVIDERS[endpoint.provider]
    url = endpoint.pull_url or provider.capabilities.pull_url
    assert provider.pull is not None
    assert url is not None
    return PollTarget(
        endpoint_id=endpoint.id,
        provider=endpoint.provider,
        pull=provider.pull,
        url=url,
        query=query,
    )


def open_seals(
    endpoint: CallbackEndpoint, sealer: Sealer, *, now: datetime
) -> tuple[PullCredentials, EndpointSecrets]:
    """Open what polling an endpoint takes.

    Raises:
        ProviderRefusedToken: its token does not open; a new one helps, as where it is refused.
        ProviderResponseUnreadable: its secrets do not open, which a new token would not change.
    """
    try:
        credentials = open_pull_credentials(endpoint, sealer)
    except SecretNotReadable as error:
        raise ProviderRefusedToken from error
    assert credentials is not None
    try:
        return credentials, open_secrets(endpoint, sealer, now=now)
    except SecretNotReadable as error:
        raise ProviderResponseUnreadable(
            "The provider was not polled: the endpoint's secret cannot be read, so no answer could"
            " be checked. The operator must look at the keys; until then look into the bank's own"
            " app."
        ) from error
