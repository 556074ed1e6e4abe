"""Settings that a hub refuses to start with."""

import pytest
from pydantic import SecretStr, ValidationError

from core.settings import PASSWORD_MEMORY_KIB, Settings, WrongSettings, read_settings
from identity.people.passwords import Passwords

HERE = "http://127.0.0.1:8000"


def read(**given: object) -> Settings:
    nowhere = SecretStr("postgresql://nobody@127.0.0.1:9/none")
    facts = {
        "database_url": nowhere,
        "app_database_url": nowhere,
        "worker_database_url": nowhere,
        "gate_database_url": nowhere,
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


def test_providers_are_polled_never_or_at_most_once_a_minute() -> None:
    for every_s in (0, 60, 86_400):
        assert read(poll_every_s=every_s).poll_every_s == every_s
    for every_s in (1, 59, 86_401):
        with pytest.raises(ValidationError):
            read(poll_every_s=every_s)


@pytest.mark.parametrize("public_url", [HERE, "http://localhost:8000", "http://[::1]:8000"])
def test_tests_on_this_machine_may_hash_cheaply(public_url: str) -> None:
    assert read(password_memory_kib=64, public_url=public_url).password_memory_kib == 64


@pytest.mark.anyio
async def test_a_password_costs_what_owasp_asks_unless_told_otherwise() -> None:
    assert "$argon2id$v=19$m=19456,t=2,p=1$" in await Passwords().hash("phở bò tái chín")
    assert "$argon2id$v=19$m=64,t=2,p=1$" in await Passwords(memory_kib=64).hash("phở gà")


GIVEN = {
    "PHOPAY_DATABASE_URL": "postgresql://owner:OWNERWORD@db/hub",
    "PHOPAY_APP_DATABASE_URL": "postgresql://app:APPWORD@db/hub",
    "PHOPAY_WORKER_DATABASE_URL": "postgresql://worker:WORKERWORD@db/hub",
    "PHOPAY_GATE_DATABASE_URL": "postgresql://gate:GATEWORD@db/hub",
    "PHOPAY_SECRET_KEY": "SECRETWORD" * 5,
}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PHOPAY_SECRET_KEY", "SECRETWORD"),
        ("PHOPAY_SECRET_KEY", ""),
        ("PHOPAY_SANDBOX_ORIGINS", "http://name:SECRETWORD@127.0.0.1:8300"),
        ("PHOPAY_WEBHOOK_ORIGINS", "http://10.0.0.5:8080"),  # of everybody
        ("PHOPAY_WEBHOOK_ORIGINS", "HKXM=http://10.0.0.5:8080/path"),
        ("PHOPAY_DATABASE_POOL_SIZE", "SECRETWORD"),
        ("PHOPAY_LOG_FORMAT", "SECRETWORD"),
        ("PHOPAY_IS_PRODUCTION", "SECRETWORD"),
        ("PHOPAY_PASSWORD_MEMORY_KIB", "1"),
        ("PHOPAY_PASSWORD_MEMORY_KIB", "64"),  # refused by a rule that sees all settings
        ("PHOPAY_STATEMENT_TIMEOUT_MS", "30000"),
        ("PHOPAY_LOCK_TIMEOUT_MS", "30000"),
    ],
)
def test_a_wrong_setting_is_named_and_no_value_is_shown(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    for name, given in {**GIVEN, "PHOPAY_IS_PRODUCTION": "true", variable: value}.items():
        monkeypatch.setenv(name, given)

    with pytest.raises(WrongSettings, match=variable) as refused:
        read_settings()
    with pytest.raises(ValidationError) as raw:
        Settings()  # type: ignore[call-arg]  # from the environment

    assert "WORD@" not in f"{refused.value}{raw.value}"
    assert "SECRETWORD" not in f"{refused.value}{raw.value}"
    assert "RWORD" not in f"{refused.value}{raw.value}"


def test_a_setting_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in GIVEN:
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(WrongSettings) as refused:
        read_settings()
    assert [line.partition(":")[0] for line in str(refused.value).splitlines()] == list(GIVEN)
