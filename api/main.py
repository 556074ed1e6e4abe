"""The hub's web application: what is open while it runs, and which routes it has."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

import structlog
from fastapi import APIRouter, FastAPI
from sqlalchemy.exc import SQLAlchemyError
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.staticfiles import StaticFiles
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api import background, openapi
from api.auth.callers import Directory
from api.auth.passwords import Passwords
from api.auth.sign_in import SignIns
from api.callback_door import CallbackDoor
from api.errors import install_error_handlers
from api.live.broadcaster import Broadcaster
from api.middleware import RequestFrame, StaticHeaders
from api.routes import (
    accounts,
    bills,
    breaks,
    callbacks,
    docs,
    endpoints,
    events,
    health,
    keys,
    opening,
    organisations,
    payees,
    sessions,
    setup,
    staff,
)
from api.routes import (
    credits as credit_routes,
)
from api.screens import (
    counter,
    counter_bills,
    home,
    login,
    manage,
    manage_accounts,
    manage_breaks,
    manage_deliveries,
    manage_endpoint,
    manage_endpoint_new,
    manage_endpoints,
    manage_history,
    manage_keys,
    manage_payees,
    manage_staff,
    my_password,
    pay,
    sales,
    stall_code,
)
from api.strict import strictly
from core.db import make_sessions, measure_shared_clock, open_engine
from core.sealing import Sealer
from core.settings import Settings

log = structlog.get_logger()

STATIC_DIR: Final = Path(__file__).parent / "static"
KEY_USES_WRITTEN_EVERY_S: Final = 10.0

API_ROUTERS: Final[tuple[APIRouter, ...]] = (
    opening.router,  # the busiest first: routes are tried in order
    opening.batches,
    setup.router,
    sessions.router,
    organisations.router,
    staff.router,
    keys.router,
    bills.router,
    endpoints.router,
    payees.router,
    accounts.router,
    credit_routes.router,
    breaks.router,
    events.router,
)
# What is not ours to be strict about, and the screens: after the API, so that /v1 is looked at
# first.
OTHER_ROUTERS: Final[tuple[APIRouter, ...]] = (
    callbacks.router,
    health.router,
    docs.router,
    home.router,
    login.router,
    my_password.router,
    counter.router,
    counter_bills.router,
    sales.router,
    stall_code.router,
    pay.router,
    manage.router,
    manage_payees.router,
    manage_accounts.router,
    manage_endpoint_new.router,
    manage_endpoints.router,
    manage_endpoint.router,
    manage_deliveries.router,
    manage_staff.router,
    manage_keys.router,
    manage_breaks.router,
    manage_history.router,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application; nothing is opened before its lifespan starts.

    Serve it with `proxy_headers=False`: whose X-Forwarded-For counts is a setting of the hub
    (`PHOPAY_TRUSTED_PROXIES`), and uvicorn's own default would believe anything on this machine.
    """
    settings = settings or Settings()  # type: ignore[call-arg]  # from the environment
    app = FastAPI(
        title="PhoPay",
        summary="A city's own cashless payment hub: VietQR codes that confirm themselves.",
        description=openapi.DESCRIPTION,
        version=openapi.VERSION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=_lifespan,
        docs_url=None,  # their pages call a CDN; ours are api/routes/docs.py
        redoc_url=None,
        openapi_url=None,
        openapi_tags=openapi.TAGS,
        redirect_slashes=False,
        middleware=_middleware(settings),
    )
    app.state.settings = settings
    app.state.is_closing = False
    app.state.ready_look = None
    install_error_handlers(app)
    for router in API_ROUTERS:
        app.include_router(router, dependencies=[strictly])
    for router in OTHER_ROUTERS:
        app.include_router(router)
    app.mount("/static", _static_files(), name="static")
    openapi.install(app)
    return app


def _middleware(settings: Settings) -> list[Middleware]:
    """Outermost first: who is asking must be known before it is logged."""
    inner = [
        Middleware(RequestFrame, is_production=settings.is_production),
        Middleware(CallbackDoor),
        # Not FastAPI's own setting, which stands outside the frame; a route's `max_body_size` wins.
        Middleware(RequestBodyLimitMiddleware, max_body_size=settings.body_bytes_max),
    ]
    if not settings.trusted_proxies:
        return inner
    trusted = list(settings.trusted_proxies)
    return [Middleware(ProxyHeadersMiddleware, trusted_hosts=trusted), *inner]


def _static_files() -> StaticHeaders:
    files = StaticFiles(directory=STATIC_DIR, follow_symlink=False)
    # Names carry no hash: browsers ask again after an hour, and get 304 while nothing changed.
    return StaticHeaders(files, max_age_s=lambda path: 86_400 if "/fonts/" in path else 3_600)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    engine = open_engine(settings.app_database_url.get_secret_value(), settings)
    sessions = make_sessions(engine)
    app.state.engine = engine
    with suppress(SQLAlchemyError, OSError):  # the database is away: measured once it listens
        await measure_shared_clock(sessions)
    app.state.sessions = sessions
    app.state.directory = Directory(
        sessions=sessions, session_idle=timedelta(seconds=settings.session_idle_s)
    )
    app.state.passwords = Passwords(memory_kib=settings.password_memory_kib)
    app.state.sign_ins = SignIns(
        sessions=sessions,
        passwords=app.state.passwords,
        session_max=timedelta(seconds=settings.session_max_s),
    )
    app.state.sealer = Sealer.from_settings(settings)
    app.state.broadcaster = Broadcaster(settings, sessions)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(engine.dispose)
        await stack.enter_async_context(app.state.broadcaster.running())
        await stack.enter_async_context(_writing_key_uses(app.state.directory))
        await stack.enter_async_context(background.running(app))
        # What a process holds from its start on is never garbage: collecting walks over it no
        # more, which took a tenth of a second now and then, and every screen waited for it.
        gc.collect()
        gc.freeze()
        log.info("hub.started", public_url=settings.public_url)
        yield
        app.state.is_closing = True
    log.info("hub.stopped")


@asynccontextmanager
async def _writing_key_uses(directory: Directory) -> AsyncIterator[None]:
    """Write now and then when API keys were last used, and once more at the end."""

    async def write_for_ever() -> None:
        while True:
            await asyncio.sleep(KEY_USES_WRITTEN_EVERY_S)
            await _write_key_uses(directory)

    task = asyncio.create_task(write_for_ever(), name="key-uses")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await _write_key_uses(directory)


async def _write_key_uses(directory: Directory) -> None:
    try:
        await directory.write_key_uses()
    except Exception as error:  # a note for people: it may be lost, requests may not
        log.warning("key_uses.not_written", error=type(error).__name__)
