"""Templates read only what pages have: a name that was changed in one place alone is found here."""

import dataclasses
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from functools import cache

import pytest
from jinja2 import nodes

import api
import payments
from api.http.surfaces import TEMPLATES
from api.http.templating import make_environment

# What templates call on Python's own objects, Jinja's loops, and requests.
BUILT_IN = {
    *dir(str),
    *dir(dict),
    *dir(list),
    *("index", "index0", "first", "last", "length", "path", "url", "query_params"),
}


ENVIRONMENT = make_environment()
PATHS = {path.name: path for folder in TEMPLATES for path in sorted(folder.glob("*.html"))}


@cache  # every process collects these tests, and one runs them
def trees() -> dict[str, nodes.Template]:
    """Every template as Jinja reads it, by its name."""
    return {name: ENVIRONMENT.parse(path.read_text()) for name, path in PATHS.items()}


def list_known() -> Iterator[str]:
    """Every field, property and method of every class that api and the domain know by name."""
    for package in (api, payments):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for one in vars(importlib.import_module(module.name)).values():
                if inspect.isclass(one):
                    yield from (name for name in dir(one) if not name.startswith("_"))
                    if dataclasses.is_dataclass(one):
                        yield from (field.name for field in dataclasses.fields(one))
    for tree in trees().values():  # what one template makes and another imports
        yield from (macro.name for macro in tree.find_all(nodes.Macro))
        yield from (n.name for n in tree.find_all(nodes.Name) if n.ctx == "store")


@cache
def known() -> set[str]:
    return BUILT_IN | set(list_known())


@pytest.mark.parametrize("name", sorted(PATHS))
def test_whatever_a_template_reads_is_a_field_of_some_page(name: str) -> None:
    read = [node for node in trees()[name].find_all(nodes.Getattr) if not is_of_form(node)]

    unknown = [f"{one.attr} in line {one.lineno}" for one in read if one.attr not in known()]

    assert unknown == []


def is_of_form(node: nodes.Getattr) -> bool:
    """Whether a name is a key of what a person filled in: `page.form.holder`."""
    return isinstance(node.node, nodes.Getattr) and node.node.attr == "form"
