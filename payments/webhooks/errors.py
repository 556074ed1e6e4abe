"""Errors of webhook endpoints and deliveries."""

from uuid import UUID

from core.errors import HubError, Kind
from payments.webhooks.rules import ENDPOINTS_MAX, REPLAYS_MAX


class WebhookEndpointNotFound(HubError):
    """No such webhook endpoint in this organisation."""

    kind, code, title = Kind.NOT_FOUND, "webhook_endpoint_not_found", "Webhook endpoint not found"

    def __init__(self, endpoint_id: UUID) -> None:
        super().__init__(f"This organisation has no webhook endpoint {endpoint_id}.")


class DeliveryNotFound(HubError):
    """No such delivery at this endpoint, or it had its time."""

    kind, code, title = Kind.NOT_FOUND, "delivery_not_found", "Delivery not found"

    def __init__(self, event_id: UUID) -> None:
        super().__init__(f"This endpoint has no delivery of the event {event_id}.")


class BadWebhookUrl(HubError):
    """The address of a webhook endpoint is one that the hub does not send to."""

    kind, code, title = Kind.INVALID, "bad_webhook_url", "The address cannot be sent to"


class WebhookEndpointsFull(HubError):
    """The organisation has as many webhook endpoints as it may have."""

    kind, code, title = Kind.CONFLICT, "webhook_endpoints_full", "Too many webhook endpoints"

    def __init__(self) -> None:
        super().__init__(f"An organisation has {ENDPOINTS_MAX} webhook endpoints; delete one.")


class WebhookEndpointDisabled(HubError):
    """Nothing is sent to an endpoint that is disabled or gone."""

    kind, code, title = Kind.CONFLICT, "webhook_endpoint_disabled", "The endpoint is disabled"

    def __init__(self) -> None:
        super().__init__("This webhook endpoint is not enabled. Enable it first.")


class ReplayTooLarge(HubError):
    """The time to be replayed holds more deliveries than one replay may make due."""

    kind, code, title = Kind.INVALID, "replay_too_large", "Too many deliveries to replay"

    def __init__(self) -> None:
        super().__init__(f"One replay sends {REPLAYS_MAX:,} deliveries; choose a shorter time.")
