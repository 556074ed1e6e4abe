"""Periodic jobs: use cases of packages that a worker runs again and again."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.db import Database


@dataclass(frozen=True, kw_only=True, slots=True)
class JobDatabases:
    """Databases that periodic jobs work with, by the role that is signed in."""

    app: Database  # one organisation per transaction, as the hub
    worker: Database  # sees all organisations, may delete what has had its time


class Run(Protocol):
    """One run of a job."""

    async def __call__(self, *, now: datetime) -> int:
        """Do what is due; return how much it was. What fails is repeated by the next run."""


@dataclass(frozen=True, slots=True)
class PeriodicJob:
    """One job that a package offers to the worker (its jobs.py), and how often it is run."""

    name: str
    every_s: float
    run: Run
