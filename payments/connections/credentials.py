"""Credentials of providers' pull APIs: checked, sealed for the database, opened to poll."""

from uuid import UUID

import msgspec

from core.sealing import Sealer
from payments.connections.errors import BadPullToken
from payments.connections.models import CallbackEndpoint
from payments.providers import PROVIDERS
from payments.providers.pulling import PullCredentials, is_usable_key


def check_pull_credentials(
    provider: str, token: str | None, client_id: str | None
) -> PullCredentials | None:
    """Return the credentials that were entered for polling; None where none were.

    Raises:
        BadPullToken: the provider takes none, needs more, or they cannot travel in a header.
    """
    if token is None and client_id is None:
        return None
    capabilities = PROVIDERS[provider].capabilities
    if not capabilities.can_be_pulled:
        raise BadPullToken("This provider has no API for checking transactions: leave it out.")
    if token is None or (capabilities.pull_needs_client_id and client_id is None):
        raise BadPullToken("This provider needs the API token, and the client id where it has one.")
    if client_id is not None and not capabilities.pull_needs_client_id:
        raise BadPullToken("This provider has no client id: the API token is enough.")
    if not all(is_usable_key(text) for text in (token, client_id) if text is not None):
        raise BadPullToken("A token has 1 to 500 visible ASCII characters, and no spaces.")
    return PullCredentials(token=token, client_id=client_id)


def seal_pull_credentials(
    sealer: Sealer, org_id: UUID, endpoint_id: UUID, credentials: PullCredentials
) -> bytes:
    """Encrypt them for the database."""
    return sealer.seal(msgspec.json.encode(credentials), org_id=org_id, object_id=endpoint_id)


def open_pull_credentials(endpoint: CallbackEndpoint, sealer: Sealer) -> PullCredentials | None:
    """Decrypt an endpoint's; None where it has none."""
    if endpoint.sealed_pull_token is None:
        return None
    plain = sealer.unseal(endpoint.sealed_pull_token, org_id=endpoint.org_id, object_id=endpoint.id)
    return msgspec.json.decode(plain, type=PullCredentials)
