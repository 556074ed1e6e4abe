"""What runs beside the requests of a process: settling, gathering. Started by api/main.py."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[None]:
    """Start what belongs to this process and stop it, finished, before the engines close."""
    yield
