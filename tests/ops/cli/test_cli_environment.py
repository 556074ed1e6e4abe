"""The environment of processes: addresses, derived passwords, secrets that lie in files."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

import ops.environment
from core.settings import Settings
from ops.database import restore_key
from ops.environment import (
    build_environment,
    derive_role_password,
    read_database_url,
    read_or_make_secret_key,
)
from ops.errors import CannotStart

NAMES = ["DATABASE_URL", "DATABASE_PASSWORD", "PHOPAY_DATABASE_URL", "PHOPAY_SECRET_KEY"]


@pytest.fixture(autouse=True)
def nothing_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


def test_the_first_start_makes_a_secret_key_that_only_its_owner_can_read(tmp_path: Path) -> None:
    key = read_or_make_secret_key(tmp_path / "data")

    assert (tmp_path / "data" / "secret_key").stat().st_mode & 0o777 == 0o600
    assert read_or_make_secret_key(tmp_path / "data") == key
    assert read_or_make_secret_key(tmp_path / "other") != key


def test_of_two_first_starts_at_once_one_makes_the_key_and_both_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other starts at the worst moment: when the first is about to write its key."""
    others: list[str] = []
    draw = ops.environment.secrets.token_bytes

    def draw_while_another_starts(count: int) -> bytes:
        monkeypatch.setattr(ops.environment.secrets, "token_bytes", draw)
        others.append(read_or_make_secret_key(tmp_path))
        return draw(count)

    monkeypatch.setattr(ops.environment.secrets, "token_bytes", draw_while_another_starts)

    assert [read_or_make_secret_key(tmp_path)] == others
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


@pytest.mark.parametrize("text", ["", "\n", "k" * 42, "k" * 20 + " " + "k" * 22, "khoá " * 9])
def test_nothing_is_derived_from_a_key_file_that_holds_no_key(tmp_path: Path, text: str) -> None:
    path = tmp_path / "secret_key"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(CannotStart, match="secret_key") as refused:
        read_or_make_secret_key(tmp_path)
    backup, new = tmp_path, tmp_path / "new"
    with pytest.raises(CannotStart):
        restore_key(backup, new)

    assert path.read_text(encoding="utf-8") == text
    assert not (new / "secret_key").exists()
    assert "kkk" not in str(refused.value)


@pytest.mark.parametrize("text", ["", " ", "short", "please-change-me" * 3])
def test_a_given_key_that_is_none_is_refused_and_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    (tmp_path / "key").write_text(text, encoding="utf-8")
    monkeypatch.setenv("PHOPAY_SECRET_KEY_FILE", str(tmp_path / "key"))

    with pytest.raises(CannotStart, match="PHOPAY_SECRET_KEY"):
        read_or_make_secret_key(tmp_path / "data")
    assert not (tmp_path / "data" / "secret_key").exists()


def test_a_key_out_of_a_backup_is_stored_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    key = read_or_make_secret_key(tmp_path / "backup")

    restore_key(tmp_path / "backup", tmp_path / "new")

    assert read_or_make_secret_key(tmp_path / "new") == key
    assert (tmp_path / "new" / "secret_key").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["secret_key"]


def test_the_environment_is_what_the_settings_accept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = read_or_make_secret_key(tmp_path)
    built = build_environment("postgresql://owner:a%2Fb@db:5432/hub", key, tmp_path)
    for name, value in built.items():
        monkeypatch.setenv(name, value)

    settings = Settings()  # type: ignore[call-arg]  # from the environment

    app = urlsplit(settings.app_database_url.get_secret_value())
    assert (app.username, app.hostname, app.path) == ("phopay_app", "db", "/hub")
    assert app.password == derive_role_password(key, "phopay_app")
    assert settings.data_dir == tmp_path.resolve()


def test_each_role_and_each_key_has_a_password_of_its_own() -> None:
    made = {derive_role_password(key, role) for key in ("a", "b") for role in ("app", "worker")}
    assert len(made) == 4


def test_what_an_administrator_set_by_hand_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PHOPAY_APP_DATABASE_URL", "postgresql://phopay_app@pooler:6432/hub")
    built = build_environment("postgresql://owner:p@db/hub", "key", tmp_path)
    assert "pooler:6432" in built["PHOPAY_APP_DATABASE_URL"]
    assert "@db" in built["PHOPAY_WORKER_DATABASE_URL"]


def test_secrets_may_lie_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text("p@ss/word\n", encoding="utf-8")
    (tmp_path / "key").write_text("k" * 43 + "\n", encoding="utf-8")
    monkeypatch.setenv("DATABASE_URL", "postgresql://owner@db/hub")
    monkeypatch.setenv("DATABASE_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("PHOPAY_SECRET_KEY_FILE", str(tmp_path / "key"))

    assert read_database_url() == "postgresql://owner:p%40ss%2Fword@db/hub"
    assert read_or_make_secret_key(tmp_path / "data") == "k" * 43


@pytest.mark.parametrize("url", ["mysql://a:b@c/d", "no address", "postgresql://host/db"])
def test_an_address_that_cannot_work_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    with pytest.raises(CannotStart, match="postgresql://"):
        read_database_url()


def test_an_empty_file_of_an_address_is_not_taken_for_no_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "url").write_text("\n", encoding="utf-8")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    with pytest.raises(CannotStart, match="DATABASE_URL_FILE"):
        read_database_url()


def test_a_secret_file_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL_FILE", "/nowhere/url")
    with pytest.raises(CannotStart, match="/nowhere/url"):
        read_database_url()
