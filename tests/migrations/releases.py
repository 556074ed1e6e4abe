"""Releases: the newest migration of each, its frozen data, and what may not change again."""

from hashlib import sha256
from pathlib import Path
from typing import Final

RELEASES: Final = {"0.2": "m0014", "0.3": "m0029"}
NEWEST_RELEASE: Final = list(RELEASES)[-1]

DATA: Final = Path(__file__).parent / "data"
HASHES: Final = DATA / "released_migrations.txt"  # as sha256sum writes it


def frozen_file(release: str) -> Path:
    """Return where the rows of a release lie."""
    return DATA / f"release_{release.replace('.', '_')}.sql"


def hash_migrations(folder: Path, *, until: str) -> dict[str, str]:
    """Return the SHA-256 of each migration up to a revision, by its file's name."""
    return {
        path.name: sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.glob("*_*.py"))
        if path.name.partition("_")[0] <= until
    }


def write_hashes(folder: Path, *, until: str) -> None:
    """Write down what belongs to releases from now on."""
    hashes = hash_migrations(folder, until=until)
    HASHES.write_text("".join(f"{digest}  {name}\n" for name, digest in hashes.items()))


def find_changed(folder: Path, *, until: str) -> list[str]:
    """Name the migrations up to a revision that are not as they were released; [] is as it must be.

    One that was changed, one that is gone, and one that was put between them.
    """
    lines = (line.split("  ") for line in HASHES.read_text().splitlines())
    released = {name: digest for digest, name in lines}
    found = hash_migrations(folder, until=until)
    return sorted(dict(released.items() ^ found.items()))
