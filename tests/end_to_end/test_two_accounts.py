"""The same report in two accounts is one report, seen twice and told once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from servers.background import BackgroundReceiver
from servers.daemon import imap_account, maildir_account, running, status, until, write_config
from servers.dovecot import Dovecot
from servers.letters import deliver, maildir_name, make_maildir, sendmail_bounce, sent_copy, thunderbird_receipt

OFFER = "<offer@mail.example>"
BOB, GONE, FULL = "bob@mail.example", "gone@there.example", "full@there.example"


def sightings(home: Path) -> list[tuple[str, int]]:
    """How often each account has seen reports."""
    with closing(sqlite3.connect(f"file:{home}/state/mdnwatch.sqlite3?mode=ro", uri=True)) as db:
        return db.execute("SELECT account, count(*) FROM sighting GROUP BY account ORDER BY account").fetchall()


def check(home: Path, receiver: BackgroundReceiver, *, reports: int) -> None:
    facts = status(home / "config.toml")
    assert facts["reports"] == {"matched": reports}
    assert sorted(one.fact for one in receiver.told) == [
        (OFFER, BOB, "recipient.displayed"),
        (OFFER, FULL, "recipient.failed"),
        (OFFER, GONE, "recipient.failed"),
    ]
    (message,) = status(home / "config.toml", OFFER)["messages"]
    assert {one["address"]: len(one["evidence"]) for one in message["recipients"]} == {BOB: 1, GONE: 1, FULL: 1}


def test_a_report_in_two_maildirs_gives_each_event_once(home: Path, receiver: BackgroundReceiver) -> None:
    maildirs = {name: make_maildir(home / name) for name in ("one", "two")}
    accounts = [maildir_account(path, name, poll_interval="50ms") for name, path in maildirs.items()]
    with running(write_config(home, *accounts, receiver.sink)):
        for number, maildir in enumerate(maildirs.values()):
            # The copies differ as copies do: one client lists Bcc, or servers add fields of their own.
            deliver(maildir / ".Sent", maildir_name(number), sent_copy(OFFER, [BOB, GONE, FULL]))
            deliver(maildir, maildir_name(10 + number), thunderbird_receipt(OFFER, BOB))
            deliver(maildir, maildir_name(20 + number), sendmail_bounce(OFFER, GONE, FULL))
        receiver.wait_for_events(3)
        until(lambda: sightings(home) == [("one", 2), ("two", 2)], lambda: f"sightings: {sightings(home)}")
    check(home, receiver, reports=2)


@pytest.mark.servers
def test_a_report_in_a_mailbox_and_in_a_maildir_gives_each_event_once(
    home: Path, mailbox: Dovecot, receiver: BackgroundReceiver
) -> None:
    maildir = make_maildir(home / "Maildir")
    accounts = [imap_account(mailbox), maildir_account(maildir, poll_interval="50ms")]
    receipt, bounce = thunderbird_receipt(OFFER, BOB), sendmail_bounce(OFFER, GONE, FULL)
    with running(write_config(home, *accounts, receiver.sink)):
        mailbox.append("Sent", sent_copy(OFFER, [BOB, GONE, FULL]))
        for number, report in enumerate((receipt, bounce)):
            mailbox.deliver(report)
            # Elsewhere it arrives with other line ends, and without what Dovecot has put in front.
            deliver(maildir, maildir_name(number), report.replace(b"\r\n", b"\n"))
        receiver.wait_for_events(3)
        until(lambda: sightings(home) == [("app", 2), ("sales", 2)], lambda: f"sightings: {sightings(home)}")
    check(home, receiver, reports=2)
