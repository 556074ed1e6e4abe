"""The worker's list of jobs: every job of every package is on it, and runs by itself."""

import importlib
import inspect
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from core.clock import read_clock
from core.db import Database
from core.jobs.periodic import JobDatabases
from parking.photos.service import Photos
from parking.photos.store import FolderStore
from payments.credits.processor import NoticeProcessor
from registry import REGISTRY
from worker.jobs import list_jobs

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
OFFERED = sorted(
    str(path.relative_to(ROOT).with_suffix("")).replace("/", ".")
    for package in ("city", "identity", "parking", "payments")
    for path in (ROOT / package).rglob("jobs.py")
)


class NotAsked:
    """Rails, toll operators, a poller and a reader of plates, of which nothing is asked."""

    every_s = 900


@pytest.fixture
def databases(app_database: Database, worker_database: Database) -> JobDatabases:
    return JobDatabases(app=app_database, worker=worker_database)


async def test_every_job_that_a_package_offers_is_run_by_the_worker(
    databases: JobDatabases, tmp_path: Path
) -> None:
    processor = NoticeProcessor(databases.app, read_clock=read_clock)
    store = FolderStore(tmp_path)
    photos = Photos(databases.app, store, link_key=b"k" * 32, kept_for=timedelta(days=1))
    jobs = list_jobs(
        databases,
        REGISTRY,
        processor=processor,
        rails=cast("Any", NotAsked()),
        tolls=cast("Any", NotAsked()),
        poller=cast("Any", NotAsked()),
        photos=photos,
        reader=cast("Any", NotAsked()),
    )
    names = [job.name for job in jobs]
    assert len(names) == len(set(names))
    written = {
        name
        for module in OFFERED
        for name, _ in inspect.getmembers(importlib.import_module(module), _is_job_of(module))
    }
    assert len(written) >= 7
    assert written <= set(names)

    for job in jobs:  # on an empty database each has nothing to do, and each can be called
        assert await job.run(now=read_clock()) == 0, job.name
    await processor.close()


def _is_job_of(module: str) -> Any:
    def is_job(member: object) -> bool:
        return (
            inspect.iscoroutinefunction(member)
            and member.__module__ == module
            and not member.__name__.startswith("_")
            and next(iter(inspect.signature(member).parameters)) == "databases"
        )

    return is_job
