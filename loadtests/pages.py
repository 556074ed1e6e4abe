"""Pages that people look at, asked for as browsers and machines do: the counter's, and lists."""

import itertools
from collections import defaultdict
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from core.clock import hanoi_day, read_clock
from core.db import open_database, open_engine
from core.tenancy import open_org_transaction
from identity.people.hooks import Hooks
from identity.people.passwords import Passwords
from identity.people.rules import Role
from identity.people.service import HUB, add_staff
from identity.people.sign_in import SignIns
from loadtests import processes
from loadtests.city import Market
from loadtests.figures import find_percentile
from loadtests.installation import HOST, Installation
from loadtests.wire import Call, SendingJob, SendingLog
from payments.bills.rules import BillStatus
from payments.breaks.rules import BreakKind
from payments.credits.rules import Verdict

COUNTER_PAGES_PER_S: Final = 20.0
COUNTER_CONNECTIONS: Final = 32
# What a counter asks for: its total at every payment, its pages now and then.
COUNTER_PAGES: Final = ("/today", "", "/today", "/sales", "/today", "", "/today", "/code")
PASSWORD: Final = "một mật khẩu của bench"
COOKIE: Final = "__Host-phopay_sign_in"  # api.http.sign_in_cookie, in production


class Pages:
    """A manager of one market who looks at everything of it."""

    def __init__(self, installation: Installation, market: Market) -> None:
        self._installation = installation
        self._market = market
        self._headers = ""

    async def sign_in(self) -> None:
        """Let the manager in; by the hub's own service, since signing in is not measured."""
        settings = self._installation.settings
        engine = open_engine(self._installation.app_url, settings)
        passwords, now, login = Passwords(), read_clock(), "bench-manager"
        try:
            database = open_database(engine)
            async with open_org_transaction(database, self._market.org.id) as session:
                await add_staff(
                    session,
                    self._market.org.id,
                    granter=HUB,
                    passwords=passwords,
                    login=login,
                    display_name="Người quản lý",
                    password=PASSWORD,
                    roles=[Role.MANAGER],
                    hooks=Hooks(),
                    now=now,
                )
            sign_ins = SignIns(
                database=database, passwords=passwords, sign_in_max=timedelta(hours=8)
            )
            opened = await sign_ins.sign_in(
                login=login,
                password=PASSWORD,
                address=HOST,
                user_agent="bench",
                request_id="bench",
                now=now,
            )
        finally:
            await engine.dispose()
        self._headers = f"Cookie: {COOKIE}={opened.cookie}\r\nAccept: text/html\r\n"

    def measure_counter(self, *, requests: int) -> float:
        """Return the p95 in ms of the counter's pages at a steady pace, from when each was due."""
        stalls = itertools.cycle(self._market.stalls)
        wanted = itertools.islice(itertools.cycle(COUNTER_PAGES), requests)
        paths = [f"/counter{page}?payee={next(stalls).payee_id}" for page in wanted]
        log = self._ask(paths, connections=COUNTER_CONNECTIONS, pages_per_s=COUNTER_PAGES_PER_S)
        return find_percentile(_read_times_ms(log), 95)

    def measure_lists(self, *, rounds: int) -> dict[str, float]:
        """Return the p95 in ms of each list and each page of the managers, asked one at a time."""
        paths = self._list_paths()
        self._ask(list(paths.values()), connections=1)  # plans and caches are warm everywhere
        log = self._ask(list(paths.values()) * rounds, connections=1)
        times_ms: dict[str, list[float]] = defaultdict(list)
        names = list(paths)
        for answer in log.answers:
            took_ms = (answer.answered_at_s - answer.sent_at_s) * 1_000
            times_ms[names[answer.call % len(names)]].append(took_ms)
        return {name: find_percentile(times, 95) for name, times in times_ms.items()}

    def _list_paths(self) -> dict[str, str]:
        """Name every list and management page, with each filter that reads it in another way."""
        stall, endpoint = self._market.stalls[7], f"/endpoints/{self._market.endpoint_id}"
        payee, today = str(stall.payee_id), hanoi_day(read_clock())
        old, older = str(today - timedelta(days=20)), str(today - timedelta(days=39))
        manage = [
            "", "/payees", "/payees?closed=yes", "/accounts", "/staff", "/endpoints", endpoint,
            f"{endpoint}/notices", f"{endpoint}/notices?show=attention",
            f"{endpoint}/notices?show=refused",
            "/keys", *[f"/breaks?show={show}" for show in ("open", "closed", "all")],
            *[f"/breaks?show=all&kind={kind}" for kind in ("unknown_reference", "stuck")],
            "/audit", "/audit?kind=bill", "/audit?kind=staff", f"/audit?day={old}",
            "/audit?who=ng%C6%B0%E1%BB%9Di+qu%E1%BA%A3n", "/audit?who=nobody",
        ]  # fmt: skip
        v1: list[tuple[str, dict[str, str]]] = [
            *[(path, {}) for path in LISTS],
            (f"/callback-endpoints/{self._market.endpoint_id}/notices", {}),
            ("/totals", {"payee_id": payee, "on": old}),
            ("/bills", {"payee_id": payee}),
            ("/bills", {"external_id": "past-300002"}),
            ("/bills", {"external_id": "nobody-has-this"}),
            ("/bills", {"reference": self._market.reference}),
            ("/bills", {"since": f"{older}T00:00:00Z", "until": f"{old}T00:00:00Z"}),
            *[("/bills", {"status": one.value}) for one in BillStatus],
            *[("/bills", {"status": one.value, "payee_id": payee}) for one in BillStatus],
            *[("/credits", {"on": str(day)}) for day in (today, old, older)],
            ("/credits", {"payee_id": payee}),
            ("/credits", {"payee_id": payee, "on": old}),
            *[("/credits", {"verdict": one.value}) for one in Verdict],
            *[("/credits", {"verdict": one.value, "payee_id": payee}) for one in Verdict],
            *[("/breaks", {"is_open": is_open}) for is_open in ("true", "false")],
            *[("/breaks", {"kind": one.value}) for one in BreakKind],
        ]
        paths = [f"/manage{page}" for page in manage]
        paths += [f"/v1{path}?{urlencode(query)}".rstrip("?") for path, query in v1]
        ids = {str(self._market.endpoint_id): "{endpoint}", payee: "{payee}"}
        return {_name(path, ids): path for path in paths}

    def _ask(
        self, paths: list[str], *, connections: int, pages_per_s: float | None = None
    ) -> SendingLog:
        calls = [Call(path=path, headers=self._headers, body=b"", method="GET") for path in paths]
        job = SendingJob(
            host=HOST,
            port=self._installation.port,
            connections=connections,
            calls=calls,
            calls_per_s=pages_per_s,
        )
        log = processes.send(job, self._installation.folder)
        if bad := sorted({(a.status, paths[a.call]) for a in log.answers if a.status != 200}):
            msg = f"pages were not answered: {bad[:5]}"
            raise RuntimeError(msg)
        return log


LISTS: Final = (
    "/bills", "/credits", "/breaks", "/payees", "/accounts", "/staff", "/keys",
    "/callback-endpoints", "/organisations",
)  # fmt: skip


def _name(path: str, ids: dict[str, str]) -> str:
    for id_, word in ids.items():
        path = path.replace(id_, word)
    return path


def _read_times_ms(log: SendingLog) -> list[float]:
    return [(answer.answered_at_s - answer.sent_at_s) * 1_000 for answer in log.answers]
