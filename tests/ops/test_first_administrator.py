"""The first start of an installation: who may become its administrator, and how they learn it."""

import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psycopg
import pytest

from ops.first_administrator import word_invitation
from tests.world.databases import FreshDatabase

ROOT = Path(__file__).parents[2]
TOKEN = re.compile(r"one-time token: (\S+)$")
PERSON = {
    "organisation_code": "HNTP",
    "organisation_name": "Thành phố",
    "login": "quantri",
    "display_name": "Quản trị",
    "password": "bún chả Hàng Mành",
}
START_S = 40.0


def read_token(lines: list[str]) -> str:
    found = TOKEN.search(lines[-1])
    assert found, lines
    return found[1]


@pytest.mark.slow
def test_the_first_start_prints_a_token_that_makes_the_administrator_once(
    fresh_database: FreshDatabase, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    said = tmp_path / "said"
    command = [sys.executable, "-m", "ops.cli", "serve", "--port", str(port), "--no-browser"]
    given = {**fresh_database.environment, "PHOPAY_PUBLIC_URL": "https://thu.example.vn"}
    del given["PHOPAY_PASSWORD_MEMORY_KIB"]  # cheap hashes are refused where there is a public name
    with said.open("wb") as log:
        hub = subprocess.Popen(
            [*command, "--data", str(tmp_path)], cwd=ROOT, env=given, stderr=log, stdout=log
        )
    try:
        deadline = time.monotonic() + START_S
        while "one-time token" not in said.read_text():
            assert hub.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.1)
        assert "https://thu.example.vn/setup\n" in said.read_text()
        token = TOKEN.findall(said.read_text().rstrip())[0]
        with httpx.Client(base_url=url, trust_env=False) as client:
            made = client.post("/v1/setup", json={"token": token, "is_live": False, **PERSON})
            assert made.status_code == 201, made.text
            again = client.post("/v1/setup", json={"token": token, "is_live": False, **PERSON})
            assert again.status_code == 403, again.text
    finally:
        hub.terminate()
        hub.wait(20)

    assert word_invitation(fresh_database.environment) == []


def test_a_later_start_ends_the_token_of_the_one_before(fresh_database: FreshDatabase) -> None:
    first = read_token(word_invitation(fresh_database.environment))

    assert read_token(word_invitation(fresh_database.environment)) != first
    with psycopg.connect(fresh_database.owner_url) as owner:
        query = "SELECT count(*) FROM setup_tokens WHERE used_at IS NULL"
        assert owner.execute(query).fetchone() == (1,)


@pytest.mark.parametrize("missing", ["nobody-listens", "no-tables"])
def test_a_database_that_is_not_ready_does_not_stop_the_hub(
    fresh_database: FreshDatabase, missing: str
) -> None:
    environment = dict(fresh_database.environment)
    name = "PHOPAY_APP_DATABASE_URL"
    if missing == "no-tables":
        with psycopg.connect(fresh_database.owner_url, autocommit=True) as owner:
            owner.execute("DROP TABLE setup_tokens")
    else:
        environment[name] = re.sub(r"@.*$", "@127.0.0.1:9/phopay", environment[name])

    (line,) = word_invitation(environment)

    assert "/health/ready" in line
