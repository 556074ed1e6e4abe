"""A hub and a sandbox as real processes over a test database, with stalls that can be paid."""

import asyncio
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from itertools import count, product
from threading import Thread
from typing import Any, Self, TypeVar
from uuid import UUID

import httpx
import psycopg

from core.audit import SYSTEM, Actor
from core.clock import read_clock
from core.db import Database, open_database, open_engine
from core.ids import new_id
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from identity.organisations.rules import OrgFacts
from identity.people import service
from identity.people.passwords import Passwords
from identity.people.rules import Role, Scope, ScopeKind
from ops.postgres.supervisor import Cluster
from payments.connections.models import CallbackEndpoint
from payments.connections.service import EndpointRequest, create_endpoint
from payments.payees.accounts import confirm_seen
from payments.payees.service import add_payee
from registry import REGISTRY
from tests.world.constants import MB, PASSWORD
from tests.world.databases import PASSWORD_MEMORY_KIB, FreshDatabase, create_database
from tests.world.organisations import an_organisation
from tests.world.payees import an_account
from tests.world.sandboxes import a_sandbox_process
from tests.world.servers import wait_until_served
from tests.world.stalls import PayableStall

SILENT_ORIGIN = "http://127.0.0.1:9"  # of a sandbox that is down: nobody answers there
READY_WITHIN_S = 120.0  # a machine that has other work starts them slowly
LETTERS = "CDEFGHJKMNPQRSTVWXYZ"  # of the codes of its organisations
HOLDER = "HO KINH DOANH B12"
# Longer than any account is there: a login made after a change cannot confirm that it was seen.
HIRED_BEFORE = timedelta(days=60)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class StaffedStall(PayableStall):
    """A stall of the running city, and who works there."""

    owner: str  # logins, with PASSWORD
    cashier: str


class Apart:
    """Asynchronous work on a database in a thread: Playwright keeps this thread's loop running."""

    def __init__(self, fresh_database: FreshDatabase) -> None:
        self._engine = open_engine(fresh_database.app_url, fresh_database.settings)
        self._database = open_database(self._engine)
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever)

    def do(self, work: Callable[[Database], Awaitable[T]]) -> T:
        """Run work, and wait for what it returns."""

        async def run() -> T:
            return await work(self._database)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        asyncio.run_coroutine_threadsafe(self._engine.dispose(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass(kw_only=True)
class RunningCity:
    """The running processes, and what tests do to them."""

    fresh_database: FreshDatabase
    url: str
    sandbox: httpx.Client
    listener: socket.socket
    apart: Apart
    owner: psycopg.Connection  # past row-level security
    org: OrgFacts
    hub: subprocess.Popen[bytes] | None = None
    _names: Iterator[int] = field(default_factory=lambda: count(1))
    _codes: Iterator[str] = field(default_factory=lambda: map("".join, product(LETTERS, LETTERS)))
    _logins: dict[str, str] = field(default_factory=dict)
    _signed_in: dict[str, httpx.Client] = field(default_factory=dict)

    @property
    def sandbox_url(self) -> str:
        """The address of the bank's pages."""
        return str(self.sandbox.base_url).rstrip("/")

    def open_stall(
        self, *, sharing: StaffedStall | None = None, is_seen: bool = True
    ) -> StaffedStall:
        """Open a stall with an account of its own, or on another stall's; two people work there.

        Args:
            is_seen: whether its owner has confirmed the account already.
        """
        number = next(self._names)
        account_number = sharing.account_number if sharing else f"0988{number:06d}"
        login = f"stall{number}"
        payee_id, account_id = self.do(
            lambda database: self._seed(database, login, account_number, is_seen)
        )
        if sharing is None:
            endpoint_id = self._set_up_sandbox(account_id, account_number)
        else:
            endpoint_id = sharing.endpoint_id
        return StaffedStall(
            org=self.org,
            endpoint_id=endpoint_id,
            payee_id=payee_id,
            account_id=account_id,
            account_number=account_number,
            owner=f"{login}.owner",
            cashier=f"{login}.cashier",
        )

    def begin_anew(self) -> None:
        """Go on with an organisation that has nothing and nobody yet."""
        self.org = self.do(partial(_found_org, code=f"DX{next(self._codes)}"))
        self._logins.clear()

    def employ(self, name: str, *roles: Role, payee_id: UUID | None = None) -> None:
        """Let somebody of this name sign in with PASSWORD."""
        self._logins[name] = login = f"{name}.{self.org.code.lower()}"

        async def add(database: Database) -> None:
            async with open_org_transaction(database, self.org.id) as session:
                await self._add_staff(session, login, roles, payee_id, display_name=name.title())

        self.do(add)

    def login_of(self, name: str) -> str:
        """Return the login of somebody employed by name; others are given by their logins."""
        return self._logins.get(name, name)

    def client_of(self, name: str) -> httpx.Client:
        """Return a client that somebody has signed in with; it is kept, for logins are limited."""
        login = self.login_of(name)
        if login not in self._signed_in:
            client = httpx.Client(base_url=self.url, headers={"Origin": self.url}, trust_env=False)
            self._signed_in[login] = client
            body = {"login": login, "password": PASSWORD}
            client.post("/v1/sign-ins", json=body).raise_for_status()
        return self._signed_in[login]

    def transfer(self, stall: StaffedStall, amount_vnd: int, memo: str, **facts: Any) -> None:
        """Let money reach a stall's account, as a bank app that lets the memo be changed."""
        body = {
            "bin": MB,
            "number": stall.account_number,
            "amount_vnd": amount_vnd,
            "memo": memo,
            **facts,
        }
        self.sandbox.post("/control/transfer", json=body).raise_for_status()

    def stop_hub(self) -> None:
        """Kill the hub; its address stays bound, as behind a proxy that waits."""
        assert self.hub is not None
        self.hub.send_signal(signal.SIGKILL)
        self.hub.wait(10)
        self.hub = None

    def start_hub(self) -> None:
        """Start the hub and wait until it serves."""
        descriptor = self.listener.fileno()
        environment = {
            **os.environ,
            **self.fresh_database.environment,
            "PHOPAY_PUBLIC_URL": self.url,
            "PHOPAY_SANDBOX_ORIGINS": SILENT_ORIGIN,
            "PHOPAY_TRUSTED_PROXIES": "127.0.0.1",
        }
        self.hub = subprocess.Popen(
            [sys.executable, "-m", "ops.hub_process", str(descriptor)],
            env=environment,
            pass_fds=[descriptor],
            stdout=subprocess.DEVNULL,
        )
        wait_until_served(f"{self.url}/health/ready", self.hub)

    def sql(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """Run one statement as the owner, past row-level security."""
        cursor = self.owner.execute(statement, values)
        return cursor.fetchall() if cursor.description else []

    def wait_for_credits(self, stall: StaffedStall, wanted: int) -> None:
        """Wait until so many credits of a stall's account are settled."""
        query = "SELECT count(*) FROM bank_transactions WHERE receiving_account_id = %(id)s"
        end = time.monotonic() + READY_WITHIN_S
        while self.sql(query, id=stall.account_id)[0][0] < wanted:
            assert time.monotonic() < end, "the callback did not arrive"
            time.sleep(0.1)

    async def _seed(
        self, database: Database, login: str, account_number: str, is_seen: bool
    ) -> tuple[UUID, UUID]:
        now = read_clock()
        async with open_org_transaction(database, self.org.id) as session:
            payee = await add_payee(
                session,
                self.org.id,
                name=f"Bánh cuốn {login}",
                place="Dãy B, quầy 12",
                actor=SYSTEM,
                now=now,
            )
            account_id = await an_account(
                session, self.org, payee.id, account_number=account_number, bin_=MB, now=now
            )
            await self._add_staff(session, f"{login}.owner", [Role.VENDOR_OWNER], payee.id)
            await self._add_staff(session, f"{login}.cashier", [Role.CASHIER], payee.id)
        if is_seen:
            query = "SELECT id FROM payee_accounts WHERE payee_id = %(id)s"
            (link_id,) = self.sql(query, id=payee.id)[0]
            async with open_org_transaction(database, self.org.id) as session:
                seen_by = Actor(kind="staff", id=new_id(), name="owner")
                await confirm_seen(
                    session, self.org.id, link_id, payee_id=payee.id, actor=seen_by, now=now
                )
        return payee.id, account_id

    async def _add_staff(
        self, session: Any, login: str, roles: Any, payee_id: Any, *, display_name: str = ""
    ) -> None:
        await service.add_staff(
            session,
            self.org.id,
            granter=service.HUB,
            passwords=Passwords(memory_kib=PASSWORD_MEMORY_KIB),
            login=login,
            display_name=display_name or login.title(),
            password=PASSWORD,
            roles=list(roles),
            scopes=[] if payee_id is None else [Scope(ScopeKind.PAYEE, payee_id)],
            hooks=REGISTRY.hooks,
            now=read_clock() - HIRED_BEFORE,
        )

    def _set_up_sandbox(self, account_id: UUID, account_number: str) -> UUID:
        secret, token = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        settings = self.fresh_database.settings

        async def make(database: Database) -> CallbackEndpoint:
            async with open_org_transaction(database, self.org.id) as session:
                endpoint, _ = await create_endpoint(
                    session,
                    self.org,
                    EndpointRequest(
                        provider="sepay",
                        name="SePay",
                        secret=secret,
                        is_sandbox=True,
                        account_ids=[account_id],
                        pull_url=self.sandbox_url,
                        pull_token=token,
                    ),
                    sandbox_origins=(self.sandbox_url,),
                    sealer=Sealer.from_settings(settings),
                    actor=SYSTEM,
                    now=read_clock(),
                )
                return endpoint

        endpoint = self.do(make)
        account = {"bin": MB, "number": account_number}
        self.sandbox.post(
            "/control/accounts", json={**account, "holder": HOLDER}
        ).raise_for_status()
        subscription = {
            "provider": "sepay",
            "url": f"{self.url}/v1/callbacks/sepay/{endpoint.address}",
            "secret": secret,
            "api_key": token,
            "accounts": [account],
        }
        self.sandbox.post("/control/subscriptions", json=subscription).raise_for_status()
        return endpoint.id

    def do(self, work: Callable[[Database], Awaitable[T]]) -> T:
        """Run asynchronous work on the database, past the hub."""
        return self.apart.do(work)

    def close(self) -> None:
        """Stop the hub, and let go of who is signed in."""
        for client in self._signed_in.values():
            client.close()
        if self.hub is not None:
            self.stop_hub()


@contextmanager
def running_city(cluster: Cluster) -> Iterator[RunningCity]:
    """Start a sandbox and a hub on free ports over a fresh database; stop them at the end."""
    with ExitStack() as stack:
        fresh_database = stack.enter_context(create_database(cluster))
        sandbox = stack.enter_context(a_sandbox_process(time_scale=0.05))
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=128))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        apart = stack.enter_context(Apart(fresh_database))
        owner = psycopg.connect(fresh_database.owner_url, autocommit=True)
        city = RunningCity(
            fresh_database=fresh_database,
            url=url,
            sandbox=sandbox,
            listener=listener,
            apart=apart,
            owner=stack.enter_context(owner),
            org=apart.do(partial(_found_org, code="DXA2")),
        )
        stack.callback(city.close)
        city.start_hub()
        yield city


async def _found_org(database: Database, *, code: str) -> OrgFacts:
    async with database.begin() as session:
        return await an_organisation(session, code=code, is_live=False, now=read_clock())
