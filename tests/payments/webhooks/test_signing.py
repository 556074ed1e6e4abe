"""Signatures: the worked example of docs/webhooks.md, and the forms that the standard wants."""

import re
from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path

from payments.webhooks.rules import CHOICES
from payments.webhooks.signing import make_secret, sign_headers

PAGE = (Path(__file__).parents[3] / "docs/webhooks.md").read_text("utf-8")


def test_the_worked_example_of_the_page_is_what_we_send() -> None:
    head, _, rest = PAGE.partition("```\nPOST")[2].partition("\n\n")
    said = dict(re.findall(r"^(webhook-\w+): (.+)$", head, re.M))
    body = rest.partition("\n```")[0].encode()
    (secret,) = set(re.findall(r"whsec_[A-Za-z0-9+/=]{40,}", PAGE))
    at = datetime.fromtimestamp(int(said["webhook-timestamp"]), UTC)

    headers = sign_headers(body, event_id=said["webhook-id"], signing_secrets=[secret], at=at)

    assert headers == said
    assert f"The signature is `{said['webhook-signature']}`" in PAGE


def test_the_page_names_every_event_that_can_be_chosen() -> None:
    assert [one for one in CHOICES if f"`{one}`" not in PAGE] == []


def test_two_secrets_sign_side_by_side() -> None:
    secrets = [make_secret(), make_secret()]
    at = datetime(2026, 11, 20, 5, 0, tzinfo=UTC)
    both = sign_headers(b"{}", event_id="e", signing_secrets=secrets, at=at)
    each = [sign_headers(b"{}", event_id="e", signing_secrets=[one], at=at) for one in secrets]

    assert both["webhook-signature"] == " ".join(one["webhook-signature"] for one in each)


def test_a_secret_has_the_form_and_the_length_that_libraries_accept() -> None:
    secret = make_secret()
    assert secret.startswith("whsec_")
    assert len(b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert secret != make_secret()
