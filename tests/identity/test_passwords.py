"""Passwords that are not taken: the login in disguise."""

import pytest

from identity.people.rules import check_password


@pytest.mark.parametrize(
    "spelling", ["dongdongdong", "Đồng Đồng Đồng", "ÐồngÐồngÐồng", "Ɖồng ðồng ɖồng"]
)
def test_a_login_is_no_password_however_its_d_is_written(spelling: str) -> None:
    codes = [fault.code for fault in check_password(spelling, "dongdongdong")]

    assert codes == ["password_like_login"]
