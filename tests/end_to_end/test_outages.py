"""An account that cannot be read is told once, with its cause, and once when it is back; over restarts too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from servers.background import BackgroundReceiver
from servers.daemon import imap_account, running, start, until, write_config
from servers.dovecot import Dovecot

pytestmark = pytest.mark.servers

QUICK = {"idle_renewal": "1s", "answer_timeout": "1s", "connect_timeout": "2s", "command_timeout": "3s"}


def configured(home: Path, receiver: BackgroundReceiver, *accounts: str) -> Path:
    return write_config(home, *accounts, receiver.sink_with(events=["source.*"]), outage_grace="500ms")


def told(receiver: BackgroundReceiver) -> list[tuple[str, str, str]]:
    events: list[dict[str, Any]] = [one.event for one in receiver.told]
    return [(event["type"], event["data"]["source"], event["data"]["cause"]) for event in events]


def test_a_server_that_goes_away_is_told_once_over_a_restart(
    home: Path, mailbox: Dovecot, receiver: BackgroundReceiver
) -> None:
    config = configured(home, receiver, imap_account(mailbox, **QUICK))
    with running(config):
        mailbox.stop()
        receiver.wait_for_events(1)
    daemon = start(config)
    try:
        until(lambda: daemon.log.count("source down") > 1, lambda: daemon.log)
        mailbox.start()
        receiver.wait_for_events(2, 60)
        daemon.stop()
    finally:
        daemon.kill()
    # A restart goes on with the outage, whatever its connection fails with then.
    down, up = (one.event["data"] for one in receiver.told)
    assert [kind for kind, _, _ in told(receiver)] == ["source.down", "source.up"]
    assert down["since"] == up["since"]
    assert {one.verified for one in receiver.told} == {True}


def test_a_refused_password_is_told_at_once_and_tried_again_when_its_file_changes(
    home: Path, mailbox: Dovecot, receiver: BackgroundReceiver
) -> None:
    secret = home / "password"
    secret.write_text("wrong")
    secret.chmod(0o600)
    config = write_config(
        home,
        imap_account(mailbox, password="@").replace('"@"', f'{{ file = "{secret}" }}'),
        receiver.sink_with(events=["source.*"]),
        outage_grace="10s",
    )
    daemon = start(config)
    try:
        receiver.wait_for_events(1)
        assert told(receiver) == [("source.down", "sales", "password_refused")]
        assert "put the right password in its place" in receiver.told[0].event["data"]["way_out"]
        secret.write_text(mailbox.password)
        daemon.wait_until_up()
        receiver.wait_for_events(2, 30)
        assert told(receiver)[1][:2] == ("source.up", "sales")
        assert mailbox.log().count("auth failed") == 1
        daemon.stop()
    finally:
        daemon.kill()


def test_a_server_that_falls_silent_is_told_as_silent(
    home: Path, mailbox: Dovecot, receiver: BackgroundReceiver
) -> None:
    with running(configured(home, receiver, imap_account(mailbox, **QUICK))) as daemon:
        mailbox.freeze()
        try:
            receiver.wait_for_events(1, 30)
        finally:
            mailbox.thaw()
        assert told(receiver) == [("source.down", "sales", "silent")]
        receiver.wait_for_events(2, 60)
        facts = daemon.ask() or {}
        assert facts["accounts"][0]["last_answer"] <= facts["now"]
