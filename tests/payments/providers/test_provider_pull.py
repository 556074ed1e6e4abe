"""Requests of the pull adapters, and how they read responses, on bytes alone."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payments.providers import PROVIDERS, find_pull, list_pullable
from payments.providers.errors import Fault, PollFailed, ProviderRefusedToken, UnreadableNotice
from payments.providers.payos.webhook import sign_body
from payments.providers.protocol import Pull
from payments.providers.pulling import (
    PullCredentials,
    PullPage,
    PullQuery,
    PullRequest,
    PullResponse,
    rewrite_rows,
)
from payments.providers.types import EndpointSecrets

SINCE = datetime(2026, 11, 19, 18, 30, tzinfo=UTC)  # 01:30 on the 20th in Hà Nội
KEY = "checksum-key-of-the-test"
ORDER = "902118"


def a_query(**facts: Any) -> PullQuery:
    return PullQuery(
        **{
            "account_number": "0988000111",
            "order_ids": (ORDER,),
            "since": SINCE,
            "credentials": PullCredentials(token="t0ken", client_id="sh0p"),
            "secrets": EndpointSecrets(keys=(KEY,)),
            **facts,
        }
    )


def the_pull(provider: str) -> Pull:
    pull = find_pull(provider)
    assert pull is not None
    return pull


def the_request(provider: str, **facts: Any) -> PullRequest:
    (request,) = the_pull(provider).list_requests(a_query(**facts))
    return request


def read(provider: str, answer: object, *, status: int = 200, **facts: Any) -> PullPage:
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return the_pull(provider).read(
        PullResponse(status=status, body=body), the_request(provider), a_query(**facts)
    )


def payos_answer(rows: object, *, key: str = KEY, **facts: Any) -> dict[str, Any]:
    data = {"id": "link1", "orderCode": int(ORDER), "status": "PAID", "transactions": rows, **facts}
    return {"code": "00", "desc": "ok", "data": data, "signature": sign_body(data, key.encode())}


PAYOS_ROW: dict[str, Any] = {
    "reference": "FT26324000123",
    "amount": 20_000,
    "accountNumber": "0988000111",
    "description": "CSSW5YI4T28 PPMOXA234567K",
    "transactionDateTime": "2026-11-20T12:00:00+07:00",
    "virtualAccountName": None,
    "virtualAccountNumber": "VQRQAEJCI2814",
    "counterAccountBankId": None,
    "counterAccountBankName": None,
    "counterAccountName": None,
    "counterAccountNumber": None,
}
CASSO_ROW: dict[str, Any] = {
    "id": 5_789,
    "tid": "TF2104152395814062",
    "description": "Khanhnm chuyen tien",
    "amount": 20_000,
    "when": "2026-11-20T00:00:00",
    "bankSubAccId": "0988000111",
    "virtualAccount": "",
    "corresponsiveName": "NGUYEN VAN A",
}


SEPAY_ROW: dict[str, Any] = {
    "id": "92704",
    "account_number": "0988000111",
    "transaction_date": "2026-11-20 12:00:00",
    "amount_in": "20000.00",
    "transaction_content": "pho bo",
}


def test_every_provider_but_vietqrvn_can_be_polled_at_an_address_of_its_own() -> None:
    assert set(list_pullable()) == set(PROVIDERS) - {"vietqrvn"}
    for name, provider in PROVIDERS.items():
        url = provider.capabilities.pull_url
        assert provider.capabilities.can_be_pulled is (name in list_pullable())
        assert url is None or (url.startswith("https://") and url.count("/") == 2)


def test_each_is_pulled_as_it_documents() -> None:
    sepay, casso, payos = (the_request(name) for name in ("sepay", "casso", "payos"))

    assert sepay.path == "/userapi/transactions/list"
    assert sepay.params["transaction_date_min"] == "2026-11-20 01:30:00"
    assert sepay.headers == {"Authorization": "Bearer t0ken"}
    assert (casso.path, casso.params["fromDate"]) == ("/v2/transactions", "2026-11-20")
    assert (casso.params["sort"], casso.params["pageSize"]) == ("DESC", 100)
    assert casso.headers == {"Authorization": "Apikey t0ken"}
    assert payos.path == f"/v2/payment-requests/{ORDER}"
    assert payos.headers == {"x-client-id": "sh0p", "x-api-key": "t0ken"}
    assert "t0ken" not in repr([sepay, casso, payos, a_query()])


@pytest.mark.parametrize("order", ["", "../confirm-webhook", "7?x=1", "٧", "ORD-7"])
def test_what_is_no_order_code_gets_into_no_path(order: str) -> None:
    assert list(the_pull("payos").list_requests(a_query(order_ids=(order,)))) == []


def test_a_day_without_a_time_is_read_as_a_day() -> None:
    for when, is_date_only in (
        ("2026-11-20T00:00:00", True),
        ("2026-11-20 00:00:00", True),
        ("2026-11-20", True),
        ("2026-11-20 13:45:01", False),
    ):
        told = read("casso", {"error": 0, "data": {"records": [{**CASSO_ROW, "when": when}]}})
        [body] = told.bodies
        [transaction] = PROVIDERS["casso"].read(body).transactions
        assert transaction.is_date_only is is_date_only, when
        assert transaction.provider_transaction_id == "5789"
        assert transaction.bank_reference == "TF2104152395814062"
        assert transaction.payer_name == "NGUYEN VAN A"


def test_sepays_decimals_are_whole_dong_and_money_out_is_not_requested() -> None:
    row = {"id": "92704", "account_number": "1", "transaction_date": "2026-11-20 12:00:00"}
    rows = [
        {**row, "amount_in": "20000.00"},
        {**row, "amount_in": "0.00", "amount_out": "9.00"},
        {**row, "amount_in": "20000.50"},
        {**row, "amount_in": 20_000},
    ]

    told = read("sepay", {"transactions": rows})

    [body] = told.bodies
    [transaction] = PROVIDERS["sepay"].read(body).transactions
    assert (transaction.amount_vnd, transaction.provider_transaction_id) == (20_000, "92704")
    assert told.unreadable == 2


def test_an_order_of_payos_is_known_by_its_link_and_the_banks_reference() -> None:
    [body] = read("payos", payos_answer([PAYOS_ROW])).bodies
    [transaction] = PROVIDERS["payos"].read(body).transactions

    assert transaction.provider_transaction_id == "link1:FT26324000123"
    assert (transaction.provider_order_id, transaction.amount_vnd) == (ORDER, 20_000)
    assert transaction.occurred_at == datetime(2026, 11, 20, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    "answer",
    [
        payos_answer([PAYOS_ROW], key="another"),
        {**payos_answer([PAYOS_ROW]), "signature": ""},
        {**payos_answer([PAYOS_ROW]), "signature": None},
        payos_answer([PAYOS_ROW], orderCode=7),
        {**payos_answer([PAYOS_ROW]), "code": "20"},
    ],
)
def test_payos_is_not_accepted_unsigned_or_about_another_order(answer: dict[str, Any]) -> None:
    with pytest.raises(UnreadableNotice):
        read("payos", answer)


def test_a_checksum_key_that_is_being_changed_holds_for_answers_too() -> None:
    secrets = EndpointSecrets(keys=("the-new-key", KEY))
    assert read("payos", payos_answer([PAYOS_ROW]), secrets=secrets).bodies


def test_refusals_in_a_body_are_refusals() -> None:
    with pytest.raises(ProviderRefusedToken):
        read("payos", {"code": "401", "desc": "Thông tin xác thực không hợp lệ"})
    with pytest.raises(ProviderRefusedToken):
        read("casso", {"error": 401, "message": "Unauthorized"})


def test_an_order_that_payos_does_not_know_tells_of_no_money() -> None:
    assert read("payos", {"code": "101", "desc": "không tìm thấy"}) == PullPage()
    assert read("payos", b"", status=404) == PullPage()


@pytest.mark.parametrize("provider", ["sepay", "casso", "payos"])
def test_half_an_emoji_in_a_memo_is_read_as_its_callback_would_be(provider: str) -> None:
    memo = {"description": "pho bo \ud83d", "transaction_content": "pho bo \ud83d"}
    rows = [{**row, **memo} for row in (SEPAY_ROW, CASSO_ROW, PAYOS_ROW)]
    answer: dict[str, Any] = {"transactions": rows[:1]}
    if provider == "casso":
        answer = {"error": 0, "data": {"records": rows[1:2]}}
    elif provider == "payos":
        answer = payos_answer(rows[2:])

    told = read(provider, answer)

    [body] = told.bodies
    [transaction] = PROVIDERS[provider].read(body).transactions
    assert (transaction.memo, transaction.amount_vnd, told.unreadable) == ("pho bo", 20_000, 0)


@pytest.mark.parametrize(
    "problem",
    [
        UnreadableNotice(Fault.AMOUNT, "odd"),
        UnicodeEncodeError("utf-8", "\ud83d", 0, 1, "surrogates not allowed"),
        ValueError("too many digits"),
        OverflowError("beyond a double"),
        RecursionError("too deep"),
    ],
)
def test_a_row_that_cannot_be_written_hides_no_other(problem: Exception) -> None:
    def rewrite(row: dict[str, Any]) -> bytes:
        if row:
            raise problem
        return b"{}"

    assert rewrite_rows([{}, {"odd": 1}, {}], rewrite) == ((b"{}", b"{}"), 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            [*PAYOS_ROW, *CASSO_ROW, "transactions", "data", "records", "error", "code", "id",
             "amount_in", "account_number", "transaction_date", "signature", "orderCode"]
        ),
        inner,
        max_size=6,
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("provider", sorted(list_pullable()))
@given(answer=JSON, status=st.sampled_from([200, 204, 301, 404, 418, 500]))
@example(answer={"error": 0, "data": {"records": [CASSO_ROW] * 101}}, status=200)
@example(answer={"error": 0, "data": 7}, status=200)
def test_no_answer_raises_anything_but_what_is_documented(
    provider: str, answer: Any, status: int
) -> None:
    answers = [answer, {"transactions": [answer]}, {"error": 0, "data": {"records": [answer]}}]
    if provider == "payos":
        with suppress(UnreadableNotice):  # nobody can sign some
            answers.append(payos_answer([answer]))
    for one in answers:
        try:
            told = read(provider, one, status=status)
        except (UnreadableNotice, PollFailed):
            continue
        for body in told.bodies:
            try:
                PROVIDERS[provider].read(body)
            except UnreadableNotice:
                continue


@pytest.mark.parametrize("provider", sorted(list_pullable()))
@given(body=st.binary(max_size=60))
def test_no_bytes_raise_anything_but_what_is_documented(provider: str, body: bytes) -> None:
    try:
        read(provider, body)
    except (UnreadableNotice, PollFailed):
        return
