"""Old mail is read when asked for: it builds the states, tells nobody, shows its progress, and outlives SIGKILL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from servers.background import BackgroundReceiver
from servers.daemon import Daemon, imap_account, running, start, status, until, write_config
from servers.dovecot import Dovecot
from servers.letters import ordinary, sent_copy, thunderbird_receipt

BOB = "bob@mail.example"
MESSAGES = 3000
EVERY = 30  # one report among so many


def message_id(number: int) -> str:
    return f"<offer-{number}@mail.example>"


def progress(daemon: Daemon) -> dict[str, Any] | None:
    """How far the inbox is, while its backfill goes on."""
    facts = daemon.ask()
    folders = facts["accounts"][0]["folders"] if facts else []
    return next((folder["backfill"] for folder in folders if folder["name"] == "INBOX"), None)


def displayed(config: Path) -> int:
    facts = status(config, BOB)["messages"]
    return sum(recipient["summary"] == "displayed" for message in facts for recipient in message["recipients"])


@pytest.mark.servers
def test_a_backfill_shows_its_progress_and_goes_on_after_sigkill(
    home: Path, mailbox: Dovecot, receiver: BackgroundReceiver
) -> None:
    numbers = range(0, MESSAGES, EVERY)
    mailbox.drop([sent_copy(message_id(number), [BOB]) for number in numbers], "Sent")
    mailbox.drop(
        [
            thunderbird_receipt(message_id(number), BOB) if number in numbers else ordinary(number)
            for number in range(MESSAGES)
        ]
    )
    config = write_config(home, imap_account(mailbox, backfill="all"), receiver.sink)
    killed = start(config)
    try:
        first = until(lambda: progress(killed), lambda: f"a backfill in progress\n{killed.log}", 60)
    finally:
        killed.kill()
    assert first is not None
    assert 0 < first["left"] <= first["total"] <= MESSAGES
    with running(config) as daemon:
        until(lambda: daemon.ask() is not None and progress(daemon) is None, "the end of the backfill", 60)
        until(lambda: status(config)["reports"] == {"matched": len(numbers)}, lambda: status(config)["reports"], 60)
        # Live mail is told all the same.
        mailbox.append("Sent", sent_copy("<new@mail.example>", [BOB]))
        mailbox.deliver(thunderbird_receipt("<new@mail.example>", BOB))
        told = receiver.wait_for_events(1)
    assert [one.message_id for one in told] == ["<new@mail.example>"]
    # The answer about an address names its latest 50 messages.
    assert displayed(config) == 50
