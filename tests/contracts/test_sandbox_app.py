"""The bank app: paying by a pasted text, a picture or a program, and being refused."""

import re
from io import BytesIO

import httpx
import pytest
import qrcode

from sandbox.payment_requests import qr_text
from tests.world.constants import MB
from tests.world.sandboxes import SANDBOX_ACCOUNT, SANDBOX_ACCOUNT_KEY, subscribe

PAYLOAD = qr_text(MB, SANDBOX_ACCOUNT["number"], 20_000, "PPMOXA234567K")


def picture_of(payload: str, kind: str = "PNG") -> bytes:
    file = BytesIO()
    qrcode.make(payload).convert("RGB").save(file, kind)
    return file.getvalue()


def static_code() -> str:
    """The stall's printed code: no amount, no memo."""
    from payments.vietqr.crc import crc16

    text = (
        "00020101021138540010A00000072701240006970422011009880001110208QRIBFTTA"
        "530370458" + "02VN6304"
    )
    return text + crc16(text.encode())


def review(sandbox: httpx.Client, payload: str, **facts: str) -> dict[str, str]:
    """Open the review page; returns the hidden and visible fields of its form."""
    page = sandbox.post("/app/review", data={"payload": payload, "payer": "a", **facts})
    assert page.status_code == 200, page.text
    fields = re.findall(r"<input[^>]*>", page.text)
    named = {
        match[1]: (value[1] if (value := re.search(r'value="([^"]*)"', field)) else "")
        for field in fields
        if (match := re.search(r'name="([^"]+)"', field))
    }
    return {**named, "page": page.text}


def confirm(sandbox: httpx.Client, form: dict[str, str]) -> httpx.Response:
    sent = {name: value for name, value in form.items() if name != "page"}
    return sandbox.post("/app/confirm", data=sent, follow_redirects=True)


def test_a_pasted_code_is_reviewed_confirmed_and_receipted(sandbox: httpx.Client) -> None:
    form = review(sandbox, PAYLOAD)
    assert SANDBOX_ACCOUNT["holder"] in form["page"]
    assert "20.000\u00a0₫" in form["page"]
    assert form["memo"] == "PPMOXA234567K"
    assert "amount" not in form

    receipt = confirm(sandbox, form)

    assert 'data-test="receipt"' in receipt.text
    [ft] = re.findall(r'data-test="ft">(FT\d{14})<', receipt.text)
    paid = sandbox.get(f"/api/payments/{ft}").json()
    assert (paid["amount_vnd"], paid["memo"]) == (20_000, "PPMOXA234567K")


def test_a_confirmation_sent_twice_pays_once(sandbox: httpx.Client) -> None:
    form = review(sandbox, PAYLOAD)
    first, second = confirm(sandbox, form), confirm(sandbox, form)
    assert str(first.url) == str(second.url)
    assert sandbox.get("/control/log").json()["counts"]["lines"] == 1


def test_the_amount_of_a_dynamic_code_cannot_be_changed(sandbox: httpx.Client) -> None:
    receipt = confirm(sandbox, {**review(sandbox, PAYLOAD), "amount": "1"})
    assert "20.000\u00a0₫" in receipt.text


def test_the_memo_can_be_changed_as_payers_do(sandbox: httpx.Client) -> None:
    confirm(sandbox, {**review(sandbox, PAYLOAD), "memo": "tien rau"})
    [line] = sandbox.get("/control/log").json()["lines"]
    assert line["typed_memo"] == "tien rau"


def test_a_printed_code_asks_for_the_amount(sandbox: httpx.Client) -> None:
    form = review(sandbox, static_code())
    assert form["amount"] == ""
    assert "35.000" in confirm(sandbox, {**form, "amount": "35.000"}).text


@pytest.mark.parametrize(
    ("amount", "told"),
    [
        ("", "Hãy nhập số tiền"),
        ("abc", "Hãy nhập số tiền"),
        ("0", "từ 1 đến"),
        ("500000000", "từ 1 đến"),
        ("300.000.000", "Số dư không đủ"),
    ],
)
def test_a_refusal_is_shown_in_words_and_moves_nothing(
    sandbox: httpx.Client, amount: str, told: str
) -> None:
    page = confirm(sandbox, {**review(sandbox, static_code()), "amount": amount})
    assert (page.status_code, told in page.text) == (422, True)
    assert sandbox.get("/control/log").json()["lines"] == []


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_an_uploaded_picture_is_read(sandbox: httpx.Client, kind: str) -> None:
    page = sandbox.post(
        "/app/review", data={"payer": "b"}, files={"picture": ("qr", picture_of(PAYLOAD, kind))}
    )
    assert SANDBOX_ACCOUNT["holder"] in page.text
    assert "TRAN THI B" in page.text


def test_a_camera_frame_is_decoded_and_an_empty_one_is_no_error(sandbox: httpx.Client) -> None:
    frame = sandbox.post("/app/decode", content=picture_of(PAYLOAD, "JPEG"))
    rubbish = sandbox.post("/app/decode", content=b"\x89PNG not really")
    assert frame.json() == {"payload": PAYLOAD}
    assert (rubbish.status_code, rubbish.json()["payload"]) == (200, "")


@pytest.mark.parametrize(
    "payload", ["", "rubbish", PAYLOAD[:-1] + "0", qr_text(MB, "404404", 1, "x")]
)
def test_what_cannot_be_paid_goes_back_to_the_first_page(
    sandbox: httpx.Client, payload: str
) -> None:
    page = sandbox.post("/app/review", data={"payload": payload, "payer": "a"})
    assert (page.status_code, 'role="alert"' in page.text) == (422, True)


def test_the_pages_speak_english_when_asked(sandbox: httpx.Client) -> None:
    assert "Pay from" in sandbox.get("/app?lang=en").text
    assert "Pay from" in sandbox.get("/app").text  # remembered
    assert "Trả từ tài khoản" in sandbox.get("/app?lang=vi").text


def test_a_program_pays_by_account_or_code(sandbox: httpx.Client) -> None:
    by_account = {**SANDBOX_ACCOUNT_KEY, "amount_vnd": 5_000, "memo": "m"}
    assert sandbox.post("/api/pay", json=by_account).json()["ft"].startswith("FT")
    short = {"payload": PAYLOAD, "amount_vnd": 19_999}
    assert sandbox.post("/api/pay", json=short).json()["amount_vnd"] == 19_999
    looked_up = sandbox.get("/api/look-up", params=SANDBOX_ACCOUNT_KEY).json()
    assert looked_up["holder"] == SANDBOX_ACCOUNT["holder"]


@pytest.mark.parametrize(
    ("wanted", "status", "code"),
    [
        ({}, 422, "bad_request"),
        ({"payload": "rubbish"}, 422, "code_unreadable"),
        ({**SANDBOX_ACCOUNT_KEY, "amount_vnd": "5000"}, 422, "bad_request"),
        ({**SANDBOX_ACCOUNT_KEY, "amount_vnd": 5000.5}, 422, "bad_request"),
        ({**SANDBOX_ACCOUNT_KEY, "amount_vnd": 5_000, "payer": "zz"}, 404, "account_unknown"),
        ({**SANDBOX_ACCOUNT_KEY, "amount_vnd": 3_000_001, "payer": "b"}, 422, "not_enough_money"),
        ({**SANDBOX_ACCOUNT_KEY, "amount_vnd": 500_000_000}, 422, "over_napas_limit"),
        ({"bin": MB, "number": "404404", "amount_vnd": 1}, 404, "account_unknown"),
    ],
)
def test_a_program_is_refused_with_a_code(
    sandbox: httpx.Client, wanted: dict[str, object], status: int, code: str
) -> None:
    answer = sandbox.post("/api/pay", json=wanted)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_every_page_has_the_strict_policy_and_no_page_has_inline_code(
    sandbox: httpx.Client,
) -> None:
    for path in ("/", "/app", "/control", "/app/receipt/FT0"):
        page = sandbox.get(path)
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<style|style=|\son[a-z]+=|<script(?![^>]*\ssrc=)", page.text)


def test_a_page_of_another_site_cannot_drive_the_sandbox(sandbox: httpx.Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site"}
    assert sandbox.post("/control/reset", json={}, headers=headers).status_code == 403
    assert sandbox.get("/app", headers=headers).status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_an_older_browser_is_known_by_its_origin(sandbox: httpx.Client, origin: str) -> None:
    """Browsers before 2023 send no Sec-Fetch-Site."""
    own = str(sandbox.base_url).rstrip("/")

    foreign = sandbox.post("/control/reset", json={}, headers={"Origin": origin})

    assert foreign.status_code == 403
    assert sandbox.post("/control/reset", json={}, headers={"Origin": own}).status_code != 403


def test_a_payos_order_has_a_page_that_leads_to_the_app(sandbox: httpx.Client) -> None:
    from tests.contracts.test_sandbox_payos_sdk import an_order, an_sdk

    subscribe(sandbox, "payos", "", client_id="shop-1", api_key="key-1")
    with an_sdk(sandbox) as sdk:
        order = an_order(sdk)
    path = order.checkout_url.removeprefix("http://127.0.0.1:8001")
    page = sandbox.get(path)
    assert "PENDING" in page.text
    [link] = re.findall(r'href="(/app\?payload=[^"]+)"', page.text)
    assert order.qr_code in sandbox.get(link.replace("&amp;", "&")).text
