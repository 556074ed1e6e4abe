"""OpenAPI against the code: errors, examples, and the quick way of one route."""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

import jsonschema_rs
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

import identity
import payments
from api.app import create_app
from api.http.errors import status_of
from api.v1.bills import create as create_bills
from api.v1.bills.schemas import BillRead
from api.v1.examples import EXAMPLES
from core.errors import HubError
from core.ids import new_id
from core.settings import Settings
from tests.world.hubs import Hub, running_hub
from tests.world.markets import Market, set_up_market

ERRORS: dict[str, type[HubError]] = {
    name: value
    for package in (identity, payments)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if module.name.endswith(".errors")
    for name, value in vars(importlib.import_module(module.name)).items()
    if isinstance(value, type) and issubclass(value, HubError) and value is not HubError
}
# (route, error that a called function may raise) → why it cannot come out of this route.
CANNOT_COME: dict[tuple[str, str], str] = {
    ("create_endpoint", "UnknownProvider"): "the body's enum knows the providers",
    ("create_endpoint", "CallbackEndpointNotFound"): "an earlier request made it",
    ("add_payee", "PayeeNotFound"): "an earlier request made it",
    ("confirm_credit", "PayeeNotFound"): "the payee is the bill's own",
    ("propose_account", "AccountLinkNotFound"): "the link was made a moment ago",
    ("open_bill", "ScopeNeeded"): "the body names the payee",
    ("open_bills", "ScopeNeeded"): "each item names its payee",
    ("remove_account", "BadAccount"): "it lists no account",
    **{
        ("set_up", name): "the first of all, an administrator, whom the hub itself makes"
        for name in (
            "LoginTaken",
            "PayeeRequired",
            "RoleNotGrantable",
            "DutiesNotSeparated",
            "ScopeNotFound",
        )
    },
}


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


def list_operations(app: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in app.openapi()["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def errors_of(function: Callable[..., Any], *, seen: set[object] | None = None) -> set[str]:
    """Collect the errors that a function's own text and the docstrings of what it calls name."""
    seen = set() if seen is None else seen
    if function in seen:
        return set()
    seen.add(function)
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    # What a route asks for by a parameter, such as a service, is known by its type.
    names = {**inspect.unwrap(function).__globals__, **get_type_hints(function)}
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Raise) and node.exc is not None:
            found |= {n.id for n in ast.walk(node.exc) if isinstance(n, ast.Name)} & ERRORS.keys()
        if isinstance(node, ast.Call):
            called = _resolve(node.func, names)
            if inspect.isfunction(called) and called.__module__.startswith("api.v1"):
                found |= errors_of(called, seen=seen)
            elif inspect.isfunction(called) and called.__module__.startswith(
                ("city", "parking", "payments", "identity", "api")
            ):
                found |= raised_by_docstring(called)
    return found


def raised_by_docstring(function: Callable[..., Any]) -> set[str]:
    """Read the names under `Raises:`."""
    _, _, raises = (inspect.getdoc(function) or "").partition("Raises:")
    heads = [line for line in raises.split("\n") if re.match(r"    \w", line)]
    words = {word for line in heads for word in re.findall(r"\w+", line.partition(":")[0])}
    return words & ERRORS.keys()


def _resolve(node: ast.expr, names: dict[str, Any]) -> Any:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return getattr(names.get(node.value.id), node.attr, None)
    return None


def test_every_error_that_a_route_may_raise_is_declared(app: FastAPI) -> None:
    missing = []
    checked = 0
    for route in iter_route_contexts(app.routes):
        endpoint = getattr(route, "endpoint", None)
        if endpoint is None or not getattr(route, "include_in_schema", False):
            continue
        if not endpoint.__module__.startswith("api.v1"):
            continue
        (method,) = {m.lower() for m in route.methods or ()} - {"head"}
        answers = app.openapi()["paths"][route.path][method]["responses"]
        for name in errors_of(endpoint):
            checked += 1
            error = ERRORS[name]
            problem = answers.get(str(status_of(error)), {}).get("content", {})
            declared = problem.get("application/problem+json", {}).get("examples", {})
            if error.code not in declared and (endpoint.__name__, name) not in CANNOT_COME:
                missing.append(f"{method.upper()} {route.path}: {name}")
    assert not missing
    assert checked > 60  # the reading of the code works


def test_every_operation_says_what_it_does_and_for_whom(app: FastAPI) -> None:
    tags = {tag["name"] for tag in app.openapi()["tags"]}
    for path, method, operation in list_operations(app):
        assert operation.get("description") or operation.get("summary"), path
        assert set(operation["tags"]) <= tags, path
        assert any(status.startswith("2") for status in operation["responses"]), (path, method)


def test_operation_names_are_unique(app: FastAPI) -> None:
    names = [operation["operationId"] for _, _, operation in list_operations(app)]

    assert len(set(names)) == len(names)


def test_examples_are_valid_by_their_own_schemas(app: FastAPI) -> None:
    described = app.openapi()
    for name, example in EXAMPLES.items():
        assert described["components"]["schemas"][name]["examples"] == [example]
        schema = {
            "$ref": f"#/components/schemas/{name}",
            "components": described["components"],
        }
        jsonschema_rs.validator_for(schema, validate_formats=True).validate(example)


@pytest.mark.slow
@pytest.mark.anyio
async def test_the_quick_route_answers_as_the_declared_one_would(settings: Settings) -> None:
    app = create_app(settings)
    plain = APIRoute(
        "/v1/plain",
        create_bills.open_bill,
        methods=["POST"],
        status_code=201,
        response_model=BillRead,
    )
    app.router.routes.insert(0, plain)
    async with running_hub(settings, app) as hub:
        market = await set_up_market(hub)
        await _compare(hub, market)


async def _compare(hub: Hub, market: Market) -> None:
    reader = await hub.machine(market.admin, "bills.read", **market.org)
    market.till.event_hooks["response"].clear()  # /v1/plain is in no description
    good, key = market.bill_body(), "k" * 255
    cases: list[dict[str, Any]] = [
        {"json": good},
        {"json": good, "headers": {"Idempotency-Key": key}},
        {"json": good, "headers": {"Idempotency-Key": "x" * 256}},
        {"json": good, "headers": {"Idempotency-Key": ""}},
        {"json": good, "params": {"org": "HKXM"}},
        {"json": good, "params": {"org": "HANX"}},
        {"json": good, "params": {"org": "TOOLONG"}},
        {"json": good | {"amount_vnd": 1.0, "purpose": "\n"}},
        {"json": good | {"amount_vnd": True}},
        {"json": good | {"payee_id": str(new_id())}},
        {"json": good | {"id": str(new_id())}},
        {"json": [good]},
        {"json": None},
        {"content": b""},
        {"content": b"{"},
        {"content": b'{"amount_vnd": NaN}', "headers": {"Content-Type": "application/json"}},
        {"content": b"\xff\xfe", "headers": {"Content-Type": "application/json"}},
        {"json": good, "headers": {"Content-Type": "text/plain"}},
        {"json": good, "headers": {"Content-Type": "application/vnd.api+json; charset=utf-8"}},
        {"json": good | {"purpose": "x" * 70_000}},
    ]
    for client in (market.till, reader, hub.client, hub.new_client(Authorization="Bearer x")):
        for case in cases:
            if "content" in case and client is not market.till:
                continue  # broken JSON: the quick way says 401 and 403 first, as it should
            quick = await client.post("/v1/bills", **case)
            declared = await client.post("/v1/plain", **case)
            assert quick.status_code == declared.status_code, (case, quick.text, declared.text)
            if quick.status_code != 201:
                assert quick.json()["code"] == declared.json()["code"], case
                fields = [
                    sorted({v["field"] for v in answer.json()["violations"]})
                    for answer in (quick, declared)
                ]
                assert fields[0] == fields[1] or "content" in case, (case, fields)
