"""The worker: the process that runs jobs by the clock, beside the hub and without it."""

import asyncio
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from core.clock import read_clock
from core.db import open_database, open_engine
from core.jobs.periodic import JobDatabases, PeriodicJob
from core.jobs.runner import JobRunner
from core.logging import set_up_logging
from core.metrics import metrics_served
from core.sealing import Sealer
from core.settings import Settings, WrongSettings, read_settings
from parking.photos.service import Photos
from parking.plate_reading.reader import PlateReader
from payments.credits.processor import NoticeProcessor
from payments.polling.client import open_client
from payments.polling.scheduled import ScheduledPoller
from payments.rails.service import RailService
from payments.rails.toll.service import TollService
from payments.webhooks.dispatcher import WebhookDispatcher
from registry import REGISTRY, Registry
from worker.jobs import list_jobs, set_clock
from worker.metrics import JOB_RUN_AT

log = structlog.get_logger()

FAILED_PAUSE_S: Final = 5.0


async def run(
    settings: Settings,
    stop: asyncio.Event,
    *,
    registry: Registry = REGISTRY,
    plate_weights: Path | None = None,
) -> None:
    """Run jobs by their clocks, and queued ones, until `stop` is set; finish what is under way.

    Args:
        plate_weights: folder of the networks that read plates; None: photos are not read.
    """
    reader = None if plate_weights is None else PlateReader.load(plate_weights)
    app_engine = open_engine(settings.app_database_url.get_secret_value(), settings, pool_size=4)
    worker_engine = open_engine(
        settings.worker_database_url.get_secret_value(), settings, pool_size=4
    )
    app_database = open_database(app_engine)
    processor = NoticeProcessor(app_database, read_clock=read_clock)
    worker_database = open_database(worker_engine)
    client = open_client()
    databases = JobDatabases(app=app_database, worker=worker_database)
    sealer = Sealer.from_settings(settings)
    tolls = TollService(app_database, sealer, client, read_clock=read_clock)
    rails = RailService(
        app_database,
        sealer,
        client,
        public_url=settings.public_url,
        read_clock=read_clock,
    )
    poller = ScheduledPoller(
        database=app_database,
        processor=processor,
        sealer=sealer,
        client=client,
        read_clock=read_clock,
        every_s=settings.poll_every_s,
    )
    with suppress(SQLAlchemyError, OSError):  # the database is away: measured once it is back
        await set_clock(databases, now=read_clock())
    webhooks = WebhookDispatcher(settings, app_database, sealer)
    handlers = {kind: make(app_database) for kind, make in registry.job_handlers.items()}
    name = f"{socket.gethostname()}:{os.getpid()}"
    log.info("worker.started")
    engines = {"app": app_engine, "worker": worker_engine}
    try:
        with metrics_served(settings.metrics_host, settings.metrics_port, engines):
            async with asyncio.TaskGroup() as group:
                photos = Photos.from_settings(settings, app_database)
                jobs = list_jobs(
                    databases,
                    registry,
                    processor=processor,
                    rails=rails,
                    tolls=tolls,
                    poller=poller,
                    photos=photos,
                    reader=reader,
                )
                for job in jobs:
                    group.create_task(_repeat(job, stop))
                group.create_task(webhooks.run(stop))
                if handlers:
                    runner = JobRunner(worker_database, handlers, name=name)
                    group.create_task(runner.run(stop))
    finally:
        await processor.close()
        await client.aclose()
        await app_engine.dispose()
        await worker_engine.dispose()
    log.info("worker.stopped")


async def _repeat(job: PeriodicJob, stop: asyncio.Event) -> None:
    while not stop.is_set():
        pause_s = job.every_s
        try:
            await job.run(now=read_clock())
            JOB_RUN_AT.labels(job.name).set_to_current_time()
        except Exception as error:
            log.error("job.not_done", job=job.name, error=repr(error))
            pause_s = max(job.every_s, FAILED_PAUSE_S)
        try:
            async with asyncio.timeout(pause_s):
                await stop.wait()
        except TimeoutError:
            continue


def main(*, registry: Registry = REGISTRY, plate_weights: Path | None = None) -> None:
    """Run the worker until SIGTERM or Ctrl-C; with networks it reads plates, too."""
    try:
        settings = read_settings()
    except WrongSettings as problem:
        sys.exit(f"The worker cannot start with these settings:\n{problem}")
    set_up_logging(process_name="worker", log_format=settings.log_format)

    async def run_until_signal() -> None:
        stop = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, stop.set)
        await run(settings, stop, registry=registry, plate_weights=plate_weights)

    asyncio.run(run_until_signal())
