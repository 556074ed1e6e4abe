"""Jobs as people and machines see them: while they run, when they failed, and only their own."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest

from core.db import Database
from core.errors import InvalidRequest
from core.jobs import attempts
from core.jobs.attempts import JobAttempt
from tests.api.http.contract import keep_contract
from tests.core.jobs.steps import ended, queued, running
from tests.world.cities import add_market, employ, set_up_city
from tests.world.hubs import Hub

pytestmark = pytest.mark.anyio


@pytest.fixture
async def admin(hub: Hub) -> httpx.AsyncClient:
    """The city's administrator."""
    browser = await set_up_city(hub)
    keep_contract(hub.app, browser)
    return browser


async def test_progress_is_read_over_the_api_while_the_job_runs(
    hub: Hub,
    admin: httpx.AsyncClient,
    worker_database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attempts, "PROGRESS_EVERY_S", 0.0)
    org_id = await add_market(admin)
    database = hub.services.database
    reported, go_on = asyncio.Event(), asyncio.Event()

    async def write(attempt: JobAttempt) -> None:
        await attempt.report_progress(300, 1_200, "rows read")
        reported.set()
        await go_on.wait()

    job_id = await queued(database, "rows.read", {"file": "7"}, org_id=org_id)
    waiting = (await admin.get(f"/v1/jobs/{job_id}", params={"org": "DXA2"})).json()
    assert (waiting["status"], waiting["progress"], waiting["attempts"]) == ("queued", None, 0)
    assert datetime.fromisoformat(waiting["next_attempt_at"]) <= datetime.now(UTC)
    assert "arguments" not in waiting

    async with running(worker_database, {"rows.read": write}):
        await reported.wait()
        now = (await admin.get(f"/v1/jobs/{job_id}", params={"org": "DXA2"})).json()
        assert now["status"] == "running"
        assert {**now["progress"], "at": None} == {
            "done": 300, "total": 1_200, "note": "rows read", "at": None
        }  # fmt: skip
        assert (now["next_attempt_at"], now["finished_at"]) == (None, None)
        go_on.set()
        await ended(database, job_id, org_id=org_id)

    done = (await admin.get(f"/v1/jobs/{job_id}", params={"org": "DXA2"})).json()
    assert (done["status"], done["attempts"]) == ("done", 1)
    assert done["finished_at"] is not None


async def test_what_failed_is_listed_with_its_reason(
    hub: Hub, admin: httpx.AsyncClient, worker_database: Database
) -> None:
    org_id = await add_market(admin)
    database = hub.services.database

    async def refuse(_attempt: JobAttempt) -> None:
        raise InvalidRequest("Row 3 has no amount.")

    bad = await queued(database, "rows.read", org_id=org_id)
    later = await queued(database, "rows.write", org_id=org_id)
    async with running(worker_database, {"rows.read": refuse}):
        await ended(database, bad, org_id=org_id)

    org = {"org": "DXA2"}
    failed = (await admin.get("/v1/jobs", params={**org, "status": "failed"})).json()["jobs"]
    assert [(one["id"], one["error_code"], one["error_detail"]) for one in failed] == [
        (str(bad), "invalid_request", "Row 3 has no amount.")
    ]
    page = (await admin.get("/v1/jobs", params={**org, "limit": 1})).json()
    assert [one["id"] for one in page["jobs"]] == [str(later)]
    rest = await admin.get("/v1/jobs", params={**org, "cursor": page["next_cursor"]})
    assert [one["id"] for one in rest.json()["jobs"]] == [str(bad)]
    kind = await admin.get("/v1/jobs", params={**org, "kind": "rows.write"})
    assert [one["id"] for one in kind.json()["jobs"]] == [str(later)]


async def test_jobs_are_seen_by_their_organisations_books_and_by_nobody_else(
    hub: Hub, admin: httpx.AsyncClient
) -> None:
    org_id = await add_market(admin)
    await add_market(admin, code="HKXM")
    job_id = await queued(hub.services.database, org_id=org_id)
    for login, code, *roles in [
        ("finance.dx", "DXA2", "finance"),
        ("attendant.dx", "DXA2", "attendant"),
        ("finance.hk", "HKXM", "finance"),
    ]:
        assert (await employ(admin, login, *roles, org=code)).status_code == 201
    own = await hub.browser("finance.dx")
    attendant = await hub.browser("attendant.dx")
    stranger = await hub.browser("finance.hk")
    for browser in (own, attendant, stranger):
        keep_contract(hub.app, browser)
    machine = await hub.machine(admin, "jobs.read", org="DXA2")

    assert (await own.get(f"/v1/jobs/{job_id}")).status_code == 200
    assert (await machine.get(f"/v1/jobs/{job_id}")).status_code == 200
    assert (await attendant.get(f"/v1/jobs/{job_id}")).json()["code"] == "forbidden"
    assert (await stranger.get(f"/v1/jobs/{job_id}")).json()["code"] == "job_not_found"
    assert (await stranger.get("/v1/jobs")).json() == {"jobs": [], "next_cursor": None}
    assert (await own.get(f"/v1/jobs/{uuid4()}")).status_code == 404
