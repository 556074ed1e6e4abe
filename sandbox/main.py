"""The sandbox as an ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware

from sandbox import app_api, control
from sandbox.errors import SandboxError
from sandbox.guard import Guard
from sandbox.providers import payos_api, pull_apis
from sandbox.settings import IMAGE_BYTES_MAX, Settings
from sandbox.wire import answer_error
from sandbox.world import World


def create_app(settings: Settings) -> Starlette:
    """Build one sandbox. Its world is made at once, its background work starts with the server."""
    world = World(settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await world.close()

    app = Starlette(
        routes=[*app_api.ROUTES, *control.ROUTES, *payos_api.ROUTES, *pull_apis.ROUTES],
        middleware=[Middleware(Guard)],
        exception_handlers={
            SandboxError: answer_error,
            payos_api.PayOsError: payos_api.answer_payos_error,
        },
        lifespan=lifespan,
        max_body_size=IMAGE_BYTES_MAX + 64 * 1024,
    )
    app.state.world = world
    return app
