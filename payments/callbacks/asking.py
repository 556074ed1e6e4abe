"""Asking a provider what came in: "kiểm tra giao dịch", and what a lost callback never said.

What is new in the answer is stored like a callback and settled by the same code, so asking twice,
or a callback that comes after all, changes nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import httpx
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.db import Sessions, open_org_transaction
from core.ids import new_id
from core.sealing import Sealer
from payments.bills.queries import list_order_ids
from payments.callbacks import queries_credits, queries_notices
from payments.callbacks.ask_keys import open_ask_keys
from payments.callbacks.errors import (
    AskingFailed,
    NoOrderToAskAbout,
    ProviderAnswerUnreadable,
    ProviderCannotBeAsked,
    ProviderDidNotAnswer,
    ProviderRefusedToken,
)
from payments.callbacks.models import CallbackEndpoint, EndpointAccount
from payments.callbacks.providers import ASKABLE, PROVIDERS
from payments.callbacks.providers.asking import Answer, Asking, AskRequest, Inquiry, Told
from payments.callbacks.providers.contract import Direction, UnreadableNotice
from payments.callbacks.records import NewNotice
from payments.callbacks.service import open_secrets, store_notices
from payments.callbacks.settlement import settle_notices
from payments.callbacks.settler import Settler
from payments.payees.rules import OrgFacts

ANSWER_TIMEOUT_S: Final = 4.0  # the vendor is promised an answer within five seconds
ANSWER_BYTES_MAX: Final = 1_000_000
REQUESTS_MAX: Final = 12  # to one endpoint for one question, with the pages that follow
ORDERS_MAX: Final = 10
NEW_ROWS_MAX: Final = 50  # asking again finds the others
LOOK_BACK: Final = timedelta(hours=24)
LOCK_WAIT_MS: Final = 500  # what is left of the five seconds when the answer came last
# Where several were asked in vain: what can be helped goes before what must be waited for.
WORST_FIRST: Final = (
    ProviderRefusedToken,
    ProviderAnswerUnreadable,
    ProviderDidNotAnswer,
    NoOrderToAskAbout,
)

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What one endpoint's provider is asked about one account."""

    endpoint_id: UUID
    provider: str
    asking: Asking
    url: str  # the provider's own, or a sandbox's that the operator allows
    inquiry: Inquiry


@dataclass(frozen=True, kw_only=True, slots=True)
class TransactionRow:
    """One transaction that a provider told of when asked."""

    transaction_id: str
    amount_vnd: int
    body: bytes  # as its callback would have been


@dataclass(kw_only=True, slots=True)
class Heard:
    """What became of one question."""

    rows: list[TransactionRow] = field(default_factory=list)
    answers: int = 0
    unreadable: int = 0  # rows that the provider's own contract does not know
    problems: list[AskingFailed] = field(default_factory=list)

    @property
    def is_answered(self) -> bool:
        """Whether the provider has told something, be it that nothing came."""
        return self.answers > 0 and (bool(self.rows) or not self.unreadable)


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What asking found."""

    rows: int  # transactions that the provider told of
    providers: tuple[str, ...]


async def ask_about_account(
    sessions: Sessions,
    settler: Settler,
    sealer: Sealer,
    client: httpx.AsyncClient,
    org: OrgFacts,
    account_id: UUID,
    *,
    payee_id: UUID,
    bill_id: UUID | None = None,
    now: datetime,
) -> Asked:
    """Ask every provider that reports on an account, store what they say, and settle it.

    No transaction is open while the network is waited for.

    Args:
        payee_id: whose bills are asked about, where a provider knows its own orders only.
        bill_id: the one bill that is asked about there, instead of the recent ones.

    Raises:
        ProviderCannotBeAsked: none of them can be.
        NoOrderToAskAbout, ProviderRefusedToken, ProviderAnswerUnreadable, ProviderDidNotAnswer:
            none of them said anything of use; what a person can help goes before the others.
    """
    async with open_org_transaction(sessions, org.id) as session:
        questions = await _list_questions(
            session, org.id, account_id, sealer, payee_id=payee_id, bill_id=bill_id, now=now
        )
    if not questions:
        raise ProviderCannotBeAsked
    deadline_s = asyncio.get_running_loop().time() + ANSWER_TIMEOUT_S
    answers = await asyncio.gather(*(_ask(client, question, deadline_s) for question in questions))
    for question, heard in zip(questions, answers, strict=True):
        _log_problems(org, question, heard)
    told = [pair for pair in zip(questions, answers, strict=True) if pair[1].is_answered]
    if not told:
        raise _choose_problem(answers)
    async with open_org_transaction(sessions, org.id) as session:
        notices = await _pick_new(session, org.id, account_id, told, now=now)
        if notices:
            await store_notices(session, org.id, notices)
    if notices:
        await _settle(sessions, settler, org, [notice.id for notice in notices], now=now)
    return Asked(
        rows=sum(len(heard.rows) for _, heard in told),
        providers=tuple(question.provider for question, _ in told),
    )


async def _list_questions(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    sealer: Sealer,
    *,
    payee_id: UUID,
    bill_id: UUID | None,
    now: datetime,
) -> list[Question]:
    query = (
        select(CallbackEndpoint, EndpointAccount.account_number)
        .join(
            EndpointAccount,
            (EndpointAccount.org_id == CallbackEndpoint.org_id)
            & (EndpointAccount.endpoint_id == CallbackEndpoint.id),
        )
        .where(
            CallbackEndpoint.org_id == org_id,
            EndpointAccount.receiving_account_id == account_id,
            CallbackEndpoint.revoked_at.is_(None),
            CallbackEndpoint.provider.in_(ASKABLE),
            CallbackEndpoint.sealed_ask_token.is_not(None),
        )
    )
    questions = []
    for endpoint, number in (await session.execute(query)).all():
        asking, keys = ASKABLE[endpoint.provider], open_ask_keys(endpoint, sealer)
        assert keys is not None
        order_ids: Sequence[str] = ()
        if asking.asks_by_order:
            order_ids = await list_order_ids(
                session,
                org_id,
                payee_id,
                account_id,
                rail=endpoint.provider,
                bill_id=bill_id,
                since=now - LOOK_BACK,
                limit=ORDERS_MAX,
            )
        inquiry = Inquiry(
            account_number=number,
            order_ids=tuple(order_ids),
            since=now - LOOK_BACK,
            keys=keys,
            secrets=open_secrets(endpoint, sealer, now=now),
        )
        questions.append(
            Question(
                endpoint_id=endpoint.id,
                provider=endpoint.provider,
                asking=asking,
                url=endpoint.ask_url or asking.url,
                inquiry=inquiry,
            )
        )
    return questions


async def _ask(client: httpx.AsyncClient, question: Question, deadline_s: float) -> Heard:
    """Send the requests of a question, then those for further pages; what failed is noted."""
    heard = Heard()
    waiting = list(question.asking.ask(question.inquiry))[:REQUESTS_MAX]
    if not waiting:
        heard.problems.append(NoOrderToAskAbout())
    sent = 0
    while waiting:
        sent += len(waiting)
        answers = await asyncio.gather(
            *(_ask_once(client, question, request, deadline_s) for request in waiting)
        )
        waiting = []
        for told in answers:
            if isinstance(told, AskingFailed):
                heard.problems.append(told)
                continue
            heard.answers += 1
            heard.unreadable += told.unreadable
            _read_rows(question, told.bodies, heard)
            if told.more is not None and sent + len(waiting) < REQUESTS_MAX:
                waiting.append(told.more)
    return heard


async def _ask_once(
    client: httpx.AsyncClient, question: Question, request: AskRequest, deadline_s: float
) -> Told | AskingFailed:
    """Ask one thing; return what was told or what went wrong, before the deadline."""
    try:
        async with asyncio.timeout_at(deadline_s):
            answer = await _read_answer(client, question.url, request)
        return question.asking.read(answer, request, question.inquiry)
    except AskingFailed as problem:
        return problem
    except UnreadableNotice as problem:
        return ProviderAnswerUnreadable(f"The provider's answer cannot be read: {problem}.")
    except (httpx.HTTPError, TimeoutError):
        return ProviderDidNotAnswer(
            "The provider did not answer within 5 seconds. Try again, or look into the bank's app."
        )


async def _read_answer(client: httpx.AsyncClient, url: str, request: AskRequest) -> Answer:
    """Read an answer of at most ANSWER_BYTES_MAX; what is longer is not taken into memory.

    Raises:
        ProviderAnswerUnreadable: it is longer.
        httpx.HTTPError: no answer.
    """
    body = bytearray()
    async with client.stream(
        "GET",
        f"{url}{request.path}",
        params=dict(request.params),
        # Not compressed: a small body could unpack into gigabytes.
        headers={**request.headers, "Accept-Encoding": "identity"},
        timeout=ANSWER_TIMEOUT_S,
        follow_redirects=False,  # the token goes to this address and to no other
    ) as response:
        async for part in response.aiter_raw():
            body += part
            if len(body) > ANSWER_BYTES_MAX:
                raise ProviderAnswerUnreadable("The provider's answer is too large.")
    return Answer(status=response.status_code, body=bytes(body))


def _read_rows(question: Question, bodies: Sequence[bytes], heard: Heard) -> None:
    """Read rows as the settler will read them; keep the money that came to this account."""
    number = question.inquiry.account_number.upper()
    for body in bodies:
        try:
            reading = PROVIDERS[question.provider].read(body)
        except UnreadableNotice:
            heard.unreadable += 1
            continue
        for told in reading.transactions:
            names = {told.account_number.upper(), (told.virtual_account or "").upper()}
            if told.direction is Direction.IN and number in names:
                heard.rows.append(
                    TransactionRow(
                        transaction_id=told.provider_transaction_id,
                        amount_vnd=told.amount_vnd,
                        body=body,
                    )
                )


async def _pick_new(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    told: Sequence[tuple[Question, Heard]],
    *,
    now: datetime,
) -> list[NewNotice]:
    """Leave out what is known with the same amount: vendors ask often, and notices are kept."""
    new: list[NewNotice] = []
    for question, heard in told:
        known = await queries_credits.find_known(
            session,
            org_id,
            account_id,
            question.provider,
            [row.transaction_id for row in heard.rows],
        )
        new += [
            NewNotice(
                id=new_id(),
                endpoint_id=question.endpoint_id,
                provider=question.provider,
                source="asked",
                body=row.body,
                headers={},
                skew_s=None,
                received_at=now,
            )
            for row in heard.rows
            if (row.transaction_id, row.amount_vnd) not in known
        ][:NEW_ROWS_MAX]
    return new


async def _settle(
    sessions: Sessions,
    settler: Settler,
    org: OrgFacts,
    notice_ids: Sequence[UUID],
    *,
    now: datetime,
) -> None:
    """Settle these notices and no backlog, since a vendor waits; what fails, the settler does."""
    try:
        async with open_org_transaction(sessions, org.id) as session:
            await queries_notices.limit_lock_wait(session, LOCK_WAIT_MS)
            claimed = await queries_notices.claim_these(session, org.id, notice_ids)
            await settle_notices(session, org, claimed, now=now)
    except Exception as error:  # whatever it is: the notices are stored, and tried one by one there
        log.warning("asking.left_to_settler", org=org.code, error=type(error).__name__)
        settler.wake(org)


def _choose_problem(answers: Sequence[Heard]) -> AskingFailed:
    """Return what to tell a vendor of several questions that all failed."""
    problems = [problem for heard in answers for problem in heard.problems]
    if any(heard.unreadable for heard in answers):
        problems.append(ProviderAnswerUnreadable("The provider's rows cannot be read."))
    return min(problems, key=lambda problem: WORST_FIRST.index(type(problem)))


def _log_problems(org: OrgFacts, question: Question, heard: Heard) -> None:
    problems = {one.code for one in heard.problems if not isinstance(one, NoOrderToAskAbout)}
    if problems or heard.unreadable:
        log.warning(
            "asking.failed",
            org=org.code,
            endpoint=str(question.endpoint_id),
            provider=question.provider,
            problems=sorted(problems),
            unreadable_rows=heard.unreadable,
        )
