"""The variables of every process of an installation: addresses, role passwords, the secret key.

Only one secret is stored, the secret key; the passwords of the database roles follow from it, so
nothing else has to be handed from one process to another or kept in step.
"""

import base64
import hashlib
import hmac
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from core.settings import is_secret_key
from ops.errors import CannotStart
from ops.postgres.supervisor import Cluster

DATABASE = "phopay"
OWNER = "phopay_owner"
APP, GATE, WORKER = "phopay_app", "phopay_gate", "phopay_worker"
SERVICE_ROLES = (APP, GATE, WORKER)
SECRET_KEY_BYTES = 32
KEY_FILE_NAME = "secret_key"
SET_BY_HAND = (
    "PHOPAY_APP_DATABASE_URL",
    "PHOPAY_GATE_DATABASE_URL",
    "PHOPAY_WORKER_DATABASE_URL",
    "PHOPAY_PUBLIC_URL",
)


def read_or_make_secret_key(data_dir: Path) -> str:
    """Return the installation's secret key; the first start makes it, readable by us only.

    PHOPAY_SECRET_KEY or PHOPAY_SECRET_KEY_FILE goes first, for installations that keep their
    secrets elsewhere.

    Raises:
        CannotStart: what is given, or what lies in the folder, is no key.
    """
    if given := _read_secret("PHOPAY_SECRET_KEY"):
        if not is_secret_key(given):
            msg = (
                "PHOPAY_SECRET_KEY is no secret key: 32 random bytes in URL-safe base64.\n"
                "Nothing was changed. Give the key that this installation began with."
            )
            raise CannotStart(msg)
        return given
    path = data_dir / KEY_FILE_NAME
    if not path.exists():
        made = base64.urlsafe_b64encode(secrets.token_bytes(SECRET_KEY_BYTES)).decode("ascii")
        store_secret_key(data_dir, made)
    return read_key_file(path)


def store_secret_key(data_dir: Path, key: str) -> None:
    """Write the installation's key, whole or not at all, and never over one that is there.

    Of two first starts at the same instant one stores its key, and the other reads that.

    Raises:
        CannotStart: the folder cannot be written.
    """
    path = data_dir / KEY_FILE_NAME
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        descriptor, half_done = tempfile.mkstemp(prefix=f"{KEY_FILE_NAME}.", dir=data_dir)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(key + "\n")
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(half_done, path)  # a name that is there already stays what it is
        finally:
            os.unlink(half_done)
        flush(data_dir)
    except OSError as problem:
        msg = f"The secret key cannot be stored in {data_dir}: {problem.strerror}"
        raise CannotStart(msg) from problem


def read_key_file(path: Path) -> str:
    """Read a secret key from its file.

    Raises:
        CannotStart: there is none in it. Nothing may be derived from what is there instead: the
            roles would get passwords that anybody can compute.
    """
    try:
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else "it is no text"
        raise CannotStart(f"{path} cannot be read: {reason}.") from problem
    if not is_secret_key(key):
        what = "was cut off or changed" if key else "is empty"
        msg = (
            f"{path} should hold the secret key, and {what}.\n"
            "Nothing was changed. Put the key back into it: from where you keep it, or from a "
            "backup made with --with-key.\n"
            "Without it nothing opens what the installation has stored. Only where nothing was "
            "stored yet: delete the file and start again."
        )
        raise CannotStart(msg)
    return key


def flush(path: Path) -> None:
    """Wait until a file's contents, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only we may read, and wait until it is on the disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    flush(path)


def has_secret_key(data_dir: Path) -> bool:
    """Whether the installation's key is there, so that reading it would not make one."""
    given = ("PHOPAY_SECRET_KEY", "PHOPAY_SECRET_KEY_FILE")
    return any(os.environ.get(name) for name in given) or (data_dir / KEY_FILE_NAME).exists()


def derive_role_password(secret_key: str, role: str) -> str:
    """Return the password of one database role: an HMAC of its name under the secret key."""
    digest = hmac.new(secret_key.encode(), f"database-role:{role}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest.digest()).decode("ascii").rstrip("=")


def role_passwords(secret_key: str) -> dict[str, str]:
    """Return the passwords of all roles that PhoPay makes."""
    return {role: derive_role_password(secret_key, role) for role in (OWNER, *SERVICE_ROLES)}


def read_database_url() -> str | None:
    """Return the owner's address of an external database, or None for the embedded one.

    Read from PHOPAY_DATABASE_URL or DATABASE_URL, or from the file that either names with _FILE.
    Its password may lie in a file of its own, DATABASE_PASSWORD_FILE.
    """
    given = _read_secret("PHOPAY_DATABASE_URL") or _read_secret("DATABASE_URL")
    if not given:
        return None
    try:
        url = make_url(given)
    except ArgumentError as problem:
        raise CannotStart("DATABASE_URL is not an address of the form postgresql://…") from problem
    if url.get_backend_name() not in ("postgresql", "postgres") or not url.username:
        msg = "DATABASE_URL must look like postgresql://owner:password@host:5432/phopay"
        raise CannotStart(msg)
    if url.password is None and (password := _read_secret("DATABASE_PASSWORD")):
        url = url.set(password=password)
    return url.set(drivername="postgresql").render_as_string(hide_password=False)


def embedded_owner_url(cluster: Cluster, secret_key: str, *, database: str = DATABASE) -> str:
    """Return the owner's address in the embedded cluster."""
    return cluster.dsn(OWNER, database, derive_role_password(secret_key, OWNER))


def build_environment(
    owner_url: str, secret_key: str, data_dir: Path, *, public_url: str | None = None
) -> dict[str, str]:
    """Return the PHOPAY_… variables that core.settings.Settings reads, for one installation.

    Args:
        owner_url: postgresql:// address of the role that migrates.
        secret_key: the installation's key.
        data_dir: PhoPay's folder.
        public_url: how phones reach the hub, when it is not to stay the default.
    """
    url = make_url(owner_url)
    built = {
        "PHOPAY_DATABASE_URL": owner_url,
        "PHOPAY_APP_DATABASE_URL": _as_role(url, APP, secret_key),
        "PHOPAY_GATE_DATABASE_URL": _as_role(url, GATE, secret_key),
        "PHOPAY_WORKER_DATABASE_URL": _as_role(url, WORKER, secret_key),
        "PHOPAY_SECRET_KEY": secret_key,
        "PHOPAY_DATA_DIR": str(data_dir.resolve()),
    }
    if public_url:
        built["PHOPAY_PUBLIC_URL"] = public_url
    # What an administrator set by hand stands, such as a pooler's address for the application.
    return {**built, **{name: os.environ[name] for name in SET_BY_HAND if os.environ.get(name)}}


def _read_secret(name: str) -> str | None:
    """Read a variable, or the file that NAME_FILE names (how containers are given secrets)."""
    if value := os.environ.get(name):
        return value
    path = os.environ.get(f"{name}_FILE")
    if not path:
        return None
    try:
        value = Path(path).read_text(encoding="utf-8").strip()
    except OSError as problem:
        raise CannotStart(f"{name}_FILE: {path} cannot be read ({problem.strerror}).") from problem
    except UnicodeDecodeError as problem:
        raise CannotStart(f"{name}_FILE: {path} cannot be read (it is no text).") from problem
    if not value:  # not as if nothing had been said: that would be another database, another key
        raise CannotStart(f"{name}_FILE: {path} is empty.")
    return value


def _as_role(url: URL, role: str, secret_key: str) -> str:
    password = derive_role_password(secret_key, role)
    return url.set(username=role, password=password).render_as_string(hide_password=False)
