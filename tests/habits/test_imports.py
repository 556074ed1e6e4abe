"""Contracts of imports against the files: those that name modules one by one name all of them."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# import-linter's wildcards stand for whole names only, so "queries_*" has to be written out.
SAID_BY_A_WILDCARD = {"rules", "models", "queries"}


def modules_called(*parts: str) -> Iterator[str]:
    """The domain's modules that are called so: "rules" finds rules, owners_rules, rules_x."""
    for package in ("core", "identity", "payments"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if set(parts) & set(path.stem.split("_")) and path.stem not in SAID_BY_A_WILDCARD:
                yield ".".join(path.relative_to(ROOT).with_suffix("").parts)


def read_contract(name: str) -> dict[str, Any]:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (found,) = [one for one in contracts["contracts"] if one["name"].startswith(name)]
    return dict(found)


def test_every_module_of_rules_is_held_to_be_pure() -> None:
    pure = set(read_contract("Rules are pure")["source_modules"])
    assert set(modules_called("rules")) == pure - {"**.rules"}


def test_no_module_of_sql_is_open_to_rules() -> None:
    forbidden = set(read_contract("Rules are pure")["forbidden_modules"])
    assert set(modules_called("queries", "models", "sql")) <= forbidden
