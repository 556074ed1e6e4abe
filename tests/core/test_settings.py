"""Settings that a hub refuses to start with."""

import pytest
from pydantic import SecretStr, ValidationError

from core.settings import PASSWORD_MEMORY_KIB, Settings
from identity.people.passwords import Passwords

HERE = "http://127.0.0.1:8000"


def read(**given: object) -> Settings:
    nowhere = SecretStr("postgresql://nobody@127.0.0.1:9/none")
    facts = {
        "database_url": nowhere,
        "app_database_url": nowhere,
        "worker_database_url": nowhere,
        "secret_key": SecretStr("k" * 43),
    }
    return Settings.model_validate({**facts, **given})


@pytest.mark.parametrize(
    ("public_url", "is_production"),
    [
        (HERE, True),
        ("https://thu.example.vn", True),
        ("https://thu.example.vn", False),
        ("http://192.168.1.20:8000", False),
        ("http://127.0.0.1.example.vn", False),
    ],
)
def test_cheap_password_hashes_are_refused_wherever_others_reach_the_hub(
    public_url: str, is_production: bool
) -> None:
    where = {"public_url": public_url, "is_production": is_production}

    with pytest.raises(ValidationError, match="PHOPAY_PASSWORD_MEMORY_KIB"):
        read(password_memory_kib=PASSWORD_MEMORY_KIB - 1, **where)
    assert read(password_memory_kib=PASSWORD_MEMORY_KIB, **where)
    assert read(**where).password_memory_kib == PASSWORD_MEMORY_KIB


@pytest.mark.parametrize("public_url", [HERE, "http://localhost:8000", "http://[::1]:8000"])
def test_tests_on_this_machine_may_hash_cheaply(public_url: str) -> None:
    assert read(password_memory_kib=64, public_url=public_url).password_memory_kib == 64


@pytest.mark.anyio
async def test_a_password_costs_what_owasp_asks_unless_told_otherwise() -> None:
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in await Passwords().hash("phở bò tái chín")
    assert "$argon2id$v=19$m=64,t=2,p=1$" in await Passwords(memory_kib=64).hash("phở gà")
