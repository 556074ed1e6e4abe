"""The sandbox as an ASGI application."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from sandbox import (
    app_api,
    app_pages,
    control,
    control_pages,
    gates_page,
    lanes_control,
    snapshot,
    toll_api,
)
from sandbox.errors import SandboxError
from sandbox.guard import Guard
from sandbox.providers import payos_api, pull_apis
from sandbox.settings import IMAGE_BYTES_MAX, Settings
from sandbox.statements import routes as statements
from sandbox.wire import answer_error
from sandbox.world import World


def create_app(settings: Settings) -> Starlette:
    """Build one sandbox. Its world is made at once, its background work starts with the server."""
    world = World(settings)
    if settings.data_dir:
        snapshot.load(world, settings.data_dir)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        folder = settings.data_dir
        saving = asyncio.create_task(snapshot.keep_saving(world, folder)) if folder else None
        yield
        await world.close()
        if folder and saving:
            saving.cancel()
            snapshot.save(world, folder)

    app = Starlette(
        routes=[
            *app_pages.ROUTES,
            *control_pages.ROUTES,
            *gates_page.ROUTES,
            *app_api.ROUTES,
            *control.ROUTES,
            *payos_api.ROUTES,
            *pull_apis.ROUTES,
            *toll_api.ROUTES,
            *lanes_control.ROUTES,
            *statements.ROUTES,
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
        ],
        middleware=[Middleware(Guard)],
        exception_handlers={
            SandboxError: answer_error,
            payos_api.PayOsError: payos_api.answer_payos_error,
        },
        lifespan=lifespan,
        max_body_size=IMAGE_BYTES_MAX + 64 * 1024,
    )
    app.state.world = world
    app.state.intents = OrderedDict[str, str]()  # a confirmed form's token → its FT number
    return app
