"""Health of a callback endpoint, worded for a person, on every page that shows it."""

from typing import Final

from api.manage.page_context import ManagerContext
from payments.callbacks.views import Health, NoticeCounts
from payments.connections.models import CallbackEndpoint

# Tone and icon; the words are in [health] of words/*/manage.toml.
LOOKS: Final = {
    Health.GOOD: ("good", "check"),
    Health.SILENT: ("plain", "clock"),
    Health.SOME_REFUSED: ("attention", "warning"),
    Health.REFUSED: ("bad", "cross"),
}


def present_health(
    manager: ManagerContext, endpoint: CallbackEndpoint, counts: NoticeCounts
) -> tuple[str, str, str]:
    """Return tone, icon and word of an endpoint's health; a revoked one has none any more."""
    if endpoint.revoked_at is not None:
        return "bad", "stop", manager.say("health.revoked")
    tone, icon = LOOKS[counts.health]
    return tone, icon, manager.say(f"health.{counts.health.value}")
