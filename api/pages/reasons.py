"""Words for reasons: a stored code and its facts, as a sentence in the reader's language."""

from collections.abc import Mapping
from typing import Any, Final

from api.http.i18n import translate, words_in
from core.money import format_vnd

# Facts that are codes themselves → the table of their words (words/*/reasons.toml).
CODED: Final = {
    "rule": "rule",
    "bill_status": "status",
    "to_status": "status",
    "fault": "fault",
    "differing": "differing",
    "resolution": "resolution",  # in the audit log
}


def present_reason(lang: str, code: str, facts: Mapping[str, Any]) -> str:
    """Say why something is what it is, with the words of a person that belong to it.

    A reason of another version of the hub, without words here, is shown as its code.
    """
    values = {
        name: value if name == "count" else present_fact(lang, name, value)
        for name, value in facts.items()
    }
    try:
        sentence = translate(lang, f"reasons.{code}", **values)
    except KeyError:
        return code
    if "words" in facts:
        return translate(lang, "reasons.with_words", sentence=sentence, words=facts["words"])
    return sentence


def present_fact(lang: str, name: str, value: Any) -> str:
    """Say one fact: an amount as money, a code in words, several with commas between."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    if name.endswith("_vnd"):
        return format_vnd(value)
    many = value if isinstance(value, list) else [value]
    return ", ".join(_word(lang, CODED.get(name), str(one)) for one in many)


def present_resolution(lang: str, resolution: str) -> str:
    """Say how a break was closed; what a person typed stays as it is."""
    return _word(lang, "resolution", resolution)


def present_refusal(lang: str, detail: str) -> str:
    """Say what was wrong with a message that was not accepted."""
    return _word(lang, "refused", detail)


def _word(lang: str, table: str | None, code: str) -> str:
    key = f"reasons.{table}.{code}"
    return translate(lang, key) if key in words_in("vi").texts else code
