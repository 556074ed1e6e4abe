"""payOS's merchant API in the sandbox when it goes wrong, as payOS's own SDK sees it."""

from typing import Any

import httpx
import pytest
from payos import PayOS
from payos.types import CreatePaymentLinkRequest

from tests.world.sandboxes import subscribe

KEYS = {"client_id": "shop", "api_key": "k3y", "secret": "s3cret-of-the-test"}
ORDER = 1_000_000_000_000_123


def an_sdk(sandbox: httpx.Client) -> PayOS:
    return PayOS(
        client_id=KEYS["client_id"],
        api_key=KEYS["api_key"],
        checksum_key=KEYS["secret"],
        base_url=str(sandbox.base_url),
        max_retries=0,
        timeout=1,
    )


def create(sdk: PayOS, *, description: str = "PPHKXM2345678") -> Any:
    return sdk.payment_requests.create(
        CreatePaymentLinkRequest(
            order_code=ORDER,
            amount=20_000,
            description=description,
            cancel_url="http://shop/c",
            return_url="http://shop/r",
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "is_there"), [("error_before", False), ("error_after", True), ("no_answer", True)]
)
def test_a_creation_that_went_wrong_is_or_is_not_carried_out_as_the_fault_says(
    sandbox: httpx.Client, fault: str, is_there: bool
) -> None:
    made = subscribe(sandbox, "payos", "", **KEYS)
    profile = {"api_fault": fault, "api_calls_left": 1}
    body = {"subscription": made["id"], "profile": profile}
    sandbox.post("/control/faults", json=body).raise_for_status()

    with an_sdk(sandbox) as sdk, pytest.raises(Exception, match=r".+"):
        create(sdk)

    counted = sandbox.get("/control/payment-requests").json()
    assert counted["by_status"] == ({"PENDING": 1} if is_there else {})
    with an_sdk(sandbox) as sdk:
        if is_there:
            assert sdk.payment_requests.get(ORDER).status == "PENDING"
        else:
            assert create(sdk).order_code == ORDER


def test_an_account_that_is_not_linked_takes_nine_characters(sandbox: httpx.Client) -> None:
    subscribe(sandbox, "payos", "", **KEYS, is_linked=False)

    with an_sdk(sandbox) as sdk:
        with pytest.raises(Exception, match="description"):
            create(sdk)
        assert create(sdk, description="M2345678X").description.endswith("M2345678X")
