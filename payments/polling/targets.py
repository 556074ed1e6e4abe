"""What is asked about an account: a question to each endpoint whose provider can be asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.sealing import Sealer, SecretNotReadable
from payments.bills.queries import list_order_ids
from payments.connections.credentials import open_pull_credentials
from payments.connections.models import CallbackEndpoint, CallbackEndpointAccount
from payments.connections.service import open_secrets
from payments.polling.client import PullResult, Question
from payments.providers import PULLS
from payments.providers.errors import PollFailed, ProviderRefusedToken, ProviderResponseUnreadable
from payments.providers.pulling import PullCredentials, PullQuery
from payments.providers.types import EndpointSecrets

ORDERS_MAX: Final = 10
LOOK_BACK: Final = timedelta(hours=24)


@dataclass(frozen=True, kw_only=True, slots=True)
class SkippedEndpoint:
    """An endpoint that could not be asked at all, because what it keeps sealed does not open."""

    endpoint_id: UUID
    provider: str
    problem: PollFailed  # its cause is for the log

    @property
    def heard(self) -> PullResult:
        """As if the provider had answered so."""
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
) -> tuple[list[Question], list[SkippedEndpoint]]:
    """Write the question to every endpoint that reports on an account and has a token.

    Args:
        payee_id: whose bills are asked about, where a provider knows its own orders only.
        bill_id: the one bill that is asked about there, instead of the recent ones.

    Returns:
        (the questions, the endpoints that cannot be asked: their trouble is no other's).
    """
    query = (
        select(CallbackEndpoint, CallbackEndpointAccount.account_number)
        .join(
            CallbackEndpointAccount,
            (CallbackEndpointAccount.org_id == CallbackEndpoint.org_id)
            & (CallbackEndpointAccount.endpoint_id == CallbackEndpoint.id),
        )
        .where(
            CallbackEndpoint.org_id == org_id,
            CallbackEndpointAccount.receiving_account_id == account_id,
            CallbackEndpoint.revoked_at.is_(None),
            CallbackEndpoint.provider.in_(PULLS),
            CallbackEndpoint.sealed_pull_token.is_not(None),
        )
    )
    questions: list[Question] = []
    unasked: list[SkippedEndpoint] = []
    for endpoint, number in (await session.execute(query)).all():
        try:
            keys, secrets = _open_seals(endpoint, sealer, now=now)
        except PollFailed as problem:
            unasked.append(
                SkippedEndpoint(
                    endpoint_id=endpoint.id, provider=endpoint.provider, problem=problem
                )
            )
            continue
        asking = PULLS[endpoint.provider]
        order_ids: Sequence[str] = ()
        if asking.pulls_by_order:
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
        inquiry = PullQuery(
            account_number=number,
            order_ids=tuple(order_ids),
            since=now - LOOK_BACK,
            keys=keys,
            secrets=secrets,
        )
        questions.append(
            Question(
                endpoint_id=endpoint.id,
                provider=endpoint.provider,
                asking=asking,
                url=endpoint.pull_url or asking.url,
                inquiry=inquiry,
            )
        )
    return questions, unasked


def _open_seals(
    endpoint: CallbackEndpoint, sealer: Sealer, *, now: datetime
) -> tuple[PullCredentials, EndpointSecrets]:
    """Open what asking an endpoint takes.

    Raises:
        ProviderRefusedToken: its token does not open; a new one helps, as where it is refused.
        ProviderResponseUnreadable: its secrets do not open, which a new token would not change.
    """
    try:
        keys = open_pull_credentials(endpoint, sealer)
    except SecretNotReadable as error:
        raise ProviderRefusedToken from error
    assert keys is not None
    try:
        return keys, open_secrets(endpoint, sealer, now=now)
    except SecretNotReadable as error:
        raise ProviderResponseUnreadable(
            "The provider was not asked: the endpoint's secret cannot be read, so no answer could"
            " be checked. The operator must look at the keys; until then look into the bank's own"
            " app."
        ) from error
