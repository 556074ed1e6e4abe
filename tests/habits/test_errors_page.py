"""docs/errors.md lists every error that the hub can answer, and nothing else."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import api
import city
import core
import identity
import parking
import payments
from api.http.errors import status_of
from core.errors import HubError

PAGE = Path(__file__).parents[2] / "docs/errors.md"


def all_errors() -> list[type[HubError]]:
    """Every error class of the hub, by code."""
    for package in (core, identity, payments, parking, city, api):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            importlib.import_module(module.name)
    ours = ("core", "identity", "payments", "parking", "city", "api")
    found = {error for error in walk(HubError) if error.__module__.partition(".")[0] in ours}
    return sorted((e for e in found if hasattr(e, "code")), key=lambda e: (e.code, e.__module__))


def walk(base: type[HubError]) -> Iterator[type[HubError]]:
    for child in base.__subclasses__():
        yield child
        yield from walk(child)


def write_row(error: type[HubError]) -> str:
    """Write an error's row as the page has it, but for the last column."""
    fact = " ".join((error.__doc__ or "").split("\n\n")[0].split())
    return f"| `{error.code}` | {status_of(error)} | {error.title} | {fact} |"


def test_the_page_lists_every_error_with_its_status_title_and_meaning() -> None:
    rows = set(re.findall(r"^(\| `\w+` \|.*\|) [^|]+ \|$", PAGE.read_text(), re.MULTILINE))
    wanted = {write_row(error) for error in all_errors()}

    missing, stale = sorted(wanted - rows), sorted(rows - wanted)
    assert not missing, "docs/errors.md lacks, before a last column of advice:\n" + "\n".join(
        missing
    )
    assert not stale, "docs/errors.md has rows of no error:\n" + "\n".join(stale)


def test_a_code_means_one_thing() -> None:
    by_code: dict[str, type[HubError]] = {}
    for error in all_errors():
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code), error
        assert by_code.setdefault(error.code, error) is error, f"{error.code} is used twice"


def test_an_error_says_in_words_what_it_means() -> None:
    for error in all_errors():
        assert error.__doc__, error
        assert error.__doc__ != HubError.__doc__
        assert error.title[0].isupper(), error
        assert not error.title.endswith("."), error
