"""Counters of callbacks and of notices, for Prometheus."""

from functools import cache
from typing import Final

from prometheus_client import Counter

from core.metrics import METRICS

CALLBACKS: Final = Counter(
    "phopay_callbacks",
    "Callbacks by provider and by what became of them: stored, refused, unknown address",
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
