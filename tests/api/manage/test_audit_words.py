"""Whatever the audit log records and webhooks send has its words in both languages."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from api.http.i18n import LANGUAGES, words_in
from api.manage.history import OBJECT_KINDS
from payments.webhooks.rules import GROUPS

ROOT = Path(__file__).parents[3]
ACTION = re.compile(r"[a-z_]+\.[a-z_]+")


def list_calls() -> Iterator[ast.Call]:
    for package in ("city", "parking", "payments", "identity", "ops"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                name = getattr(getattr(node, "func", None), "attr", None) or getattr(
                    getattr(node, "func", None), "id", ""
                )
                if isinstance(node, ast.Call) and "record" in name:
                    yield node


def texts_of(call: ast.Call) -> Iterator[str]:
    for one in (*call.args, *(keyword.value for keyword in call.keywords)):
        for node in ast.walk(one):  # one of two, too
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def test_every_recorded_action_has_its_words() -> None:
    actions = {text for call in list_calls() for text in texts_of(call) if ACTION.fullmatch(text)}

    assert len(actions) > 20  # the reading of the code works
    for lang in LANGUAGES:
        texts = words_in(lang).texts
        missing = {a for a in actions if f"manage.action.{a.replace('.', '_')}" not in texts}
        assert missing == set(), lang


def test_every_kind_of_object_has_its_word_and_can_be_filtered_for() -> None:
    kinds = {
        keyword.value.value
        for call in list_calls()
        for keyword in call.keywords
        if keyword.arg == "object_kind" and isinstance(keyword.value, ast.Constant)
    }

    assert len(kinds) > 5
    assert kinds <= set(OBJECT_KINDS)
    for lang in LANGUAGES:
        assert {f"manage.object.{kind}" for kind in kinds} <= words_in(lang).texts.keys()


def test_every_group_of_webhook_events_has_its_word() -> None:
    for lang in LANGUAGES:
        wanted = {f"webhooks.group.{one.removesuffix('.*')}" for one in GROUPS}
        assert wanted <= words_in(lang).texts.keys()


def test_every_fact_has_its_word() -> None:
    facts = {
        key.value
        for call in list_calls()
        for keyword in call.keywords
        if keyword.arg in ("before", "after")
        for node in ast.walk(keyword.value)
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant) and not str(key.value).endswith("_id")
    }

    assert len(facts) > 10
    for lang in LANGUAGES:
        texts = words_in(lang).texts
        assert {fact for fact in facts if f"manage.fact.{fact}" not in texts} == set(), lang
