"""Durations of requests by route: for Prometheus, with as many series as there are routes."""

from typing import Final

from prometheus_client import Histogram
from starlette.types import Scope

from core.metrics import METRICS

# From a page out of memory to what a provider waits for before it gives up.
BUCKETS_S: Final = (0.005, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0, 10.0)
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Who answers past the router names its route here.
ROUTE_KEY: Final = "phopay.route"
NO_ROUTE: Final = "none"  # unknown addresses, which anybody can invent, and files

REQUEST_SECONDS: Final = Histogram(
    "phopay_request_seconds",
    "Time until an answer began, so that a stream counts like any other",
    ["method", "route", "status"],
    buckets=BUCKETS_S,
    registry=METRICS,
)
# What `labels` finds under a lock, found without one.
_known: dict[tuple[str, str, int], Histogram] = {}


def observe_request(scope: Scope, *, status: int, took_s: float) -> None:
    """Count one answer under its route's template, never under the address that was asked for."""
    route = scope.get(ROUTE_KEY)
    if route is None:
        found = scope.get("route")
        route = NO_ROUTE if found is None else found.path
    key = (scope["method"], route, status // 100)
    times = _known.get(key)
    if times is None:
        method = key[0] if key[0] in METHODS else "other"
        times = REQUEST_SECONDS.labels(method, route, f"{key[2]}xx")
        if method == key[0]:
            _known[key] = times
    times.observe(took_s)
