"""A provider that the hub does not know: an adapter and a registry line, and nothing else."""

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from core.clock import read_clock
from core.db import Database
from core.sealing import Sealer
from core.tenancy import open_org_transaction
from payments import providers
from payments.callbacks.receiver import NoticeReceiver
from payments.connections.errors import BadPullToken, BadSecret
from payments.connections.service import EndpointRequest, create_endpoint
from payments.credits.processor import NoticeProcessor
from payments.polling.targets import list_targets
from payments.providers.errors import Fault, UnreadableNotice
from payments.providers.pulling import PullPage, PullQuery, PullRequest, PullResponse
from payments.providers.signing import AnswersPlainly, find_signing_key, refused, valid
from payments.providers.types import (
    Capabilities,
    Direction,
    EndpointSecrets,
    RawCallback,
    Reading,
    Refusal,
    RefusalDetail,
    ReportedTransaction,
    Verification,
)
from tests.world.bills import a_bill
from tests.world.callbacks import CALLBACKS
from tests.world.constants import MANAGER, NOON
from tests.world.reads import list_outcomes, read_status
from tests.world.stalls import PayableStall, a_payable_stall

SECRET = "a-secret-of-the-new-bank"


class NewBankPull:
    """Its pull API: one list."""

    def list_requests(self, query: PullQuery) -> Sequence[PullRequest]:
        return [PullRequest(path="/list", headers={"key": query.credentials.token})]

    def read(self, response: PullResponse, request: PullRequest, query: PullQuery) -> PullPage:
        return PullPage(bodies=tuple(response.body.splitlines()))


@dataclass
class NewBank(AnswersPlainly):
    """Its webhook: JSON in Vietnamese, signed by a header of its own."""

    name: str = "newbank"
    capabilities: Capabilities = field(
        default_factory=lambda: Capabilities(
            issues_secret=True, pull_url="https://api.newbank.example"
        )
    )
    body_bytes_max: int = 1_000
    pull: NewBankPull = field(default_factory=NewBankPull)
    reads: int = 0

    def verify(
        self, callback: RawCallback, secrets: EndpointSecrets, *, now: datetime
    ) -> Verification:
        signature = callback.headers.get("x-newbank", "").encode()
        key = find_signing_key(
            secrets, lambda key: hmac.digest(key, callback.body, "sha256").hex(), [signature]
        )
        if key is None:
            return refused(Refusal.BAD_SIGNATURE, RefusalDetail.SIGNATURE_DIFFERS)
        return valid(key, lambda: self.read(callback.body))

    def read(self, body: bytes) -> Reading:
        self.reads += 1
        if body == b"?":
            raise UnreadableNotice(Fault.BODY, "a question mark")
        facts = json.loads(body)
        transaction = ReportedTransaction(
            direction=Direction.IN,
            provider_transaction_id=facts["ma"],
            bank_reference=None,
            amount_vnd=facts["so_tien"],
            memo=facts["noi_dung"],
            account_number=facts["tk"],
            virtual_account=None,
            provider_order_id=None,
            occurred_at=datetime.fromtimestamp(facts["luc"], UTC),
            is_date_only=False,
            payer_name=None,
            payer_account=None,
            payer_bank=None,
            is_simulated=False,
        )
        return Reading(is_ping=False, transactions=(transaction,))


@pytest.fixture
def bank(monkeypatch: pytest.MonkeyPatch) -> NewBank:
    """The bank, in the registry of providers: the one line that adding it takes."""
    bank = NewBank()
    monkeypatch.setitem(providers._REGISTRY, bank.name, bank)
    return bank


async def connect(
    database: Database,
    sealer: Sealer,
    stall: PayableStall,
    *,
    secret: str | None = SECRET,
    **facts: str,
) -> str:
    """Make an endpoint for the new bank; return its address."""
    request = EndpointRequest(
        provider="newbank",
        name="New bank",
        secret=secret,
        account_ids=[stall.account_id],
        pull_token=facts.get("pull_token", "t0ken"),
        pull_client_id=facts.get("pull_client_id"),
    )
    async with open_org_transaction(database, stall.org.id) as session:
        endpoint, _ = await create_endpoint(
            session, stall.org, request, sealer=sealer, actor=MANAGER, now=read_clock()
        )
        return endpoint.address


@pytest.mark.anyio
async def test_a_new_provider_calls_back_and_settles_a_bill(
    app_database: Database, sealer: Sealer, bank: NewBank
) -> None:
    stall = await a_payable_stall(app_database)
    address = await connect(app_database, sealer, stall)
    bill = await a_bill(app_database, stall, now=read_clock())
    processor = NoticeProcessor(app_database, read_clock=read_clock)
    woken: list[object] = []
    receiver = NoticeReceiver(app_database, sealer, wake=lambda org, _: woken.append(org))
    facts = {
        "ma": "NB1",
        "so_tien": 20_000,
        "noi_dung": bill.reference,
        "tk": stall.account_number,
        "luc": int(read_clock().timestamp()),
    }

    statuses = []
    for body in (json.dumps(facts).encode(), b"?"):
        for key in (SECRET, "guessed"):
            signature = hmac.digest(key.encode(), body, "sha256").hex()
            answer = await receiver.receive(
                "newbank",
                address,
                "",
                headers={"x-newbank": signature},
                body=body,
                now=read_clock(),
            )
            assert answer is not None
            statuses.append(answer.status)

    assert statuses == [200, 401, 200, 401]
    assert bank.reads == 2, "a body is read once at the door, a refused one never"
    assert len(woken) == 2
    await processor.process(stall.org)
    assert (await read_status(app_database, stall, bill))[0] == "paid"
    assert await list_outcomes(app_database, stall) == ["settle", "unreadable"]
    assert bank.reads == 4, "processing reads its evidence again"
    await processor.close()


@pytest.mark.anyio
async def test_a_new_provider_is_polled_at_its_own_address(
    app_database: Database, sealer: Sealer, bank: NewBank
) -> None:
    stall = await a_payable_stall(app_database)
    await connect(app_database, sealer, stall)

    async with open_org_transaction(app_database, stall.org.id) as session:
        (target,), skipped = await list_targets(
            session,
            stall.org.id,
            stall.account_id,
            sealer,
            payee_id=stall.payee_id,
            bill_id=None,
            now=read_clock(),
        )

    assert (target.provider, target.url, target.pull) == (
        "newbank",
        "https://api.newbank.example",
        bank.pull,
    )
    assert skipped == []


@pytest.mark.anyio
async def test_what_a_new_provider_needs_is_read_from_its_capabilities(
    app_database: Database, sealer: Sealer, bank: NewBank
) -> None:
    stall = await a_payable_stall(app_database)
    with pytest.raises(BadSecret):
        await connect(app_database, sealer, stall, secret=None)
    with pytest.raises(BadPullToken):
        await connect(app_database, sealer, stall, pull_client_id="shop")

    bank.capabilities = Capabilities(issues_secret=False)
    with pytest.raises(BadPullToken):
        await connect(app_database, sealer, stall, secret=None)


@pytest.mark.parametrize("name", sorted(CALLBACKS))
def test_a_verification_carries_what_the_body_says(name: str) -> None:
    make, secrets = CALLBACKS[name]
    callback, provider = make(), providers.PROVIDERS[name]

    verified = provider.verify(callback, secrets, now=NOON)

    assert verified.reading == provider.read(callback.body)
    assert verified.unreadable is None
