"""Metrics for Prometheus: one registry a process, and the port that shows it.

Each process has its own port, which Prometheus reads one by one and sums up. Labels have few values
that are ours: no plate, name, account number or organisation is ever among them.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, cast

import structlog
from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

log = structlog.get_logger()

METRICS: Final = CollectorRegistry(auto_describe=True)
ProcessCollector(registry=METRICS)
GCCollector(registry=METRICS)


class PoolCollector(Collector):
    """Connections of each database role's pool, as they are when somebody looks."""

    def __init__(self, engines: dict[str, AsyncEngine]) -> None:
        self._engines = engines

    def collect(self) -> Iterable[Metric]:
        """Read the pools; they count by themselves."""
        used = GaugeMetricFamily(
            "phopay_db_connections_used", "Connections that a task has now", labels=["role"]
        )
        size = GaugeMetricFamily(
            "phopay_db_connections_max", "Connections that the pool may open", labels=["role"]
        )
        for role, engine in self._engines.items():
            pool = cast(QueuePool, engine.pool)
            used.add_metric([role], pool.checkedout())
            size.add_metric([role], pool.size())
        return [used, size]


@contextmanager
def metrics_served(
    host: str, port: int | None, engines: dict[str, AsyncEngine]
) -> Iterator[int | None]:
    """Show the metrics of this process at http://host:port/metrics for the length of a block.

    A port that cannot be had is logged, and the process works without: money comes first.

    Args:
        port: None: none are shown.

    Yields:
        The port, or None.
    """
    if port is None:
        yield None
        return
    try:
        server, thread = start_http_server(port, addr=host, registry=METRICS)
    except OSError as error:
        log.error("metrics.not_served", host=host, port=port, error=str(error))
        yield None
        return
    pools = PoolCollector(engines)
    METRICS.register(pools)
    log.info("metrics.served", host=host, port=server.server_port)
    try:
        yield server.server_port
    finally:
        METRICS.unregister(pools)
        server.shutdown()
        server.server_close()
        thread.join()
