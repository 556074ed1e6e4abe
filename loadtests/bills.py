"""Opening bills over HTTP: the hub and the plain ORM route, in turns, by the same sender."""

import json
from itertools import count

import psycopg

from loadtests import integrity, processes
from loadtests.city import Market
from loadtests.flood import AMOUNTS_VND
from loadtests.installation import HOST, Installation
from loadtests.peers import plain_orm
from loadtests.wire import Call, SendingJob, SendingLog


class BillRounds:
    """Rounds of bills, and what was acknowledged in them."""

    def __init__(
        self, installation: Installation, markets: list[Market], *, connections: int
    ) -> None:
        self._installation = installation
        self._markets = markets
        self._connections = connections
        self._numbers = count(1)
        self._acknowledged: set[str] = set()
        self.plain_per_s: list[float] = []
        self.hub_per_s: list[float] = []

    def measure(self, *, rounds: int, bills_a_round: int) -> None:
        """Open bills at the peer, at the hub, at the peer, …; a first, short round is not counted.

        Both get the same bodies by the same number of connections, and run as one process each.
        """
        with psycopg.connect(self._installation.owner_url, autocommit=True) as owner:
            owner.execute(plain_orm.MAKE_TABLE)
        environment = {**self._installation.environment, "PATH": ""}
        arguments = [self._installation.owner_url]
        with processes.serving("loadtests.peers.plain_orm", arguments, environment) as port:
            self._open_bills(port, bills_a_round // 5)
            self._open_bills(self._installation.port, bills_a_round // 5)
            for _ in range(rounds):
                self.plain_per_s.append(self._open_bills(port, bills_a_round))
                self.hub_per_s.append(self._open_bills(self._installation.port, bills_a_round))

    def count(self) -> integrity.Account:
        """Hold what the hub answered against its table."""
        org_ids = [market.org.id for market in self._markets]
        return integrity.count_bills(self._installation.owner_url, org_ids, self._acknowledged)

    def _open_bills(self, port: int, bills: int) -> float:
        """Open bills at one of the two and return how many a second."""
        named = [f"bench-{next(self._numbers)}" for _ in range(bills)]
        calls = [self._write_call(i, name) for i, name in enumerate(named)]
        job = SendingJob(host=HOST, port=port, connections=self._connections, calls=calls)
        log = processes.send(job, self._installation.folder)
        good = processes.list_good(log)
        if len(good) < bills:
            refused = sorted({answer.status for answer in log.answers} - {201})
            msg = f"{bills - len(good)} of {bills} bills were answered {refused}"
            raise RuntimeError(msg)
        if port == self._installation.port:
            self._acknowledged.update(named[call] for call in good)
        return _read_pace(log, len(good))

    def _write_call(self, i: int, name: str) -> Call:
        market = self._markets[i % len(self._markets)]
        stall = market.stalls[i // len(self._markets) % len(market.stalls)]
        body = {
            "payee_id": str(stall.payee_id),
            "amount_vnd": AMOUNTS_VND[i % len(AMOUNTS_VND)],
            "purpose": "2 phở bò",
            "external_id": name,
        }
        return Call(
            path="/v1/bills",
            headers=(
                f"Authorization: Bearer {market.keys[i % len(market.keys)]}\r\n"
                f"Idempotency-Key: {name}\r\n"
            ),
            body=json.dumps(body).encode(),
        )


def _read_pace(log: SendingLog, good: int) -> float:
    return good / (processes.last_good_at_s(log) - processes.first_sent_at_s(log))
