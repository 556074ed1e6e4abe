"""Asking a provider what came in: "kiểm tra giao dịch", and what a lost callback never said.

What is new in the answer is stored like a callback and settled by the same code, so asking twice,
or a callback that comes after all, changes nothing.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import httpx
import msgspec
import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from core.clock import HANOI
from core.db import Sessions, open_org_transaction
from core.ids import new_id
from core.sealing import Sealer
from payments.callbacks import queries_credits, queries_notices
from payments.callbacks.errors import ProviderDidNotAnswer
from payments.callbacks.models import CallbackEndpoint, EndpointAccount
from payments.callbacks.records import NewNotice
from payments.callbacks.service import store_notices
from payments.callbacks.settlement import settle_notices
from payments.callbacks.settler import Settler
from payments.payees.rules import OrgFacts

ANSWER_TIMEOUT_S: Final = 4.0  # the vendor is promised an answer within five seconds
ANSWER_BYTES_MAX: Final = 1_000_000
ROWS_MAX: Final = 50
CAN_BE_ASKED: Final = frozenset({"sepay", "sepay_apikey"})
SEPAY_URL: Final = "https://my.sepay.vn"
LOOK_BACK: Final = timedelta(hours=24)
LOCK_WAIT_MS: Final = 500  # what is left of the five seconds when the answer came last

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """Where to ask about one account, and with which token."""

    endpoint_id: UUID
    provider: str
    url: str
    token: str
    account_number: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TransactionRow:
    """One transaction that a provider told of when asked."""

    transaction_id: str
    amount_vnd: int
    body: bytes  # as its callback would have been


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
    now: datetime,
) -> Asked:
    """Ask every provider that reports on an account, store what they say, and settle it.

    No transaction is open while the network is waited for.

    Raises:
        ProviderDidNotAnswer: none of them can be asked, or none answered in time.
    """
    async with open_org_transaction(sessions, org.id) as session:
        questions = await _list_questions(session, org.id, account_id, sealer)
    if not questions:
        raise ProviderDidNotAnswer(
            "The provider of this account cannot be asked. Look into the bank's own app."
        )
    answers = await asyncio.gather(
        *(
            asyncio.wait_for(_ask_sepay(client, question, now), ANSWER_TIMEOUT_S)
            for question in questions
        ),
        return_exceptions=True,
    )
    heard = [
        (question, rows)
        for question, rows in zip(questions, answers, strict=True)
        if not isinstance(rows, BaseException)
    ]
    told = sum(len(rows) for _, rows in heard)
    if not heard:
        raise ProviderDidNotAnswer(
            "The provider did not answer within 5 seconds. Try again, or look into the bank's app."
        )
    async with open_org_transaction(sessions, org.id) as session:
        notices = await _pick_new(session, org.id, account_id, heard, now=now)
        if notices:
            await store_notices(session, org.id, notices)
    if notices:
        await _settle(sessions, settler, org, [notice.id for notice in notices], now=now)
    return Asked(rows=told, providers=tuple(question.provider for question, _ in heard))


async def _pick_new(
    session: AsyncSession,
    org_id: UUID,
    account_id: UUID,
    heard: Sequence[tuple[Question, Sequence[TransactionRow]]],
    *,
    now: datetime,
) -> list[NewNotice]:
    """Leave out what is known with the same amount: vendors ask often, and notices are kept."""
    new = []
    for question, rows in heard:
        known = await queries_credits.find_known(
            session, org_id, account_id, question.provider, [row.transaction_id for row in rows]
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
            for row in rows
            if (row.transaction_id, row.amount_vnd) not in known
        ]
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


async def _list_questions(
    session: AsyncSession, org_id: UUID, account_id: UUID, sealer: Sealer
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
            CallbackEndpoint.provider.in_(CAN_BE_ASKED),
            CallbackEndpoint.sealed_ask_token.is_not(None),
        )
    )
    return [
        Question(
            endpoint_id=endpoint.id,
            provider=endpoint.provider,
            url=endpoint.ask_url or SEPAY_URL,
            token=sealer.unseal(
                endpoint.sealed_ask_token, org_id=org_id, object_id=endpoint.id
            ).decode(),
            account_number=number,
        )
        for endpoint, number in await session.execute(query)
        if endpoint.sealed_ask_token is not None
    ]


async def _ask_sepay(
    client: httpx.AsyncClient, question: Question, now: datetime
) -> Sequence[TransactionRow]:
    """Ask SePay's list of transactions and write each incoming row as its webhook would.

    Source: docs.sepay.vn, userapi/transactions/list; amounts are decimal strings ("2000.00").
    """
    since = (now - LOOK_BACK).astimezone(HANOI).strftime("%Y-%m-%d %H:%M:%S")
    answer = await _read_answer(
        client,
        f"{question.url}/userapi/transactions/list",
        params={
            "account_number": question.account_number,
            "transaction_date_min": since,
            "limit": ROWS_MAX,
        },
        token=question.token,
    )
    rows = msgspec.json.decode(answer)["transactions"]
    return [_to_webhook(row) for row in rows[:ROWS_MAX] if _whole_dong(row["amount_in"])]


async def _read_answer(
    client: httpx.AsyncClient, url: str, *, params: dict[str, str | int], token: str
) -> bytes:
    """Read an answer of at most ANSWER_BYTES_MAX; what is longer is not taken into memory.

    Raises:
        ProviderDidNotAnswer: it is longer.
        httpx.HTTPError: no answer, or another than 2xx.
    """
    # Not compressed: a small body could unpack into gigabytes.
    headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
    body = bytearray()
    async with client.stream(
        "GET", url, params=params, headers=headers, timeout=ANSWER_TIMEOUT_S
    ) as response:
        response.raise_for_status()
        async for part in response.aiter_raw():
            body += part
            if len(body) > ANSWER_BYTES_MAX:
                raise ProviderDidNotAnswer("The provider's answer is too large.")
    return bytes(body)


def _to_webhook(row: dict[str, str | None]) -> TransactionRow:
    transaction_id = row["id"]
    assert transaction_id is not None
    amount_vnd = _whole_dong(row["amount_in"])
    body = msgspec.json.encode(
        {
            "id": int(transaction_id),
            "gateway": row["bank_brand_name"],
            "transactionDate": row["transaction_date"],
            "accountNumber": row["account_number"],
            "subAccount": row["sub_account"] or None,
            "code": row["code"],
            "content": row["transaction_content"],
            "transferType": "in",
            "transferAmount": amount_vnd,
            "referenceCode": row["reference_number"],
            "accumulated": 0,
            "description": "",
        }
    )
    return TransactionRow(transaction_id=str(int(transaction_id)), amount_vnd=amount_vnd, body=body)


def _whole_dong(text: str | None) -> int:
    """Read "2000.00": VND has no minor unit, so the decimals are zero."""
    return int((text or "0").partition(".")[0])
