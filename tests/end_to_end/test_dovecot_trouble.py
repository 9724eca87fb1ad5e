"""A mail server that is restarted, goes away or freezes: noticed, caught up, and nothing is told twice."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest
from servers.background import BackgroundReceiver
from servers.daemon import Daemon, imap_account, running, until, write_config
from servers.dovecot import Dovecot
from servers.letters import sent_copy, thunderbird_receipt

pytestmark = pytest.mark.servers

# The promise for a server that is frozen while we wait in IDLE, with default settings.
NOTICED_SECONDS = 120.0

# So that a test notices sooner: how long to idle, and how long to wait for an answer.
QUICK = {"idle_renewal": "1s", "answer_timeout": "1s", "connect_timeout": "2s", "command_timeout": "3s"}

PEOPLE = [f"person-{number}@there.example" for number in range(6)]
OFFER = "<offer@mail.example>"

# A server that is back is asked again within the pause between two attempts, which grows with their number.
CAUGHT_UP_SECONDS = 150.0


def configured(home: Path, mailbox: Dovecot, receiver: BackgroundReceiver, **settings: object) -> Path:
    mailbox.append("Sent", sent_copy(OFFER, PEOPLE))
    return write_config(home, imap_account(mailbox, "sales", **settings), receiver.sink_with(events=["recipient.*"]))


def receipts(*numbers: int) -> list[bytes]:
    return [thunderbird_receipt(OFFER, PEOPLE[number], receipt_id=f"<{number}@there.example>") for number in numbers]


def state(daemon: Daemon) -> str:
    (account,) = (daemon.ask() or {})["accounts"]
    return str(account["state"])


def assert_told_once(receiver: BackgroundReceiver, count: int) -> None:
    assert Counter((one.recipient, one.type) for one in receiver.told) == {
        (person, "recipient.displayed"): 1 for person in PEOPLE[:count]
    }


def go_through_absence(home: Path, mailbox: Dovecot, receiver: BackgroundReceiver, seconds: float) -> None:
    """A server that is away for so long, and in whose mailbox mail is found when it is back."""
    with running(configured(home, mailbox, receiver)) as daemon:
        mailbox.drop(receipts(0))
        receiver.wait_for_events(1)
        mailbox.stop()
        began = time.monotonic()
        until(lambda: state(daemon) == "down", "the absence is noticed")
        mailbox.drop(receipts(1, 2))
        until(lambda: time.monotonic() - began >= seconds, seconds=seconds + 1)
        assert daemon.process.poll() is None, "an absent server is no reason to end"
        mailbox.start()
        receiver.wait_for_events(3, CAUGHT_UP_SECONDS)
        assert state(daemon) == "up"
        mailbox.drop(receipts(3))
        receiver.wait_for_events(4)
    assert_told_once(receiver, 4)


def go_through_frost(
    home: Path, mailbox: Dovecot, receiver: BackgroundReceiver, noticed_within: float, **settings: object
) -> None:
    """A server that is frozen while the daemon idles, so that its connection stays open and silent."""
    with running(configured(home, mailbox, receiver, **settings)) as daemon:
        mailbox.drop(receipts(0))
        receiver.wait_for_events(1)
        mailbox.freeze()
        try:
            mailbox.drop(receipts(1, 2))
            until(lambda: state(daemon) == "down", "the silence is noticed", noticed_within)
        finally:
            mailbox.thaw()
        receiver.wait_for_events(3, CAUGHT_UP_SECONDS)
        mailbox.drop(receipts(3))
        receiver.wait_for_events(4)
    assert_told_once(receiver, 4)


def test_a_server_that_is_restarted_is_caught_up_with(
    home: Path, mailbox: Dovecot, receiver: BackgroundReceiver
) -> None:
    with running(configured(home, mailbox, receiver)) as daemon:
        for number in range(3):
            mailbox.stop()
            mailbox.drop(receipts(2 * number))
            mailbox.start()
            mailbox.drop(receipts(2 * number + 1))
            receiver.wait_for_events(2 * number + 2, CAUGHT_UP_SECONDS)
        assert state(daemon) == "up"
    assert_told_once(receiver, 6)


def test_a_server_that_is_away_for_3_s_is_noticed_and_caught_up_with(
    home: Path, mailbox: Dovecot, receiver: BackgroundReceiver
) -> None:
    go_through_absence(home, mailbox, receiver, seconds=3)


@pytest.mark.slow
def test_a_server_that_is_away_for_20_s_is_noticed_and_caught_up_with(
    home: Path, mailbox: Dovecot, receiver: BackgroundReceiver
) -> None:
    go_through_absence(home, mailbox, receiver, seconds=20)


def test_a_server_that_freezes_in_idle_is_noticed_and_caught_up_with(
    home: Path, mailbox: Dovecot, receiver: BackgroundReceiver
) -> None:
    go_through_frost(home, mailbox, receiver, noticed_within=15, **QUICK)


@pytest.mark.slow
def test_a_server_that_freezes_in_idle_is_noticed_within_two_minutes_by_default(
    home: Path, mailbox: Dovecot, receiver: BackgroundReceiver
) -> None:
    go_through_frost(home, mailbox, receiver, noticed_within=NOTICED_SECONDS)
