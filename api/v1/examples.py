"""Examples of requests and answers, shown in OpenAPI; a test holds them valid."""

from typing import Final

from pydantic import JsonValue

BILL_CREATE_EXAMPLE: Final[dict[str, JsonValue]] = {
    "payee_id": "01937c2e-7b1a-7c55-8d0e-3f6f0a5b9c11",
    "amount_vnd": 20_000,
    "purpose": "2 phở bò",
    "external_id": "HD-2026-000123",
    "valid_for_s": 900,
}
BILL_READ_EXAMPLE: Final[dict[str, JsonValue]] = {
    "id": "01a1f7a8-5b60-7d0c-9f3e-2a4b6c8d0e1f",
    "payee": {
        "id": "01937c2e-7b1a-7c55-8d0e-3f6f0a5b9c11",
        "name": "Phở gia truyền",
        "place": "Chợ Đồng Xa, dãy B, quầy 12",
    },
    "reference": "PPDXA22345678",
    "amount_vnd": 20_000,
    "paid_vnd": 0,
    "received_vnd": 0,
    "missing_vnd": 20_000,
    "status": "open",
    "is_late": False,
    "purpose": "2 phở bò",
    "external_id": "HD-2026-000123",
    "created_at": "2026-11-20T05:00:00Z",
    "expires_at": "2026-11-20T05:15:00Z",
    "monitor_until": "2026-11-21T05:15:00Z",
    "paid_at": None,
    "cancelled_at": None,
    "vietqr": "000201010212…6304ABCD",
    "rail": "vietqr",
    "code_state": "ready",
    "code_problem": None,
    "checkout_url": None,
    "receiving_account": {
        "id": "01937c2e-9c00-7a11-b222-c333d444e555",
        "bin": "970436",
        "bank": "Vietcombank",
        "account_number": "0123456789",
        "holder_name": "HO KINH DOANH B12",
    },
    "pay_url": "https://pay.example.vn/p/DXA2-q7Zc1vJw0mXo4uTnYb8sKg",
    "links": {
        "self": "/v1/bills/01a1f7a8-5b60-7d0c-9f3e-2a4b6c8d0e1f",
        "qr_svg": "/v1/bills/01a1f7a8-5b60-7d0c-9f3e-2a4b6c8d0e1f/qr.svg",
        "qr_png": "/v1/bills/01a1f7a8-5b60-7d0c-9f3e-2a4b6c8d0e1f/qr.png",
        "card_png": "/v1/bills/01a1f7a8-5b60-7d0c-9f3e-2a4b6c8d0e1f/card.png",
    },
}
CREDIT_EXAMPLE: Final[dict[str, JsonValue]] = {
    "id": "01a1f7a9-0c10-7e2d-8a4b-6c8d0e1f2a3b",
    "receiving_account_id": "01937c2e-9c00-7a11-b222-c333d444e555",
    "virtual_account": None,
    "payee_id": "01937c2e-7b1a-7c55-8d0e-3f6f0a5b9c11",
    "bill_id": "01a1f7a8-5b60-7d0c-9f3e-2a4b6c8d0e1f",
    "suggested_bill_id": None,
    "amount_vnd": 20_000,
    "applied_vnd": 20_000,
    "verdict": "settle",
    "rule": "memo_normalised",
    "reason": "bill_found",
    "reason_facts": {
        "reference": "PPDXA22345678",
        "rule": "memo_normalised",
        "bill_status": "open",
    },
    "is_late": False,
    "memo": "MBVCB.3278907687.ppdxa2 2345678.CT tu 0011 toi 0123",
    "payer_name": "NGUYEN VAN A",
    "payer_account": "…0011",
    "payer_bank": "970422",
    "provider": "sepay",
    "bank_reference": "FT26324000123",
    "occurred_at": "2026-11-20T05:01:02Z",
    "is_date_only": False,
    "received_at": "2026-11-20T05:01:04Z",
    "matched_at": "2026-11-20T05:01:04Z",
    "matched_by": None,
    "match_id": "01a1f7a9-0c11-7b3c-9d4e-5f6a7b8c9d0e",
}
ENDPOINT_CREATE_EXAMPLE: Final[dict[str, JsonValue]] = {
    "provider": "sepay",
    "name": "SePay chợ Đồng Xa",
    "account_ids": ["01937c2e-9c00-7a11-b222-c333d444e555"],
}
ACCOUNT_PROPOSE_EXAMPLE: Final[dict[str, JsonValue]] = {
    "bin": "970436",
    "account_number": "0123456789",
    "holder_name": "HO KINH DOANH B12",
}
# Name of the schema → its example. Not in the models: FastAPI would drop their nulls.
EXAMPLES: Final = {
    "BillCreate": BILL_CREATE_EXAMPLE,
    "BillRead": BILL_READ_EXAMPLE,
    "CreditRead": CREDIT_EXAMPLE,
    "CallbackEndpointCreate": ENDPOINT_CREATE_EXAMPLE,
    "AccountPropose": ACCOUNT_PROPOSE_EXAMPLE,
}
