from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from mdnwatch.problems import described
from mdnwatch.smtp_client import NotSubmitted, SmtpSettings
from mdnwatch.sources.imap_settings import ImapSettings

ACCOUNT = {"name": "sales", "host": "imap.example.org", "username": "sales@example.org", "password": "pw"}


def test_ports_follow_from_tls() -> None:
    assert SmtpSettings.model_validate({"host": "smtp.example.org"}).port == 465
    assert SmtpSettings.model_validate({"host": "smtp.example.org", "tls": "starttls"}).port == 587


@pytest.mark.parametrize(
    ("smtp", "username"),
    [
        ({}, "sales@example.org"),
        ({"username": ""}, None),
        ({"username": "other", "password": "secret"}, "other"),
    ],
)
def test_the_login_is_that_of_the_account_unless_another_one_is_named(smtp: dict[str, Any], username: str) -> None:
    account = ImapSettings.model_validate({**ACCOUNT, "smtp": {"host": "smtp.example.org", **smtp}})
    assert account.smtp is not None
    assert account.smtp.username == username
    assert (account.smtp.password is None) is (username is None)


@pytest.mark.parametrize(
    ("smtp", "words"),
    [
        ({"tls": "none"}, "readable over the network"),
        ({"username": "sales"}, "give both, or none"),
        ({"user": "sales"}, "unknown key"),
    ],
)
def test_mistakes_are_named(smtp: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ImapSettings.model_validate({**ACCOUNT, "smtp": {"host": "smtp.example.org", **smtp}})
    assert words in "\n".join(described(caught.value, ImapSettings))


@pytest.mark.parametrize(("code", "permanent"), [(550, True), (451, False), (0, False)])
def test_only_a_five_hundred_is_for_good(code: int, *, permanent: bool) -> None:
    assert NotSubmitted("no", code).permanent is permanent
