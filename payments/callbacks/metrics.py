"""Counters of callbacks and of notices, for Prometheus."""

from functools import cache
from typing import Final

from prometheus_client import Counter

from core.metrics import METRICS
from payments.providers import find_provider

CALLBACKS: Final = Counter(
    "phopay_callbacks",
    "Callbacks by provider and what became of them: stored, refused, unknown, too_large, busy",
    ["provider", "result"],
    registry=METRICS,
)
NOTICES_PROCESSED: Final = Counter(
    "phopay_notices_processed", "Notices that this process has processed", registry=METRICS
)


@cache  # finding one by its labels takes three times as long as counting
def count_of(provider: str, result: str) -> Counter:
    """Return the counter of one provider's callbacks with one result; both are names of ours."""
    return CALLBACKS.labels(provider, result)


def count_too_large(provider_name: str) -> None:
    """Count a callback that was not even read to its end; what is no provider's has no counter."""
    if (provider := find_provider(provider_name)) is not None:
        count_of(provider.name, "too_large").inc()
