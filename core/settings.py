"""The settings of an operator, read once at the start from PHOPAY_… variables."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

# A database machine that vanished sends no goodbye. An idle connection to it is found dead after
# 5 + 3 × 2 = 11 s, one with unanswered bytes after 8 s; TCP's own default is two hours. The tools
# of ops/ use these; hub and worker what is set.
TCP_KEEPALIVES_IDLE_S: Final = 5
TCP_KEEPALIVES_INTERVAL_S: Final = 2
TCP_KEEPALIVES_COUNT: Final = 3
TCP_USER_TIMEOUT_MS: Final = 8_000
# One write for many callers; above it each gets Busy and comes back (database_write_timeout_s).
WRITE_TIMEOUT_S: Final = 6.0
ENV_PREFIX: Final = "PHOPAY_"
POLL_EVERY_S_MIN: Final = 60  # as of an account that has its own interval (poll_windows)
ORG_CODE: Final = re.compile(r"[2-9A-Z]{4}")
SECRET_KEY_CHARS_MIN: Final = 43  # 32 bytes in base64, without its padding
# OWASP Password Storage Cheat Sheet, argon2id with t = 2 and p = 1. About 25 ms a hash.
PASSWORD_MEMORY_KIB: Final = 19_456


def read_origin(url: str) -> str | None:
    """Return "scheme://host:port" of an http or https address in lower case, or None without one.

    A port that is not there stays away; path, query, fragment and user are left out.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if port is None else f":{port}")


class WrongSettings(ValueError):
    """Settings that nothing can start with: a line for each, with its variable, never its value."""

    def __init__(self, problem: ValidationError) -> None:
        lines = []
        for error in problem.errors(include_input=False, include_context=False, include_url=False):
            said = error["msg"].removeprefix("Value error, ")
            variable = f"{ENV_PREFIX}{error['loc'][0]}".upper() if error["loc"] else ""
            is_named = not variable or said.startswith(ENV_PREFIX)
            lines.append(said if is_named else f"{variable}: {said}")
        super().__init__("\n".join(lines))


def is_secret_key(text: str) -> bool:
    """Whether a text can be an installation's secret key: neither cut off nor a placeholder.

    Not only what we make ourselves: `openssl rand -hex 32` is as good.
    """
    is_one_word = text.isascii() and text.isprintable() and " " not in text
    return is_one_word and len(text) >= SECRET_KEY_CHARS_MIN and "change" not in text.lower()


class Settings(BaseSettings):
    """Every setting, with its unit, its default and why. Secrets have no default.

    `DATABASE_URL` is the owner's address and only migrations use it; the hub and the worker connect
    with the roles `phopay_app`, `phopay_gate` and `phopay_worker`, whose passwords follow from
    `secret_key`.
    """

    # Values stay out of errors: they would stand in the log, the secret key and passwords too.
    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True
    )

    database_url: SecretStr  # PHOPAY_DATABASE_URL; the CLI fills it from DATABASE_URL
    app_database_url: SecretStr  # role phopay_app
    worker_database_url: SecretStr  # role phopay_worker
    gate_database_url: SecretStr  # role phopay_gate: the way into parking lots
    # Encrypts provider secrets and signs nothing else; lives outside the database, so that a
    # stolen backup holds no usable key. 32 bytes, URL-safe base64.
    secret_key: SecretStr
    # The key before the last change, so that what it sealed can still be opened (docs/tenancy.md).
    previous_secret_key: SecretStr | None = None
    public_url: str = "http://127.0.0.1:8000"  # how phones reach the hub; printed in links
    is_production: bool = False  # secure cookies, HSTS, no demo hints
    # One word per process for logs and for the database's application_name.
    process_name: str = "hub"
    log_format: Literal["console", "json"] = "json"
    # Whose X-Forwarded-For is accepted; nobody's by default.
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = ()
    # 16 connections serve a process on two cores; more only queue inside PostgreSQL.
    database_pool_size: int = Field(default=16, ge=2, le=200)
    # A request that waits longer for a connection is answered 503 and costs nobody else time.
    database_pool_timeout_s: int = Field(default=5, ge=1, le=60)
    # To connect takes milliseconds; a machine that is gone never answers.
    database_connect_timeout_s: int = Field(default=3, ge=2, le=60)
    # Seconds without a sign of life while connected and idle, between two probes, and how many
    # probes may stay unanswered; then unanswered bytes, in milliseconds. See the constants above.
    tcp_keepalives_idle_s: int = Field(default=TCP_KEEPALIVES_IDLE_S, ge=1, le=600)
    tcp_keepalives_interval_s: int = Field(default=TCP_KEEPALIVES_INTERVAL_S, ge=1, le=60)
    tcp_keepalives_count: int = Field(default=TCP_KEEPALIVES_COUNT, ge=1, le=10)
    tcp_user_timeout_ms: int = Field(default=TCP_USER_TIMEOUT_MS, ge=1_000, le=120_000)
    # A server that has not answered a statement by then is taken for gone, and the connection is
    # thrown away. Longer than statement_timeout_ms, by which a living server answers.
    database_response_timeout_s: float = Field(default=12.0, ge=1, le=300)
    # The same for one commit that many callers wait for (a provider gives up after some ten
    # seconds): longer than lock_timeout_ms, after which a living server gives way.
    database_write_timeout_s: float = Field(default=WRITE_TIMEOUT_S, ge=1, le=60)
    # /health/ready says "not ready" after this, sooner than a proxy's probe gives up.
    ready_timeout_s: float = Field(default=2.0, ge=0.1, le=30)
    # No statement of a request needs longer; a runaway one must not hold locks.
    statement_timeout_ms: int = Field(default=10_000, ge=100)
    # Waiting for a row lock longer than this answers "busy" (RELIABILITY.md F25).
    lock_timeout_ms: int = Field(default=3_000, ge=50)
    # A signed-in browser that asks nothing for this long is signed out: one market day.
    sign_in_idle_s: int = Field(default=12 * 3_600, ge=300)
    # However busy, a session ends: a stolen cookie is worth a week at most.
    sign_in_max_s: int = Field(default=7 * 86_400, ge=3_600)
    # Memory of one password's hash. Less spares tests their time, and is refused where anybody but
    # this machine could reach the hub.
    password_memory_kib: int = Field(default=PASSWORD_MEMORY_KIB, ge=64)
    # A request's body; routes that take batches or pictures say their own limit.
    body_bytes_max: int = Field(default=65_536, ge=1_024)
    # Open screens of one process; each holds a connection and about 60 kB.
    streams_max: int = Field(default=2_000, ge=1)
    # Where sandbox endpoints may be polled: "http://127.0.0.1:8300,https://…". Not what
    # any tenant types: the hub would knock at doors of its own network. The demo sets its own.
    sandbox_origins: Annotated[tuple[str, ...], NoDecode] = ()
    # Where toll requests of live organisations may go: no contract is known, so nowhere unless the
    # operator of the hub says so. Those of test organisations go to a sandbox.
    toll_origins: Annotated[tuple[str, ...], NoDecode] = ()
    # Where Prometheus reads this process's metrics: nowhere unless a port is named, and then on
    # this machine only unless an address is. Each process has its own port: the worker this one,
    # hubs the next ones (docs/production.md).
    metrics_port: int | None = Field(default=None, ge=1, le=65_535)
    metrics_host: str = "127.0.0.1"
    # Where webhooks of one organisation may go besides public hosts by https on port 443:
    # "HKXM=http://10.0.0.5:8080", a machine inside. No other tenant may knock there.
    webhook_origins: Annotated[tuple[str, ...], NoDecode] = ()
    bill_valid_for_s: int = Field(default=900, ge=30, le=86_400)  # 15 min, DESIGN.md
    # Credits are still watched for after expiry this long before the sweep expires the bill.
    bill_monitored_for_s: int = Field(default=86_400, ge=0, le=30 * 86_400)
    # Each account of a provider with a pull API is polled so often for what its callbacks lost;
    # 0: never, and outages are caught up with all the same; not more often than every minute.
    poll_every_s: int = Field(default=900, ge=0, le=86_400)
    data_dir: Path = Path(".phopay")
    # Photos of vehicles; hub and worker share the folder. In data_dir unless said.
    photo_dir: Path | None = None
    # Evidence for a complaint, and no longer: personal data.
    photo_kept_days: int = Field(default=90, ge=1, le=3_650)
    # Within so many working days a complaint is to be answered; its page promises the day.
    complaint_working_days: int = Field(default=3, ge=1, le=30)
    # What payers of one organisation may have sent in a day to accounts that they typed by the
    # link of their bill. Links are passed on: this bounds what a stolen one is worth. 0: none.
    refund_link_vnd_per_day: int = Field(default=5_000_000, ge=0, le=10_000_000_000)
    # Files of statements that one organisation may keep: they are evidence and never deleted, so
    # more room is all that helps who has used it up. In the database; a tenth of it for a CSV.
    statement_gib_per_org: int = Field(default=5, ge=1, le=10_000)

    @property
    def statement_bytes_per_org(self) -> int:
        """The same in bytes."""
        return self.statement_gib_per_org * 1024**3

    @field_validator(
        "trusted_proxies", "sandbox_origins", "toll_origins", "webhook_origins", mode="before"
    )
    @classmethod
    def split_commas(cls, value: object) -> object:
        """Read "10.0.0.1,10.0.0.2" as two addresses."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("webhook_origins")
    @classmethod
    def refuse_origins_of_everybody(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse to start on an inner address that is not one organisation's."""
        for entry in value:
            code, _, origin = entry.partition("=")
            if not ORG_CODE.fullmatch(code) or origin != read_origin(origin):
                msg = (
                    "PHOPAY_WEBHOOK_ORIGINS: each must be an organisation's code and its receiver,"
                    " like HKXM=http://10.0.0.5:8080"
                )
                raise ValueError(msg)
        return value

    @field_validator("sandbox_origins", "toll_origins")
    @classmethod
    def refuse_paths(cls, value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        """Refuse to start on what is not scheme, host and perhaps port, in lower case."""
        for origin in value:
            if origin != read_origin(origin):
                name = f"{ENV_PREFIX}{info.field_name}".upper()
                msg = f"{name}: each must look like http://127.0.0.1:8300"
                raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def refuse_impatience(self) -> Self:
        """Refuse to start where a living server would be taken for a dead one."""
        if self.database_response_timeout_s * 1_000 <= self.statement_timeout_ms:
            msg = (
                "PHOPAY_DATABASE_RESPONSE_TIMEOUT_S must be longer than PHOPAY_STATEMENT_TIMEOUT_MS"
            )
            raise ValueError(msg)
        if self.database_write_timeout_s * 1_000 <= self.lock_timeout_ms:
            msg = "PHOPAY_DATABASE_WRITE_TIMEOUT_S must be longer than PHOPAY_LOCK_TIMEOUT_MS"
            raise ValueError(msg)
        return self

    @field_validator("poll_every_s")
    @classmethod
    def refuse_hurry(cls, value: int) -> int:
        """Refuse to start where providers would be asked more than once a minute."""
        if 0 < value < POLL_EVERY_S_MIN:
            msg = f"PHOPAY_POLL_EVERY_S must be 0 (never), or {POLL_EVERY_S_MIN} or more"
            raise ValueError(msg)
        return value

    @field_validator("secret_key")
    @classmethod
    def refuse_placeholder(cls, value: SecretStr) -> SecretStr:
        """Refuse to start on a placeholder or a short key."""
        if not is_secret_key(value.get_secret_value()):
            msg = "PHOPAY_SECRET_KEY must be 32 random bytes in URL-safe base64"
            raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def refuse_cheap_hashes(self) -> Self:
        """Refuse to store passwords cheaply in production, or where the hub has a public name."""
        is_cheap = self.password_memory_kib < PASSWORD_MEMORY_KIB
        is_local = urlsplit(self.public_url).hostname in ("127.0.0.1", "::1", "localhost")
        if is_cheap and (self.is_production or not is_local):
            msg = f"PHOPAY_PASSWORD_MEMORY_KIB must be {PASSWORD_MEMORY_KIB} or more"
            raise ValueError(msg)
        return self


def read_settings() -> Settings:
    """Read the settings of this process from its environment.

    Raises:
        WrongSettings: one is missing or cannot be.
    """
    try:
        return Settings()  # type: ignore[call-arg]  # from PHOPAY_… variables
    except ValidationError as problem:
        raise WrongSettings(problem) from None
