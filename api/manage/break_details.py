"""Words for a break's detail, which is stored in English: in the reader's language where known."""

import re
from typing import Final

from api.http.i18n import translate
from api.manage.page_context import ManagerContext

# (what the detail looks like, its words in [break.detail] of words/*/manage.toml)
KNOWN: Final = (
    (re.compile(r"the memo names (?P<count>\d+) bills"), "several"),
    (re.compile(r"no bill has the reference or order (?P<reference>.+)"), "no_bill"),
    (re.compile(r"(?P<reference>\S+) belongs to another organisation"), "foreign"),
    (re.compile(r"(?P<reference>\S+) was paid into another account than its own"), "wrong_account"),
    (re.compile(r"(?P<reference>\S+) was cancelled after a part of it was paid"), "cancelled_part"),
    (re.compile(r"(?P<reference>\S+) by \w+, bill was (?P<status>\w+)"), "bill_was"),
    (re.compile(r"no reference; (?P<count>\d+) payees share the account"), "shared"),
    (re.compile(r"money on account (?P<number>\S+), which this endpoint .*"), "unlisted"),
)


def present_detail(manager: ManagerContext, detail: str) -> str:
    """Word a detail; one that is not known is shown as it was noted."""
    for pattern, name in KNOWN:
        if found := pattern.fullmatch(detail):
            facts = found.groupdict()
            if "status" in facts:
                facts["status"] = translate(manager.lang, f"parts.state.{facts['status']}")
            return manager.say(f"break.detail.{name}", **facts)
    return detail
