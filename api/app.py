"""The hub's web application: its routes, its middleware and its lifespan."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import structlog
from fastapi import APIRouter, FastAPI
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.staticfiles import StaticFiles
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from api.counter import bills as counter_bills
from api.counter import create as counter_create
from api.counter import printed_code
from api.counter import refunds as counter_refunds
from api.counter import routes as counter_routes
from api.counter import sales as counter_sales
from api.finance import home as finance_home
from api.finance import lines as finance_lines
from api.finance import saved_mappings as finance_saved_mappings
from api.finance import search as finance_search
from api.finance import statement as finance_statement
from api.finance import statement_columns as finance_statement_columns
from api.finance import statements as finance_statements
from api.gate import drawn_codes as gate_drawn_codes
from api.gate import enrolment as gate_enrolment
from api.gate import papers as gate_papers
from api.gate import routes as gate_routes
from api.gate import stays as gate_stays
from api.gate import worker as gate_worker
from api.http import openapi
from api.http.errors import install_error_handlers
from api.http.middleware import RequestFrame, StaticHeaders
from api.http.strict import strictly
from api.http.surfaces import STATIC
from api.manage import accounts as manage_accounts
from api.manage import api_keys as manage_keys
from api.manage import break_actions as manage_break_actions
from api.manage import breaks as manage_breaks
from api.manage import callback_endpoint as manage_endpoint
from api.manage import callback_endpoint_new as manage_endpoint_new
from api.manage import callback_endpoints as manage_endpoints
from api.manage import checks as manage_checks
from api.manage import complaints as manage_complaints
from api.manage import devices as manage_devices
from api.manage import history as manage_history
from api.manage import notices as manage_notices
from api.manage import outages as manage_outages
from api.manage import overview
from api.manage import payees as manage_payees
from api.manage import refund_request as manage_refund_request
from api.manage import refunds as manage_refunds
from api.manage import settlement_terms as manage_settlement_terms
from api.manage import settlements as manage_settlements
from api.manage import spread as manage_spread
from api.manage import staff as manage_staff
from api.manage import toll_contracts as manage_toll_contracts
from api.manage import webhook as manage_webhook
from api.manage import webhooks as manage_webhooks
from api.manage.parking import lot_control as manage_lot_control
from api.manage.parking import lot_dashboard as manage_lot_dashboard
from api.manage.parking import lot_poster as manage_lot_poster
from api.manage.parking import lot_settings as manage_lot_settings
from api.manage.parking import lots as manage_lots
from api.manage.parking import pass_import as manage_pass_import
from api.manage.parking import passes as manage_passes
from api.manage.parking import plate_requests as manage_plate_requests
from api.manage.parking import reviews as manage_reviews
from api.manage.parking import stay_exports as manage_stay_exports
from api.manage.parking import stay_links as manage_stay_links
from api.manage.parking import stays as manage_stays
from api.manage.parking import tariff_editor as manage_tariff_editor
from api.manage.parking import tariffs as manage_tariffs
from api.manage.parking import tax_exports as manage_tax_exports
from api.manage.parking import ticket_books as manage_ticket_books
from api.manage.parking import watched as manage_watched
from api.pages import home, login, my_password, my_pin
from api.pay import complaints as pay_complaints
from api.pay import parking_ticket
from api.pay import refunds as pay_refunds
from api.pay import routes as pay_routes
from api.services import open_services
from api.v1.accounts import go_live as accounts_go_live
from api.v1.accounts import routes as accounts_routes
from api.v1.apds import open_data
from api.v1.apds import routes as apds_routes
from api.v1.api_keys import routes as api_keys_routes
from api.v1.bills import create as create_bills
from api.v1.bills import routes as bills_routes
from api.v1.breaks import decisions as break_decisions
from api.v1.breaks import evidence as break_evidence
from api.v1.breaks import routes as breaks_routes
from api.v1.callback_endpoints import routes as callback_endpoints_routes
from api.v1.callbacks import routes as callbacks_routes
from api.v1.callbacks.callbacks_asgi import CallbacksASGI
from api.v1.complaints import routes as complaints_routes
from api.v1.credits import routes as credits_routes
from api.v1.days import routes as days_routes
from api.v1.devices import phone as devices_phone
from api.v1.devices import references as devices_references
from api.v1.devices import routes as devices_routes
from api.v1.docs import routes as docs_routes
from api.v1.events import routes as events_routes
from api.v1.examples import EXAMPLES
from api.v1.health import routes as health_routes
from api.v1.jobs import routes as jobs_routes
from api.v1.lots import compared as compared_routes
from api.v1.lots import entry_routes
from api.v1.lots import lanes as lanes_routes
from api.v1.lots import recounts as recounts_routes
from api.v1.lots import routes as lots_routes
from api.v1.lots.entries_asgi import EntriesASGI
from api.v1.organisations import routes as organisations_routes
from api.v1.outages import routes as outages_routes
from api.v1.parking_operators import routes as parking_operators_routes
from api.v1.parking_sessions import exits as parking_exits
from api.v1.parking_sessions import lost_tickets as parking_lost_tickets
from api.v1.parking_sessions import reviews as parking_sessions_reviews
from api.v1.parking_sessions import routes as parking_sessions_routes
from api.v1.parking_sessions import toll as parking_sessions_toll
from api.v1.passes import phones as passes_phones
from api.v1.passes import routes as passes_routes
from api.v1.payees import routes as payees_routes
from api.v1.photos import routes as photos_routes
from api.v1.refunds import files as refund_files_routes
from api.v1.refunds import routes as refunds_routes
from api.v1.search import routes as search_routes
from api.v1.settlements import routes as settlements_routes
from api.v1.settlements import terms as settlement_terms_routes
from api.v1.setup import routes as setup_routes
from api.v1.shifts import routes as shifts_routes
from api.v1.sign_ins import routes as sign_ins_routes
from api.v1.staff import routes as staff_routes
from api.v1.statement_lines import routes as statement_lines_routes
from api.v1.statements import mapping_routes as statement_mappings_routes
from api.v1.statements import routes as statements_routes
from api.v1.tariffs import lot_routes as lot_tariffs_routes
from api.v1.tariffs import routes as tariffs_routes
from api.v1.tax_exports import routes as tax_exports_routes
from api.v1.ticket_books import routes as ticket_books_routes
from api.v1.toll import routes as toll_routes
from api.v1.watched_plates import routes as watched_plates_routes
from api.v1.webhook_endpoints import routes as webhook_endpoints_routes
from core.settings import Settings, read_settings
from registry import REGISTRY, Registry

log = structlog.get_logger()

API_ROUTERS: Final[tuple[APIRouter, ...]] = (
    create_bills.router,  # the busiest first: routes are tried in order
    create_bills.batches,
    setup_routes.router,
    sign_ins_routes.router,
    organisations_routes.router,
    staff_routes.router,
    api_keys_routes.router,
    devices_references.router,
    devices_phone.router,
    devices_routes.router,
    devices_routes.pins,
    bills_routes.router,
    callback_endpoints_routes.router,
    webhook_endpoints_routes.router,
    outages_routes.router,
    payees_routes.router,
    accounts_routes.router,
    accounts_go_live.router,
    credits_routes.router,
    breaks_routes.router,
    break_evidence.router,
    break_decisions.router,
    complaints_routes.router,
    refunds_routes.router,
    refund_files_routes.router,
    events_routes.router,
    jobs_routes.router,
    statements_routes.router,
    statement_lines_routes.router,
    days_routes.router,
    settlements_routes.router,
    settlement_terms_routes.router,
    tax_exports_routes.router,
    statement_mappings_routes.router,
    search_routes.router,
    parking_exits.router,
    parking_operators_routes.router,
    parking_sessions_routes.router,
    parking_sessions_reviews.router,
    parking_sessions_toll.router,
    parking_lost_tickets.router,
    toll_routes.router,
    shifts_routes.router,
    recounts_routes.router,
    compared_routes.router,
    ticket_books_routes.router,
    entry_routes.bodies,
    lots_routes.router,
    lanes_routes.router,
    tariffs_routes.router,
    lot_tariffs_routes.router,
    apds_routes.router,
    open_data.router,
    entry_routes.router,
    passes_routes.router,
    passes_phones.router,
    watched_plates_routes.router,
    photos_routes.router,
)
# What is not ours to be strict about, and the screens: after the API, so that /v1 is looked at
# first.
OTHER_ROUTERS: Final[tuple[APIRouter, ...]] = (
    callbacks_routes.router,
    health_routes.router,
    docs_routes.router,
    photos_routes.shown,
    home.router,
    login.router,
    my_password.router,
    my_pin.router,
    counter_routes.router,
    counter_create.router,
    counter_bills.router,
    counter_refunds.router,
    counter_sales.router,
    printed_code.router,
    gate_enrolment.router,
    gate_routes.router,
    gate_stays.router,
    gate_drawn_codes.router,
    gate_papers.router,
    gate_worker.router,
    pay_routes.router,
    parking_ticket.router,
    pay_complaints.router,
    pay_refunds.router,
    overview.router,
    manage_checks.router,
    manage_payees.router,
    manage_accounts.router,
    manage_endpoint_new.router,
    manage_endpoints.router,
    manage_endpoint.router,
    manage_notices.router,
    manage_outages.router,
    manage_staff.router,
    manage_toll_contracts.router,
    manage_webhooks.router,
    manage_webhook.router,
    manage_devices.router,
    manage_keys.router,
    manage_breaks.router,
    manage_break_actions.router,
    manage_complaints.router,
    manage_refund_request.router,
    manage_refunds.router,
    manage_settlement_terms.router,
    manage_settlements.router,
    manage_spread.router,
    manage_history.router,
    manage_lots.router,
    manage_lot_settings.router,
    manage_lot_control.router,
    manage_lot_poster.router,
    manage_lot_dashboard.router,
    manage_stay_exports.router,
    manage_stays.router,
    manage_stay_links.router,
    manage_reviews.router,
    manage_ticket_books.router,
    manage_tax_exports.router,
    manage_plate_requests.router,
    manage_tariffs.router,
    manage_tariff_editor.router,
    manage_pass_import.router,  # before a pass's own address
    manage_passes.router,
    manage_watched.router,
    finance_home.router,
    finance_statements.router,
    finance_statement_columns.router,
    finance_statement.router,
    finance_saved_mappings.router,
    finance_search.router,
    finance_lines.router,
)


def create_app(settings: Settings | None = None, *, registry: Registry = REGISTRY) -> FastAPI:
    """Build the application; nothing is opened before its lifespan starts.

    Serve it with `proxy_headers=False`: whose X-Forwarded-For counts is a setting of the hub
    (`PHOPAY_TRUSTED_PROXIES`), and uvicorn's own default would believe anything on this machine.
    """
    settings = settings or read_settings()
    app = FastAPI(
        title="PhoPay",
        summary="A city's own cashless payment hub: VietQR codes that confirm themselves.",
        description=openapi.DESCRIPTION,
        version=openapi.VERSION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=partial(_lifespan, registry=registry),
        docs_url=None,  # their pages call a CDN; ours are api/v1/docs/routes.py
        redoc_url=None,
        openapi_url=None,
        openapi_tags=openapi.TAGS,
        redirect_slashes=False,
        middleware=_middleware(settings),
        telemetry={"tracing": False, "metrics": False, "logs": False},  # the hub logs by itself
    )
    app.state.settings = settings
    install_error_handlers(app)
    for router in API_ROUTERS:
        app.include_router(router, dependencies=[strictly])
    for router in OTHER_ROUTERS:
        app.include_router(router)
    app.mount("/static", _static_files(), name="static")
    openapi.install(app, examples=EXAMPLES)
    return app


def _middleware(settings: Settings) -> list[Middleware]:
    """Outermost first: the caller must be known before it is logged."""
    inner = [
        Middleware(RequestFrame, is_production=settings.is_production),
        Middleware(EntriesASGI),
        Middleware(CallbacksASGI),
        # Not FastAPI's own setting, which stands outside the frame; a route's `max_body_size` wins.
        Middleware(RequestBodyLimitMiddleware, max_body_size=settings.body_bytes_max),
    ]
    if not settings.trusted_proxies:
        return inner
    trusted = list(settings.trusted_proxies)
    return [Middleware(ProxyHeadersMiddleware, trusted_hosts=trusted), *inner]


def _static_files() -> StaticHeaders:
    files = StaticFiles(directory=STATIC[0], follow_symlink=False)
    files.all_directories += STATIC[1:]
    # Names carry no hash: browsers ask again after an hour, and get 304 while nothing changed.
    return StaticHeaders(files, max_age_s=lambda path: 86_400 if "/fonts/" in path else 3_600)


@asynccontextmanager
async def _lifespan(app: FastAPI, *, registry: Registry) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    async with open_services(settings, registry) as services:
        app.state.services = services
        log.info("hub.started", public_url=settings.public_url)
        yield
    log.info("hub.stopped")
