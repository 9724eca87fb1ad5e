"""A copy is made while reports pour in; restored elsewhere, it goes on as if nothing had been."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from servers.background import BackgroundReceiver
from servers.daemon import COMMAND, maildir_account, running, status, write_config
from servers.letters import deliver, maildir_name, make_maildir, sent_copy, thunderbird_receipt

BOB = "bob@mail.example"


def mdnwatch(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *words], capture_output=True, text=True, timeout=30, check=False)


def displayed(maildir: Path, first: int, count: int) -> None:
    """So many messages were sent, and displayed."""
    for number in range(first, first + count):
        message_id = f"<{number}@mail.example>"
        deliver(maildir / ".Sent", maildir_name(2 * number), sent_copy(message_id, [BOB]))
        deliver(maildir, maildir_name(2 * number + 1), thunderbird_receipt(message_id, BOB))


@pytest.fixture
def maildir(home: Path) -> Path:
    return make_maildir(home / "Maildir")


def test_a_copy_of_a_running_daemon_goes_on_elsewhere_and_announces_nothing_twice(
    home: Path, maildir: Path, receiver: BackgroundReceiver
) -> None:
    account, copy = maildir_account(maildir, poll_interval="50ms"), home / "copy.sqlite3"
    config = write_config(home, account, receiver.sink_with(events=["recipient.*"]))
    with running(config):
        displayed(maildir, 0, 150)
        receiver.wait_for_events(20)
        early = mdnwatch("backup", home / "early.sqlite3", "--config", config)
        assert early.returncode == 0, early.stderr
        receiver.wait_for_events(150)
        done = mdnwatch("backup", copy, "--config", config)
    assert done.stdout.startswith(f"{copy}: 150 sent messages, 150 reports, ")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    with closing(sqlite3.connect(home / "early.sqlite3")) as db:
        # One moment of the burst: every event has its evidence and its notification.
        (told,) = db.execute("SELECT count(*) FROM event WHERE type = 'recipient.displayed'").fetchone()
        assert db.execute("SELECT count(*) FROM evidence WHERE message IS NOT NULL").fetchone() == (told,)
        assert db.execute("SELECT count(*) FROM notification").fetchone() == (told,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    moved = home / "new"
    moved.mkdir()
    other = write_config(moved, account, receiver.sink_with(events=["recipient.*"]))
    restored = mdnwatch("restore", copy, "--config", other)
    assert restored.returncode == 0, restored.stderr
    with running(other):
        displayed(maildir, 150, 1)
        receiver.wait_for_events(151)
    assert len(receiver.told) == 151
    assert status(other)["reports"] == {"matched": 151}


def test_what_came_after_the_copy_is_told_again_under_its_ids(
    home: Path, maildir: Path, receiver: BackgroundReceiver
) -> None:
    config, copy = (
        write_config(home, maildir_account(maildir, poll_interval="50ms"), receiver.sink_with(events=["recipient.*"])),
        home / "copy",
    )
    with running(config):
        displayed(maildir, 0, 1)
        receiver.wait_for_events(1)
        assert mdnwatch("backup", copy, "--config", config).returncode == 0
        displayed(maildir, 1, 1)
        receiver.wait_for_events(2)
        refused = mdnwatch("restore", copy, "--force", "--config", config)
        assert (refused.returncode, "in use by another mdnwatch" in refused.stderr) == (1, True)
    refused = mdnwatch("restore", copy, "--config", config)
    assert (refused.returncode, "is there already" in refused.stderr) == (1, True)
    done = mdnwatch("restore", copy, "--force", "--config", config)
    assert done.returncode == 0, done.stderr
    (aside,) = (home / "state").glob("mdnwatch.sqlite3.before-restore-*")
    with closing(sqlite3.connect(aside)) as db:
        assert db.execute("SELECT count(*) FROM sent_message").fetchone() == (2,)
    with running(config):
        receiver.wait_for(lambda told: len(told) == 3)
    assert len({told.id for told in receiver.told}) == 2
    assert receiver.told[2].id == receiver.told[1].id


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "no such file"), (b"", "no copy"), (b"PK\3\4 a zip file, by mistake" * 99, "no copy")],
)
def test_what_is_no_copy_is_refused_and_changes_nothing(home: Path, content: bytes | None, words: str) -> None:
    config, copy = write_config(home, maildir_account(make_maildir(home / "Maildir"))), home / "copy"
    if content is not None:
        copy.write_bytes(content)
    done = mdnwatch("restore", copy, "--config", config)
    assert done.returncode == 1
    assert words in done.stderr
    assert not (home / "state" / "mdnwatch.sqlite3").exists()


def test_a_copy_is_not_written_over_unless_it_is_said(home: Path) -> None:
    config, copy = write_config(home, maildir_account(make_maildir(home / "Maildir"))), home / "copy"
    copy.write_text("something dear")
    assert "say --force" in mdnwatch("backup", copy, "--config", config).stderr
    assert copy.read_text() == "something dear"
