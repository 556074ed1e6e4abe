"""Plain English: phrases and names that read as translated, and how a module introduces itself."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKED = (
    *("api", "city", "core", "identity", "loadtests", "migrations", "ops", "parking", "payments"),
    *("registry", "sandbox", "worker", "docs", "tests"),
)
PAGES = ("CHANGELOG.md", "CONTRIBUTING.md", "README.md", "compose.yaml", "Dockerfile")
SUFFIXES = {".py", ".md", ".toml", ".html", ".js", ".yaml"}

# phrase, as a regular expression → what to write instead
DENIED = {
    r"in vain": "the poll failed; nothing was found",
    r"(?:is|are|was|were|does|do|did) \w+(?: \w+)? no more\b(?! than)": "no longer",
    r"not to be had": "could not be acquired; is not available",
    r"nobody shares": "one bad item cannot fail its batch",
    r"another's fate": "one bad item cannot fail its batch",
    r"told (?:again|twice|of)|told_again|tells? of": "repeated; reported",
    r"judg(?:e[sd]?|ing) (?:\w+ ){0,3}again": "rematched",
    r"hear(?:s|d|ing)? of": "is notified of; receives",
    r"can(?:not)? be asked|asking (?:back|a provider|providers)": "can be polled; polling",
    r"claim(?:s|ed|ing)?\b": "assign; lock",
    r"tellings|(?:a|an?other|contradicted|each|first|such) telling": "notice, report, duplicate",
    r"inquir\w+": "polling target, poll",
    r"vouchers?\b": "vouching",
    r"settlers?\b": "NoticeProcessor; processing",
    r"intakes?\b": "NoticeReceiver; receiving",
    r"desks?\b": "BillWriter, AccountRouting, ManagerContext, JobContext",
    r"gatherer\w*": "MicroBatcher",
    r"testimon\w+": "TransferEvidence",
    r"twice is like once": "idempotent",
    r"hear(?:Money|Cancelled|Corrected|HubTime)|heard(?:To|At)\b": "receive; set",
    r"unheard|who hear\b": "unanswered; notified",
    r"holder_told\w*|told_(?:vnd|bank|keys|wrong)": "confirmed; reported; named; shown",
    r"cancel_asked\w*|ask_to_cancel|asked_at\w*": "requested",
    r"duties_?not_?apart": "duties not separated",
    r"asks_bill_id|is_?asked_?again": "suggested; wanted",
}
# All at once: most files have none, and each phrase by itself takes as long as all of them.
ANY_PHRASE = re.compile(rf"(?<![A-Za-z])(?:{'|'.join(DENIED)})", re.IGNORECASE)
PHRASES = {re.compile(rf"(?<![A-Za-z])(?:{phrase})", re.IGNORECASE): phrase for phrase in DENIED}
# (file, phrase as it stands there) that means what it says.
ALLOWED = {
    ("sandbox/templates/control.html", "desk"),  # a class of its style sheet
    ("sandbox/templates/gates.html", "desk"),  # a class of its style sheet
    ("api/gate/static/gate_worker.js", "claim"),  # a name of the browser's
    ("docs/glossary.md", "claim"),  # the column of words that are not used
    ("docs/adr/0012-rooms-and-arrows.md", "claim"),  # names the word that was given up
}
QUESTION = re.compile(r"(?:What|Who|Which|Where|How|Why|When)\b")


def files() -> Iterator[Path]:
    for page in PAGES:
        yield ROOT / page
    for package in CHECKED:
        for path in sorted((ROOT / package).rglob("*")):
            is_made = {"node_modules", "vendor"} & {*path.parts}
            is_kept = path != Path(__file__) and not is_made
            if path.suffix in SUFFIXES and is_kept:
                yield path


def test_no_phrase_reads_as_translated() -> None:
    found = []
    for path in files():
        name = str(path.relative_to(ROOT))
        text = re.sub(r"\s*\n\s*(?:#|//)?\s*", " \n", path.read_text("utf-8"))
        for phrase, denied in PHRASES.items() if ANY_PHRASE.search(text) else ():
            for match in phrase.finditer(text):
                if (name, match[0].lower()) not in ALLOWED:
                    line = text.count("\n", 0, match.start()) + 1
                    found.append(f"{name}:{line}: {match[0]!r}: write {DENIED[denied]}")
    assert found == []


@pytest.mark.parametrize(
    "said",
    [
        *("was asked in vain", "is polled no more", "the settler's turn", "owners hear of it"),
        *("news.hearMoney(data)", "holder_told_at", "cancel_asked_at", "DutiesNotApart"),
    ],
)
def test_a_denied_phrase_is_found(said: str) -> None:
    assert any(phrase.search(said) for phrase in PHRASES)
    assert ANY_PHRASE.search(said)


def test_a_module_is_introduced_by_a_noun_phrase() -> None:
    asked = []
    for path in files():
        if path.suffix == ".py":
            text = path.read_text("utf-8")
            is_first = text.startswith('"""')  # nearly always, and then nothing need be parsed
            docstring = text[3:] if is_first else ast.get_docstring(ast.parse(text)) or ""
            if QUESTION.match(docstring):
                asked.append(f"{path.relative_to(ROOT)}: {docstring.splitlines()[0]}")
    assert asked == []
