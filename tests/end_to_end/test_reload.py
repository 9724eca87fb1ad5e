"""SIGHUP takes a changed configuration, leaves alone what did not change, and refuses a broken one."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from servers.background import BackgroundReceiver, receiving
from servers.daemon import Daemon, imap_account, maildir_account, running, until, write_config
from servers.dovecot import Dovecot
from servers.letters import deliver, maildir_name, make_maildir, sent_copy, thunderbird_receipt

OFFER, OTHER = "<offer@mail.example>", "<other@mail.example>"
BOB = "bob@mail.example"


def reload(daemon: Daemon, *, lines: str) -> None:
    """SIGHUP, and wait for the line of the log that says what came of it."""
    before = daemon.log.count(lines)
    daemon.process.send_signal(signal.SIGHUP)
    until(lambda: daemon.log.count(lines) > before, lambda: f"{lines!r} in\n{daemon.log}")


def connections(pid: int, port: int) -> set[str]:
    """The local ends and inodes of a process's TCP connections to a port of this machine (proc_pid_fd(5))."""
    held = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
    rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text("ascii").splitlines()[1:]]
    # Columns: number, local address, remote address, state, …, inode.
    return {f"{row[1]} {row[9]}" for row in rows if row[2].endswith(f":{port:04X}") and f"socket:[{row[9]}]" in held}


def account(daemon: Daemon, name: str) -> dict[str, Any]:
    facts = daemon.ask() or {}
    return next(one for one in facts["accounts"] if one["name"] == name)


def test_an_account_and_a_sink_that_come_and_go(home: Path, receiver: BackgroundReceiver) -> None:
    one, two = make_maildir(home / "one"), make_maildir(home / "two")
    first, second = maildir_account(one, "one", poll_interval="50ms"), maildir_account(two, "two", poll_interval="50ms")
    with running(write_config(home, first, receiver.sink)) as daemon, receiving() as later:
        since = account(daemon, "one")["since"]
        write_config(home, first, second, receiver.sink, later.sink_with(name="later"))
        reload(daemon, lines="configuration reloaded")
        daemon.wait_until_up()
        assert account(daemon, "one")["since"] == since
        deliver(two / ".Sent", maildir_name(1), sent_copy(OFFER, [BOB]))
        deliver(two, maildir_name(2), thunderbird_receipt(OFFER, BOB))
        for each in (receiver, later):
            assert [told.fact for told in each.wait_for_events(1)] == [(OFFER, BOB, "recipient.displayed")]
        write_config(home, second, later.sink_with(name="later"))
        reload(daemon, lines="configuration reloaded")
        daemon.wait_until_up()
        assert [watched["name"] for watched in (daemon.ask() or {})["accounts"]] == ["two"]
        deliver(two / ".Sent", maildir_name(3), sent_copy(OTHER, [BOB]))
        deliver(two, maildir_name(4), thunderbird_receipt(OTHER, BOB))
        later.wait_for_events(2)
        assert len(receiver.told) == 1


@pytest.mark.parametrize(
    ("broken", "problem"),
    [
        ('state_dir = "/somewhere/else"\n', "is not TOML|cannot change while mdnwatch runs|accounts: is missing"),
        ("[[accounts]\n", "is not TOML"),
    ],
)
def test_a_broken_configuration_is_refused_and_the_old_one_goes_on(
    home: Path, receiver: BackgroundReceiver, broken: str, problem: str
) -> None:
    maildir = make_maildir(home / "Maildir")
    config = write_config(home, maildir_account(maildir, poll_interval="50ms"), receiver.sink)
    good = config.read_text("utf-8")
    with running(config) as daemon:
        config.write_text(broken, "utf-8")
        reload(daemon, lines="configuration refused, the old one goes on")
        problems = (daemon.ask() or {})["reload_problems"]
        assert any(word in line for line in problems for word in problem.split("|")), problems
        deliver(maildir / ".Sent", maildir_name(1), sent_copy(OFFER, [BOB]))
        deliver(maildir, maildir_name(2), thunderbird_receipt(OFFER, BOB))
        receiver.wait_for_events(1)
        config.write_text(good, "utf-8")
        reload(daemon, lines="configuration reloaded")
        assert (daemon.ask() or {})["reload_problems"] == []


@pytest.mark.servers
def test_the_connection_of_an_unchanged_account_is_left_alone(
    home: Path, mailbox: Dovecot, receiver: BackgroundReceiver
) -> None:
    maildir = maildir_account(make_maildir(home / "Maildir"), poll_interval="50ms")
    with running(write_config(home, imap_account(mailbox), receiver.sink)) as daemon:
        since = account(daemon, "sales")["since"]
        connects, before = daemon.log.count("source up"), connections(daemon.process.pid, mailbox.port)
        assert len(before) == 1
        write_config(home, imap_account(mailbox), maildir, receiver.sink)
        reload(daemon, lines="configuration reloaded")
        daemon.wait_until_up()
        assert account(daemon, "sales")["since"] == since
        assert daemon.log.count("source up") == connects + 1
        assert connections(daemon.process.pid, mailbox.port) == before
        mailbox.append("Sent", sent_copy(OFFER, [BOB]))
        mailbox.deliver(thunderbird_receipt(OFFER, BOB))
        receiver.wait_for_events(1)
        assert connections(daemon.process.pid, mailbox.port) == before
    with closing(sqlite3.connect(f"file:{home}/state/mdnwatch.sqlite3?mode=ro", uri=True)) as db:
        assert db.execute("SELECT state FROM notification").fetchall() == [("delivered",)]


def test_whom_to_trust_is_taken_over_for_what_arrives_from_then_on(home: Path, receiver: BackgroundReceiver) -> None:
    maildir = make_maildir(home / "app")
    results = b"Authentication-Results: mx.mail.example; dmarc=pass header.from=mail.example\n"
    with running(write_config(home, maildir_account(maildir, poll_interval="50ms"), receiver.sink)) as daemon:
        for number, message_id in enumerate((OFFER, OTHER)):
            deliver(maildir / ".Sent", maildir_name(2 * number), sent_copy(message_id, [BOB]))
            deliver(maildir, maildir_name(2 * number + 1), results + thunderbird_receipt(message_id, BOB))
            told = receiver.wait_for_events(number + 1)[number].event["data"]["authenticity"]
            assert (told["grade"], told.get("by")) == [("consistent", None), ("authenticated", "dmarc")][number]
            trusting = maildir_account(maildir, poll_interval="50ms", authserv_ids=["mx.mail.example"])
            write_config(home, trusting, receiver.sink)
            reload(daemon, lines="configuration reloaded")
            daemon.wait_until_up()
