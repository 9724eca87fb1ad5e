"""Mailboxes are only ever read: what a whole run leaves behind in them is nothing."""

from __future__ import annotations

import imaplib
import re
from pathlib import Path

import pytest
from servers.background import BackgroundReceiver
from servers.daemon import Daemon, imap_account, maildir_account, running, until, write_config
from servers.dovecot import Dovecot, dovecot
from servers.letters import (
    deliver,
    maildir_name,
    make_maildir,
    ordinary,
    sendmail_bounce,
    sent_copy,
    sieve_refusal,
    thunderbird_receipt,
)

OFFER = "<offer@mail.example>"
RECIPIENTS = ["bob@mail.example", "gone@there.example", "full@there.example"]
FOLDERS = ["INBOX", "Junk", "Sent", "Archive"]


def fill(mailbox: Dovecot) -> None:
    mailbox.append("Sent", sent_copy(OFFER, RECIPIENTS), flags="(\\Seen $MDNSent)")
    for number in range(20):
        mailbox.append("INBOX", ordinary(number), flags=("", "(\\Seen)", "(\\Flagged work)")[number % 3])
    mailbox.append("INBOX", sendmail_bounce(OFFER, *RECIPIENTS[1:]))
    mailbox.append("Junk", thunderbird_receipt(OFFER, RECIPIENTS[0]), flags="(\\Flagged)")
    mailbox.append("Archive", ordinary(99), flags="(\\Seen \\Answered)")
    # Nobody has seen this one yet: it is \\Recent, and stays so.
    mailbox.deliver(ordinary(100))


def snapshot(mailbox: Dovecot) -> dict[str, object]:
    """Folders, their UIDs and counters, and of every message the flags, the date and the MODSEQ (RFC 7162)."""
    found: dict[str, object] = {}
    with mailbox.imap() as client:
        # RFC 9051 §7.3.1: \Marked and \Unmarked are guesses of the server and come and go by themselves.
        found["folders"] = re.sub(r" ?\\+(?:Un)?[Mm]arked", "", str(client.list()[1]))
        found["subscribed"] = client.lsub()[1]
        for folder in FOLDERS:
            items = "(MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)"
            found[folder] = [client.status(folder, items), *rows_of(client, folder)]
    return found


def rows_of(client: imaplib.IMAP4, folder: str) -> list[object]:
    client.select(folder, readonly=True)
    return list(client.uid("FETCH", "1:*", "(FLAGS INTERNALDATE RFC822.SIZE MODSEQ)")[1])


def agreements(daemon: Daemon) -> dict[str, str]:
    """When each folder was last found to hold nothing new, once nothing is left of the backfill."""
    facts = daemon.ask() or {}
    folders = [folder for account in facts["accounts"] for folder in account["folders"]]
    if any(folder["mark"] is None or folder["mark"]["backfill_to"] for folder in folders):
        return {}
    return {folder["name"]: folder["last_agreement"] for folder in folders}


def wait_for_another_visit(daemon: Daemon) -> None:
    """Until every folder was visited once more."""
    before = until(lambda: agreements(daemon), "the backfill is done")
    until(lambda: all(agreements(daemon)[name] > time for name, time in before.items()), "each folder is visited")


@pytest.mark.servers
def test_a_mailbox_is_untouched_by_backfill_and_watch(home: Path, receiver: BackgroundReceiver) -> None:
    with dovecot(mailboxes=["Archive"]) as mailbox:
        fill(mailbox)
        account = imap_account(mailbox, backfill="all", idle_renewal="1s", folders=["INBOX", "\\Junk", "Archive"])
        config = write_config(home, account, receiver.sink, announce_backfill=True)
        before = snapshot(mailbox)
        with running(config) as daemon:
            receiver.wait_for_events(3)
            wait_for_another_visit(daemon)
            assert snapshot(mailbox) == before
            mailbox.deliver(sieve_refusal(OFFER, RECIPIENTS[0]))
            receiver.wait_for_events(4)
            with_refusal = snapshot(mailbox)
            wait_for_another_visit(daemon)
        assert snapshot(mailbox) == with_refusal
        with running(config) as daemon:
            wait_for_another_visit(daemon)
        assert snapshot(mailbox) == with_refusal


def files_below(path: Path) -> dict[str, tuple[int, int, int, bytes | None]]:
    """Every file and directory with its mode, inode, time of change and content."""
    return {
        str(one.relative_to(path)): (
            one.stat().st_mode,
            one.stat().st_ino,
            one.stat().st_mtime_ns,
            one.read_bytes() if one.is_file() else None,
        )
        for one in sorted(path.rglob("*"))
    }


def test_a_maildir_is_untouched(home: Path, receiver: BackgroundReceiver) -> None:
    maildir = make_maildir(home / "Maildir")
    deliver(maildir / ".Sent", maildir_name(0), sent_copy(OFFER, RECIPIENTS))
    deliver(maildir, maildir_name(1), ordinary(1))
    deliver(maildir, maildir_name(2), sendmail_bounce(OFFER, *RECIPIENTS[1:]))
    config = write_config(
        home, maildir_account(maildir, backfill="all", poll_interval="50ms"), receiver.sink, announce_backfill=True
    )
    before = files_below(maildir)
    with running(config):
        receiver.wait_for_events(2)
        assert files_below(maildir) == before
        deliver(maildir, maildir_name(3), thunderbird_receipt(OFFER, RECIPIENTS[0]))
        with_receipt = files_below(maildir)
        receiver.wait_for_events(3)
    assert files_below(maildir) == with_receipt
