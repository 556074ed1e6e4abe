"""Every route says who may call it, and OpenAPI says everything a route may answer."""

import inspect
from collections.abc import Iterator
from typing import Final

import pytest
from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from api.app import create_app
from api.http.middleware import StaticHeaders
from api.http.openapi import declaration_of
from core.settings import Settings
from identity.people.rules import Permission


@pytest.fixture(scope="module")
def app() -> FastAPI:
    """The application, never started."""
    return create_app(
        Settings(
            database_url="postgresql://x",
            app_database_url="postgresql://x",
            worker_database_url="postgresql://x",
            gate_database_url="postgresql://x",
            secret_key="k" * 43,
        )
    )


def all_routes(app: FastAPI) -> Iterator[RouteContext]:
    yield from iter_route_contexts(app.routes)


def test_every_route_declares_a_permission_or_that_it_is_public(app: FastAPI) -> None:
    declared = {}
    for route in all_routes(app):
        if isinstance(route.original_route, Mount):
            # Files that anyone may have; anything else that is mounted must be looked at.
            mounted = route.original_route.app
            assert isinstance(mounted, StaticHeaders), route.path
            assert isinstance(mounted.app, StaticFiles)
            continue
        says = declaration_of(route)
        assert says in {*Permission, "public", "signed_in"}, (
            f"{sorted(route.methods or ())} {route.path} declares no permission: add"
            " requires(Permission.…), signed_in or public of api/http/deps.py"
        )
        declared[route.path] = says
    assert len(declared) >= 12
    assert declared["/v1/staff"] in (Permission.STAFF_READ, Permission.STAFF_MANAGE)
    assert declared["/v1/sign-ins"] in ("public", "signed_in")


def test_a_route_without_a_declaration_is_found() -> None:
    forgetful = FastAPI()

    @forgetful.get("/forgotten")
    async def forgotten() -> None: ...

    route = next(r for r in iter_route_contexts(forgetful.routes) if r.path == "/forgotten")
    assert declaration_of(route) is None


def test_no_route_or_dependency_waits_for_a_thread(app: FastAPI) -> None:
    for route in all_routes(app):
        dependant = getattr(route, "dependant", None)
        for call in calls_of(dependant) if dependant else ():
            is_async = (
                inspect.iscoroutinefunction(call)
                or inspect.isasyncgenfunction(call)
                or inspect.iscoroutinefunction(type(call).__call__)
            )
            assert is_async, f"{route.path}: make {call} async, a thread costs 0.1 ms"


def calls_of(dependant: Dependant) -> Iterator[object]:
    yield dependant.call
    for inner in dependant.dependencies:
        yield from calls_of(inner)


def test_openapi_declares_every_error_as_a_problem(app: FastAPI) -> None:
    described = app.openapi()
    codes_seen = set()
    for path, item in described["paths"].items():
        for method, operation in item.items():
            where = f"{method} {path}"
            assert operation.get("summary"), where
            assert operation.get("description"), f"{where} has no docstring"
            responses = operation["responses"]
            assert any(status.startswith(("2", "3")) for status in responses), where
            if not path.startswith("/v1/callbacks/"):  # answered in each provider's own form
                assert {"422", "429", "500", "503"} <= set(responses), where
            for status, answer in responses.items():
                if status >= "400" and status != "default":
                    content = answer.get("content", {})
                    if "application/problem+json" not in content:
                        assert path.startswith("/v1/callbacks/"), f"{where} {status}"
                        continue
                    problem = content["application/problem+json"]
                    assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}, where
                    codes_seen |= set(problem["examples"])
    assert {"login_taken", "api_key_closed", "busy", "forbidden"} <= codes_seen
    assert "HTTPValidationError" not in described["components"]["schemas"]


def test_openapi_says_how_to_sign_in_and_what_is_needed(app: FastAPI) -> None:
    described = app.openapi()
    assert set(described["components"]["securitySchemes"]) == {"ApiKey", "SignIn"}
    staff = described["paths"]["/v1/staff"]["post"]
    assert staff["x-permission"] == "staff.manage"
    assert {next(iter(way)) for way in staff["security"]} == {"ApiKey", "SignIn"}
    assert described["paths"]["/v1/setup"]["post"]["security"] == []


# What a POST without Idempotency-Key or form id does when it comes twice.
ON_ITS_OWN: Final = {
    "state": "sets a state: the second finds it set, or is told so",
    "unique": "makes what is unique by its name: the second is refused",
    "known": "has an id of the client's own, or one that follows from what it names",
    "session": "a sign-in or a password: a new one each time on purpose, and the last one holds",
    "asks": "asks a bank; what is reported twice counts once",
    "provider": "a provider's notice: its own id decides",
    "token": "a token that is used up",
    "nothing": "makes nothing that is kept",
}
REPEATS: Final = {
    "/v1/lots/{lot_id}/entries": "known",
    "/v1/lots/{lot_id}/movements": "known",
    "/v1/tariffs/quotes": "nothing",
    "/manage/plate-requests": "state",
    "/manage/lots/{lot_id}/edit": "state",
    "/manage/lots/{lot_id}/capacities": "state",
    "/manage/lots/{lot_id}/lanes/{lane_id}/close": "state",
    "/manage/lots/{lot_id}/close": "state",
    "/manage/tariffs/{tariff_id}/versions/{version_id}/withdraw": "state",
    "/manage/tariffs/{tariff_id}/lots/{assignment_id}/withdraw": "state",
    "/v1/tariffs/{tariff_id}/versions/{version_id}/withdraw": "state",
    "/v1/lots/{lot_id}/sessions/{session_id}/plate": "state",
    "/v1/lots/{lot_id}/sessions/{session_id}/photos": "known",
    "/v1/lots/{lot_id}/manual-opens/{movement_id}/photos": "state",
    "/v1/setup": "token",
    "/setup": "token",
    "/v1/sign-ins": "session",
    "/login": "session",
    "/logout": "state",
    "/v1/me/password": "state",
    "/me/password": "state",
    "/v1/me/pin": "state",
    "/v1/staff/{staff_id}/pin": "state",
    "/v1/devices/enrol": "token",
    "/v1/devices/{device_id}/challenge": "session",
    "/v1/devices/{device_id}/token": "token",
    "/v1/devices/{device_id}/revoke": "state",
    "/v1/devices/me/person": "state",
    "/v1/devices/me/reference-blocks": "known",
    "/v1/statements": "known",
    "/v1/accounts/{link_id}/opening-balance/{opening_id}/confirm": "state",
    "/v1/accounts/{link_id}/opening-balance/{opening_id}/end": "state",
    "/v1/days/{day}/accounts/{receiving_account_id}/close-over": "state",
    "/v1/tax-exports": "known",
    "/manage/tax-exports/columns": "state",
    "/v1/statements/{statement_id}/accept": "state",
    "/v1/statements/{statement_id}/discard": "state",
    "/v1/statement-lines/{line_id}/link": "state",
    "/v1/statement-lines/{line_id}/explain": "state",
    "/v1/statement-lines/{line_id}/unlink": "state",
    "/v1/statements/{statement_id}/read-again": "known",
    "/finance/statements": "known",
    "/finance/statements/{statement_id}/columns": "known",
    "/finance/statements/{statement_id}/accept": "state",
    "/finance/statements/{statement_id}/discard": "state",
    "/finance/statements/{statement_id}/read": "known",
    "/finance/mappings/{mapping_id}/remove": "state",
    "/manage/devices/{device_id}/revoke": "state",
    "/manage/devices/pins/{staff_id}": "state",
    "/me/pin": "state",
    "/v1/organisations": "unique",
    "/manage/organisations": "unique",
    "/v1/staff": "unique",
    "/v1/staff/{staff_id}/password": "state",
    "/manage/staff/{staff_id}": "state",
    "/manage/staff/{staff_id}/disable": "state",
    "/manage/staff/{staff_id}/enable": "state",
    "/manage/staff/{staff_id}/password": "session",
    "/manage/payees/{payee_id}/close": "state",
    "/manage/accounts": "known",
    "/v1/accounts/{link_id}/approve": "state",
    "/v1/accounts/{link_id}/refuse": "state",
    "/v1/accounts/{link_id}/end": "state",
    "/v1/accounts/{link_id}/holder": "state",
    "/v1/accounts/{link_id}/seen": "state",
    "/manage/accounts/{link_id}/approve": "state",
    "/manage/accounts/{link_id}/refuse": "state",
    "/manage/accounts/{link_id}/end": "state",
    "/manage/endpoints/{endpoint_id}/accounts": "state",
    "/manage/endpoints/{endpoint_id}/pull-credentials": "state",
    "/manage/endpoints/{endpoint_id}/revoke": "state",
    "/manage/keys/{key_id}/revoke": "state",
    "/v1/webhook-endpoints/{endpoint_id}/deliveries/{event_id}/replay": "state",
    "/manage/webhooks/{endpoint_id}/change": "state",
    "/manage/webhooks/{endpoint_id}/delete": "state",
    "/manage/webhooks/{endpoint_id}/deliveries/{event_id}/replay": "state",
    "/v1/bills/{bill_id}/cancel": "state",
    "/v1/bills/{bill_id}/cash-payments": "known",
    "/v1/bills/{bill_id}/check": "asks",
    "/v1/credits/{credit_id}/assign": "state",
    "/v1/credits/{credit_id}/confirm": "state",
    "/v1/credits/{credit_id}/not-takings": "state",
    "/v1/credits/{credit_id}/takings": "state",
    "/v1/passes/{pass_id}/bill": "state",
    "/v1/passes/{pass_id}/revoke": "state",
    "/v1/watched-plates/{watched_id}/approve": "state",
    "/v1/watched-plates/{watched_id}/remove": "state",
    "/v1/settlements/runs": "known",
    "/v1/settlements/approve": "state",
    "/v1/settlements/{settlement_id}/review": "state",
    "/v1/settlements/{settlement_id}/approve": "state",
    "/v1/settlements/{settlement_id}/send": "state",
    "/v1/settlements/{settlement_id}/discard": "state",
    "/v1/refunds": "known",
    "/v1/refund-files": "known",
    "/v1/refunds/{refund_id}/destination": "state",
    "/p/{link}/refund": "state",
    "/v1/refunds/{refund_id}/approve": "state",
    "/v1/refunds/{refund_id}/reject": "state",
    "/v1/refunds/{refund_id}/cancel": "state",
    "/v1/refunds/{refund_id}/instruct": "state",
    "/v1/refunds/{refund_id}/returned": "state",
    "/v1/refunds/{refund_id}/not-done": "state",
    "/v1/refunds/{refund_id}/unknown": "state",
    "/v1/refunds/{refund_id}/review": "state",
    "/v1/breaks": "known",
    "/v1/breaks/bulk": "state",
    "/v1/breaks/{break_id}/close": "state",
    "/v1/breaks/{break_id}/owner": "state",
    "/v1/breaks/{break_id}/notes": "known",
    "/v1/breaks/{break_id}/files": "known",
    "/v1/breaks/{break_id}/decisions": "known",
    "/v1/break-decisions/{decision_id}/approve": "state",
    "/v1/break-decisions/{decision_id}/refuse": "state",
    "/v1/break-decisions/{decision_id}/withdraw": "state",
    "/v1/break-decisions/{decision_id}/undo": "known",
    "/v1/break-decisions/{decision_id}/review": "state",
    "/v1/parking-sessions/{session_id}/quotes": "nothing",
    "/v1/parking-sessions/{session_id}/bills": "known",
    "/v1/parking-sessions/{session_id}/collections": "known",
    "/v1/parking-sessions/{session_id}/collections/{collection_id}/reverse": "state",
    "/v1/parking-sessions/{session_id}/exit": "state",
    "/v1/parking-sessions/{session_id}/lost-ticket": "state",
    "/v1/parking-sessions/{session_id}/exit/undo": "state",
    "/v1/parking-sessions/{session_id}/toll-charges": "known",
    "/v1/lots/{lot_id}/accesses/{access_id}/open": "known",
    "/v1/lots/{lot_id}/accesses/{access_id}/commands/{command_id}/result": "state",
    "/v1/toll-contracts/{contract_id}/secret": "state",
    "/v1/toll-contracts/{contract_id}/revoke": "state",
    "/v1/toll-charges/{charge_id}/refund": "state",
    "/v1/lots/{lot_id}/exits": "state",
    "/v1/lots/{lot_id}/poster": "state",
    "/v1/ticket-books": "known",
    "/v1/ticket-books/{book_id}/return": "state",
    "/v1/lots/{lot_id}/recounts": "known",
    "/manage/lots/{lot_id}/recounts": "known",
    "/v1/passes/{pass_id}/cash": "known",
    "/v1/passes/{pass_id}/cash/{collection_id}/reverse": "state",
    "/manage/passes/{pass_id}/cash": "known",
    "/v1/ticket-books/{book_id}/lost": "state",
    "/v1/parking-sessions/{session_id}/review": "state",
    "/v1/parking-sessions/{session_id}/join": "state",
    "/v1/parking-sessions/{session_id}/part": "known",
    "/v1/parking-sessions/{session_id}/entry/undo": "state",
    "/v1/shifts": "known",
    "/v1/shifts/{shift_id}/close": "state",
    "/v1/shifts/{shift_id}/deposits": "known",
    "/v1/breaks/{break_id}/admit": "state",
    "/v1/breaks/{break_id}/same-money": "state",
    "/v1/breaks/{break_id}/assign": "state",
    "/manage/passes/{pass_id}/bill": "state",
    "/manage/passes/{pass_id}/plates": "state",
    "/manage/passes/{pass_id}/revoke": "state",
    "/manage/watched-plates/{watched_id}/approve": "state",
    "/manage/watched-plates/{watched_id}/remove": "state",
    "/manage/lots/{lot_id}/poster": "state",
    "/manage/lots/{lot_id}/poster/remove": "state",
    "/manage/ticket-books/{book_id}/return": "state",
    "/manage/ticket-books/{book_id}/lost": "state",
    "/manage/toll-contracts/{contract_id}/secret": "state",
    "/manage/toll-contracts/{contract_id}/test": "asks",
    "/manage/toll-contracts/{contract_id}/revoke": "state",
    "/manage/reviews/{session_id:uuid}": "state",
    "/manage/stays/{session_id:uuid}/join": "state",
    "/manage/refunds/{refund_id}/approve": "state",
    "/manage/refunds/{refund_id}/reject": "state",
    "/manage/refunds/{refund_id}/cancel": "state",
    "/manage/refunds/{refund_id}/instruct": "state",
    "/manage/refunds/{refund_id}/returned": "state",
    "/manage/refunds/{refund_id}/not-done": "state",
    "/manage/refunds/{refund_id}/unknown": "state",
    "/manage/refunds/{refund_id}/review": "state",
    "/manage/refunds/{refund_id}/destination": "state",
    "/manage/settlements/terms/{payee_id}": "state",
    "/manage/settlements/runs": "known",
    "/manage/settlements/approve": "state",
    "/manage/settlements/{settlement_id}/review": "state",
    "/manage/settlements/{settlement_id}/approve": "state",
    "/manage/settlements/{settlement_id}/send": "state",
    "/manage/settlements/{settlement_id}/discard": "state",
    "/manage/refunds": "known",
    "/manage/refunds/files": "known",
    "/manage/breaks/bulk": "state",
    "/manage/breaks/{break_id}/close": "state",
    "/manage/breaks/{break_id}/owner": "state",
    "/manage/breaks/{break_id}/notes": "known",
    "/manage/breaks/{break_id}/files": "known",
    "/manage/breaks/{break_id}/decisions": "known",
    "/manage/breaks/{break_id}/decisions/{decision_id}/approve": "state",
    "/manage/breaks/{break_id}/decisions/{decision_id}/refuse": "state",
    "/manage/breaks/{break_id}/decisions/{decision_id}/withdraw": "state",
    "/manage/breaks/{break_id}/decisions/{decision_id}/undo": "known",
    "/manage/breaks/{break_id}/decisions/{decision_id}/review": "state",
    "/manage/breaks/{break_id}/admit": "state",
    "/manage/breaks/{break_id}/same-money": "state",
    "/manage/breaks/{break_id}/assign": "state",
    "/manage/breaks/{break_id}/spread": "state",
    "/manage/accounts/{link_id}/rail": "state",
    "/v1/lots/{lot_id}/photos": "known",
    "/v1/callbacks/{provider}/{address}": "provider",
    "/v1/callbacks/{provider}/{address}/{subpath:path}": "provider",
    "/counter/accounts/{link_id}/seen": "state",
    "/counter/bills": "known",
    "/counter/bills/{bill_id}/renew": "known",
    "/counter/bills/{bill_id}/again": "state",
    "/counter/bills/{bill_id}/direct": "known",
    "/counter/bills/{bill_id}/cancel": "state",
    "/counter/bills/{bill_id}/cash": "known",
    "/counter/bills/{bill_id}/cash-back": "state",
    "/counter/bills/{bill_id}/refunds": "known",
    "/counter/bills/{bill_id}/refunds/{refund_id}/returned": "state",
    "/counter/bills/{bill_id}/refunds/{refund_id}/cancel": "state",
    "/counter/bills/{bill_id}/check": "asks",
    "/counter/sales/check": "asks",
    "/v1/complaints/{complaint_id}/resolve": "state",
    "/manage/complaints/{complaint_id}/resolve": "state",
    "/t/{link}/bills": "state",
    "/t/{link}/complaint": "known",
    "/p/{link}/complaint": "known",
    "/counter/sales/{credit_id}/assign": "state",
    "/counter/sales/{credit_id}/confirm": "state",
    "/counter/sales/{credit_id}/not-takings": "state",
    "/counter/sales/{credit_id}/takings": "state",
}


def test_every_post_says_what_it_does_when_it_comes_twice(app: FastAPI) -> None:
    """It takes an Idempotency-Key, or a form's id, or stands in the list above with a reason."""
    silent, listed = [], set()
    for route in all_routes(app):
        dependant = getattr(route, "dependant", None)
        if dependant is None or "POST" not in (route.methods or ()):
            continue
        listed.add(route.path)
        names = set(parameters_of(dependant))
        is_keyed = not names.isdisjoint({"idempotency-key", "Idempotency-Key", "form_id"})
        if is_keyed == (route.path in REPEATS):
            silent.append(f"{route.path} {'is listed and takes a key' if is_keyed else ''}")
    assert silent == []
    assert set(REPEATS) <= listed
    assert set(REPEATS.values()) == set(ON_ITS_OWN)


def parameters_of(dependant: Dependant) -> Iterator[str]:
    for one in (*dependant.header_params, *dependant.body_params):
        yield one.alias
    for inner in dependant.dependencies:
        yield from parameters_of(inner)
