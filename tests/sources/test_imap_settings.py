from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from mdnwatch.problems import described
from mdnwatch.sources.imap_settings import ImapSettings

THREE_LINES = {"name": "sales", "host": "imap.example.org", "username": "sales@example.org", "password": "pw"}


def settings(**others: Any) -> ImapSettings:  # noqa: ANN401 - as a file holds them
    return ImapSettings.model_validate({**THREE_LINES, **others})


def test_the_rest_has_defaults() -> None:
    one = settings()
    assert (one.port, one.tls, one.addresses) == (993, "implicit", ("sales@example.org",))
    assert (one.folders, one.sent) == (("INBOX", "\\Junk"), ("\\Sent",))
    assert (one.backfill, one.idle_renewal, one.max_message_size) == (None, timedelta(seconds=90), 1024**2)


def test_starttls_is_at_the_plain_port() -> None:
    assert settings(tls="starttls").port == 143
    assert settings(tls="starttls", port=1143).port == 1143


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_without_tls_only_loopback_is_allowed(host: str) -> None:
    assert settings(tls="none", host=host).port == 143
    assert settings(tls="none", allow_plaintext=True).host == "imap.example.org"


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"tls": "none"}, "allow_plaintext"),
        ({"tls": "none", "host": "127.0.0.1.example.org"}, "allow_plaintext"),
        ({"username": "sales"}, "addresses: is missing"),
        ({"folders": ["INBOX", "Sent"], "sent": ["Sent"]}, 'sent: "Sent" stands under folders too'),
        ({"max_message_size": "63KiB"}, "max_message_size: must be at least"),
        ({"idle_renewal": "30min"}, 'idle_renewal: must be at most "29min"'),
        ({"idle_renewal": 90}, "is not a duration"),
        ({"backfill": "everything"}, "backfill"),
        ({"folders": []}, "folders: must not be empty"),
        ({"tls": "ssl"}, "tls"),
        ({"port": 0}, "port: must be at least 1"),
        ({"folder": ["INBOX"]}, 'folder: unknown key (did you mean "folders"?)'),
    ],
)
def test_mistakes_are_named(others: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(**others)
    assert words in "\n".join(described(caught.value, ImapSettings))


def test_backfill_is_all_or_a_duration() -> None:
    assert settings(backfill="all").backfill == "all"
    assert settings(backfill="30d").backfill == timedelta(days=30)


def test_every_setting_is_described() -> None:
    assert [name for name, field in ImapSettings.model_fields.items() if not field.description] == []


def test_the_password_is_not_shown() -> None:
    assert "pw" not in repr(settings(password="pw"))
