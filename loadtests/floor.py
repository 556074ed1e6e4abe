"""The floor: how fast PostgreSQL processes notices when a program sends it nothing but the writes.

pgbench, from the same binaries as the server, runs the rows that settling one notice writes: a
credit, the bill's new state, a match, a payment with its leg, a posting, an event with its wake-up,
the notice's end; one transaction each, as the hub's own role under row-level security, with
prepared statements. It reads nothing, parses nothing, decides nothing and takes no HTTP.
docs/benchmarks.md says more.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psycopg

CLIENTS: Final = (8, 16, 32, 64)
PACED_CLIENTS: Final = 8  # more than ever work at once at a hundred a second
ORGANISATIONS: Final = 10
PAYEES: Final = 200

# Ids of the floor's own rows follow from a number, so that the script has nothing to look up.
ID: Final = (
    "(lpad(to_hex({kind}), 8, '0') || '-0000-7000-8000-' || lpad(to_hex({n}), 12, '0'))::uuid"
)


def _id(kind: int, n: str) -> str:
    return ID.format(kind=kind, n=n)


ORG, PAYEE, ACCOUNT, LINK, ENDPOINT, BILL, NOTICE = range(1, 8)

# One after the other: the checks of foreign keys are on, as for everybody.
PREPARE_CITY: Final = f"""
INSERT INTO organisations (id, code, name, kind, is_live, created_at)
SELECT {_id(ORG, "o")}, 'F' || lpad(o::text, 3, '0'), 'Floor', 'market_board', true, now()
FROM generate_series(0, {ORGANISATIONS - 1}) o;
INSERT INTO callback_endpoints (
    org_id, id, org_is_live, address, provider, name, is_sandbox, sealed_secrets, created_at)
SELECT {_id(ORG, "o")}, {_id(ENDPOINT, "o")}, true, 'floor', 'sepay', 'floor', false, '', now()
FROM generate_series(0, {ORGANISATIONS - 1}) o;
INSERT INTO payees (org_id, id, name, place, created_at)
SELECT {_id(ORG, f"mod(p, {ORGANISATIONS})")}, {_id(PAYEE, "p")}, 'Phở', 'Quầy', now()
FROM generate_series(0, {PAYEES - 1}) p;
INSERT INTO receiving_accounts (
    org_id, id, bin, account_number, holder_name, status, proposed_by, proposed_at, approved_by,
    approved_at, test_credit_id, activated_at)
SELECT {_id(ORG, f"mod(p, {ORGANISATIONS})")}, {_id(ACCOUNT, "p")}, '970422', '99' || p, 'A',
       'active', {_id(99, "1")}, now(), {_id(99, "2")}, now(), {_id(99, "3")}, now()
FROM generate_series(0, {PAYEES - 1}) p;
INSERT INTO payee_accounts (
    org_id, id, payee_id, receiving_account_id, status, test_reference, proposed_by, proposed_at,
    approved_by, approved_at, activated_at)
SELECT {_id(ORG, f"mod(p, {ORGANISATIONS})")}, {_id(LINK, "p")}, {_id(PAYEE, "p")},
       {_id(ACCOUNT, "p")}, 'active', 'PPFLOOR', {_id(99, "1")}, now(), {_id(99, "2")}, now(), now()
FROM generate_series(0, {PAYEES - 1}) p;
INSERT INTO ledger_accounts (org_id, code, subject_id, opened_at)
SELECT {_id(ORG, f"mod(p, {ORGANISATIONS})")}, 'bank_clearing', {_id(ACCOUNT, "p")}, now()
FROM generate_series(0, {PAYEES - 1}) p
UNION ALL
SELECT {_id(ORG, f"mod(p, {ORGANISATIONS})")}, 'takings', {_id(PAYEE, "p")}, now()
FROM generate_series(0, {PAYEES - 1}) p;
"""

PREPARE_WORK: Final = f"""
INSERT INTO bills (
    org_id, id, link_id, payee_id, receiving_account_id, rail, reference, public_token, amount_vnd,
    purpose, status, created_by, created_at, expires_at, monitor_until)
SELECT {_id(ORG, f"mod(n, {ORGANISATIONS})")}, {_id(BILL, "n")}, {_id(LINK, f"mod(n, {PAYEES})")},
       {_id(PAYEE, f"mod(n, {PAYEES})")}, {_id(ACCOUNT, f"mod(n, {PAYEES})")}, 'vietqr',
       'PP' || upper(substr(md5(n::text), 1, 11)), substr(md5('token' || n), 1, 22), 20000,
       'Phở bò', 'open', {_id(99, "1")}, now(), now() + interval '2 hours', now() + interval '1 day'
FROM generate_series(%(first)s::bigint, %(last)s::bigint) n;
INSERT INTO notices (
    org_id, id, endpoint_id, provider, source, body, headers, skew_s, received_at, next_attempt_at)
SELECT {_id(ORG, f"mod(n, {ORGANISATIONS})")}, {_id(NOTICE, "n")},
       {_id(ENDPOINT, f"mod(n, {ORGANISATIONS})")}, 'sepay', 'callback',
       convert_to(repeat('x', 330), 'UTF8'),
       '{{"user-agent": "SePay-Webhook/1.0", "content-type": "application/json"}}', 0, now(),
       now() + interval '1 day'
FROM generate_series(%(first)s::bigint, %(last)s::bigint) n;
"""  # a day off: a hub that runs leaves them alone

ORG_OF_N: Final = _id(ORG, ":o")
SCRIPT: Final = f"""\
\\set i :i + 1
\\set n :first + :client_id * :each + :i
\\set o mod(:n, {ORGANISATIONS})
\\set p mod(:n, {PAYEES})
BEGIN;
SELECT set_config('app.org_id', {_id(ORG, ":o::int")}::text, true);
INSERT INTO bank_transactions (
    org_id, id, receiving_account_id, direction, bank_reference, provider, provider_transaction_id,
    notice_id, memo, amount_vnd, is_date_only, occurred_at, received_at)
VALUES ({_id(ORG, ":o::int")}, {_id(20, ":n::bigint")}, {_id(ACCOUNT, ":p::int")}, 'in',
        'FT' || :n::text, 'sepay', :n::text, {_id(NOTICE, ":n::bigint")},
        'PP23456789ABC FT12345678901   Ma giao dich Trace123456', 20000, false, now(), now())
ON CONFLICT DO NOTHING RETURNING id;
UPDATE bills SET paid_vnd = 20000, received_vnd = 20000, status = 'paid', is_late = false,
    paid_at = now()
WHERE org_id = {_id(ORG, ":o::int")} AND id = {_id(BILL, ":n::bigint")};
INSERT INTO matches (
    org_id, id, credit_id, bill_id, payee_id, rule, verdict, named, reason, reason_facts,
    applied_vnd, is_late, matched_at)
VALUES ({_id(ORG, ":o::int")}, {_id(21, ":n::bigint")}, {_id(20, ":n::bigint")},
        {_id(BILL, ":n::bigint")}, {_id(PAYEE, ":p::int")}, 'memo_exact', 'settle', 'PP23456789ABC',
        'bill_found', '{{REASON_FACTS}}', 20000, false, now());
INSERT INTO payments (
    org_id, id, bill_id, rail, source_kind, source_id, amount_vnd, refundable_vnd, occurred_at,
    recorded_at)
VALUES ({_id(ORG, ":o::int")}, {_id(24, ":n::bigint")}, {_id(BILL, ":n::bigint")}, 'vietqr',
        'credit', {_id(20, ":n::bigint")}, 20000, 20000, now(), now());
INSERT INTO match_legs (org_id, id, match_id, credit_id, bill_id, applied_vnd)
VALUES ({_id(ORG, ":o::int")}, {_id(24, ":n::bigint")}, {_id(21, ":n::bigint")},
        {_id(20, ":n::bigint")}, {_id(BILL, ":n::bigint")}, 20000);
INSERT INTO postings (
    org_id, id, debit_code, debit_subject_id, credit_code, credit_subject_id, amount_vnd,
    cause_kind, cause_id, step, effective_at, posted_at, day, item_id)
VALUES ({_id(ORG, ":o::int")}, {_id(22, ":n::bigint")}, 'bank_clearing', {_id(ACCOUNT, ":p::int")},
        'takings', {_id(PAYEE, ":p::int")}, 20000, 'payment', {_id(24, ":n::bigint")}, 0, now(),
        now(), current_date, {_id(20, ":n::bigint")});
WITH written AS (
    INSERT INTO events (
        org_id, id, kind, payee_id, receiving_account_id, bill_id, data, recorded_at)
    VALUES ({_id(ORG, ":o::int")}, {_id(23, ":n::bigint")}, 'bill.paid', {_id(PAYEE, ":p::int")},
            {_id(ACCOUNT, ":p::int")}, {_id(BILL, ":n::bigint")}, '{{EVENT}}', now()))
SELECT pg_notify('phopay_events', {_id(ORG, ":o::int")}::text);
UPDATE notices SET handled_at = now(), outcome = 'settle', attempts = attempts + 1
WHERE org_id = {_id(ORG, ":o::int")} AND id = {_id(NOTICE, ":n::bigint")};
COMMIT;
"""

REASON_FACTS: Final = '{"reference": "PP23456789ABC", "rule": "memo_exact", "bill_status": "open"}'
# As long as the hub's own, and like them without a colon before a letter (pgbench's variables).
EVENT: Final = (
    '{"rule": "memo_exact", "memo": "PP23456789ABC FT12345678901   Ma giao dich Trace123456",'
    ' "bill_id": "00000000-0000-7000-8000-000000000000", "is_late": false, "verdict": "settle",'
    ' "paid_vnd": 20000, "credit_id": "00000000-0000-7000-8000-000000000000", "reference":'
    ' "PP23456789ABC", "amount_vnd": 20000, "payer_name": null, "applied_vnd": 20000,'
    ' "bill_status": "paid", "occurred_at": "20261121T120000Z", "received_vnd": 20000,'
    ' "bill_amount_vnd": 20000}'
)


class Floor:
    """Runs pgbench again and again, on new rows every time."""

    def __init__(self, *, owner_url: str, app_url: str, bin_dir: Path, folder: Path) -> None:
        self._owner_url = owner_url
        self._app_url = app_url
        self._pgbench = bin_dir / "pgbench"
        self._script = folder / "floor.sql"
        self._next = 1
        self.best_per_s: dict[int, float] = {}  # by clients

    def prepare(self) -> None:
        """Make the floor's organisations, payees and accounts, and write the script."""
        script = SCRIPT.replace("{EVENT}", EVENT).replace("{REASON_FACTS}", REASON_FACTS)
        self._script.write_text(script, encoding="utf-8")
        with psycopg.connect(self._owner_url, autocommit=True) as owner:
            owner.execute(PREPARE_CITY)

    def measure(self, *, transactions: int) -> None:
        """Run every number of clients once; keep the best of each."""
        for clients in CLIENTS:
            each = transactions // clients
            self._prepare_work(each * clients)
            per_s = self._run(clients, each)
            self._next += each * clients
            self.best_per_s[clients] = max(per_s, self.best_per_s.get(clients, 0.0))

    def measure_times(self, *, transactions: int, per_s: float) -> list[float]:
        """Return how long each of these took in ms, from when it was due, at a steady pace."""
        each = max(1, transactions // PACED_CLIENTS)
        self._prepare_work(each * PACED_CLIENTS)
        prefix = self._script.with_name("floor-times")
        options = (f"--rate={per_s}", "--log", f"--log-prefix={prefix}")
        self._run(PACED_CLIENTS, each, *options)
        self._next += each * PACED_CLIENTS
        times_ms = []
        for log in prefix.parent.glob(f"{prefix.name}.*"):
            # client, number, microseconds, …
            times_ms += [int(line.split()[2]) / 1_000 for line in log.read_text().splitlines()]
            log.unlink()
        return times_ms

    def _prepare_work(self, count: int) -> None:
        values = {"first": self._next, "last": self._next + count - 1}
        with psycopg.connect(self._owner_url, autocommit=True) as owner:
            for statement in PREPARE_WORK.split(";\n"):
                if statement.strip():
                    owner.execute(statement, values)
            owner.execute("VACUUM (ANALYZE) bills, notices")

    def _run(self, clients: int, each: int, *options: str) -> float:
        url = urlsplit(self._app_url)
        command = [
            str(self._pgbench),
            *("--no-vacuum", "--protocol=prepared", f"--file={self._script}"),
            *(f"--client={clients}", "--jobs=1", f"--transactions={each}"),
            *options,
            *(f"--define=first={self._next - 1}", f"--define=each={each}", "--define=i=0"),
            *(f"--host={url.hostname}", f"--port={url.port}", f"--username={url.username}"),
            url.path.lstrip("/"),
        ]
        assert url.password is not None
        done = subprocess.run(
            command,
            env={**os.environ, "PGPASSWORD": url.password, "PGOPTIONS": "-c timezone=UTC"},
            capture_output=True,
            text=True,
            check=False,
        )
        found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE)
        failed = re.search(r"number of failed transactions: (\d+)", done.stdout)
        if done.returncode != 0 or found is None or failed is None or failed[1] != "0":
            msg = f"pgbench did not run through:\n{done.stdout}{done.stderr}"
            raise RuntimeError(msg)
        return float(found[1])
