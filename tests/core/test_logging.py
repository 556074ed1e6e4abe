"""The contents of a log line."""

import pytest

from core.masking import mask_path


@pytest.mark.parametrize(
    ("path", "written"),
    [
        ("/p/HKXM-abcdefghijklmnopqrstu", "/p/HKXM-…"),
        ("/p/HKXM-abcdefghijklmnopqrstu/qr.svg", "/p/HKXM-…/qr.svg"),
        ("/v1/callbacks/HKXM-abc_DEF-0123456789/x", "/v1/callbacks/HKXM-…/x"),
        ("/v1/bills/01a2009e-289d-705a-82d9-e20a79e86559",) * 2,
        ("/counter",) * 2,
    ],
)
def test_token_in_an_address_is_not_written_down(path: str, written: str) -> None:
    assert mask_path(path) == written
