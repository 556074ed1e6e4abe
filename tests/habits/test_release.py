"""The version: the same wherever it stands."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from api.http.openapi import VERSION
from tests.migrations.releases import NEWEST_RELEASE, frozen_file

ROOT = Path(__file__).parents[2]


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    release = version.rpartition(".")[0]
    locked = json.loads((ROOT / "api/frontend/package-lock.json").read_text())
    changes = re.findall(r"^## (\d\S*), ", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert version == VERSION
    assert json.loads((ROOT / "api/frontend/package.json").read_text())["version"] == version
    assert {locked["version"], locked["packages"][""]["version"]} == {version}
    assert f"\nVersion {release}, " in (ROOT / "README.md").read_text()
    assert changes[0] == release
    assert release == NEWEST_RELEASE
    assert frozen_file(release).exists()


def test_the_command_line_says_the_version() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "ops.cli", "version"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )

    assert said.stdout.strip() == VERSION
