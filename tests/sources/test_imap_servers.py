from __future__ import annotations

import re
from datetime import timedelta

import pytest

from mdnwatch.sources.imap_servers import SERVERS, recognise


@pytest.mark.parametrize(
    ("identity", "greeting", "host", "name"),
    [
        ({"name": "Courier-IMAP"}, "", "mail.example", "Courier-IMAP"),
        ({}, "* OK [CAPABILITY IMAP4rev1 IDLE] Courier-IMAP ready. Copyright", "mail.example", "Courier-IMAP"),
        ({}, "* OK ready", "imap.gmx.net", "GMX and WEB.DE"),
        ({}, "* OK ready", "IMAP.Web.de.", "GMX and WEB.DE"),
        ({}, "* OK ready", "imap.yandex.ru", "Yandex"),
        ({"name": "Dovecot"}, "* OK Dovecot ready.", "mail.example", None),
        ({}, "* OK ready", "notgmx.net", None),
        ({}, "* OK ready", "gmx.net.mail.example", None),
        ({}, "", "", None),
    ],
)
def test_a_server_is_recognised_by_id_greeting_or_host(
    identity: dict[str, str], greeting: str, host: str, name: str | None
) -> None:
    found = recognise(identity, greeting, host)
    assert (found.name if found else None) == name


@pytest.mark.parametrize("server", SERVERS, ids=lambda server: server.name)
def test_every_row_says_why_and_changes_the_pace(server: object) -> None:
    assert isinstance(server, type(SERVERS[0]))
    assert server.reason
    assert server.slow_idle or (server.idle_renewal is not None and server.idle_renewal < timedelta(seconds=90))
    patterns = [pattern for pattern in (server.identity, server.greeting, server.host) if pattern]
    assert patterns
    assert all(re.compile(pattern) for pattern in patterns)
