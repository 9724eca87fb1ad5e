"""A recipient is erased while the daemon runs: no byte of the address is left, and no reading brings it back."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from servers.background import BackgroundReceiver
from servers.daemon import COMMAND, maildir_account, running, status, table, until, write_config
from servers.letters import deliver, maildir_name, make_maildir, sendmail_bounce, sent_copy, thunderbird_receipt

BOB, CAROL = "bob.to-erase@there.example", "carol@there.example"
MESSAGES = 60


def mdnwatch(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([COMMAND, *words], capture_output=True, text=True, timeout=60, check=False)


def message_id(number: int) -> str:
    return f"<offer-{number}@mail.example>"


def mail(maildir: Path, suffix: int = 0) -> None:
    """Some messages to bob alone, and some to bob and carol, of which one bounced for both."""
    for number in range(MESSAGES):
        names = (maildir_name(suffix + 2 * number), maildir_name(suffix + 2 * number + 1))
        deliver(maildir / ".Sent", names[0], sent_copy(message_id(number), [BOB, CAROL][: 1 + number % 2]))
        deliver(maildir, names[1], thunderbird_receipt(message_id(number), [BOB, CAROL][number % 2]))
    deliver(maildir, maildir_name(suffix + 2 * MESSAGES), sendmail_bounce(message_id(1), BOB, CAROL))


def files_with(needle: str, *places: Path) -> list[str]:
    """The files below the places, or they themselves, in which the bytes stand, in whatever case."""
    files = [file for place in places for file in ([place] if place.is_file() else place.rglob("*")) if file.is_file()]
    return [file.name for file in files if needle.encode() in file.read_bytes().lower()]


@pytest.fixture
def maildir(home: Path) -> Path:
    return make_maildir(home / "Maildir")


def configured(home: Path, maildir: Path, *sinks: str, **top: object) -> Path:
    log = table("sinks", kind="log", name="events", path=home / "events.jsonl")
    return write_config(home, maildir_account(maildir, poll_interval="20ms", backfill="all"), log, *sinks, **top)


def is_told(home: Path) -> bool:
    log = home / "events.jsonl"
    return log.exists() and len(log.read_bytes().splitlines()) >= MESSAGES and _waiting(home) == 0


def _waiting(home: Path) -> int:
    with closing(sqlite3.connect(f"file:{home}/state/mdnwatch.sqlite3?mode=ro", uri=True)) as db:
        reports, waiting = db.execute(
            "SELECT (SELECT count(*) FROM report), (SELECT count(*) FROM notification WHERE finished_at IS NULL"
            " AND sink = 'events')"
        ).fetchone()
    return int(waiting) + MESSAGES + 1 - int(reports)


@pytest.mark.parametrize("alone", [False, True], ids=["by the daemon", "while none runs"])
def test_no_byte_of_an_erased_address_is_left_and_reading_all_mail_again_tells_nothing(
    home: Path,
    maildir: Path,
    alone: bool,  # noqa: FBT001 - a column of the table
) -> None:
    config = configured(home, maildir)
    with running(config):
        mail(maildir)
        until(lambda: is_told(home), lambda: status(config))
        assert "events.jsonl" in files_with(BOB, home / "state", home / "events.jsonl")
        looked = mdnwatch("erase", BOB, "--dry-run", "--json", "--config", config)
        refused = mdnwatch("erase", BOB, "--config", config)
        assert (refused.returncode, "--yes" in refused.stderr) == (1, True)
        assert status(config)["sent_messages"] == MESSAGES
        done = None if alone else mdnwatch("erase", BOB, "--yes", "--json", "--config", config)
    done = done or mdnwatch("erase", BOB, "--yes", "--json", "--config", config)
    assert done.returncode == 0, done.stderr
    answer, expected = json.loads(done.stdout), json.loads(looked.stdout)
    assert {name: answer[name] for name in expected if name != "erased"} == {
        name: value for name, value in expected.items() if name != "erased"
    }
    assert (answer["messages"], answer["recipients"]) == (MESSAGES // 2, MESSAGES)
    assert files_with("bob.to-erase", home / "state", home / "events.jsonl") == []
    log = (home / "events.jsonl").read_bytes()
    assert all(json.loads(line)["data"]["message"]["message_id"] for line in log.splitlines())
    with closing(sqlite3.connect(home / "state" / "mdnwatch.sqlite3")) as db:
        before = db.execute("SELECT count(*), sum(body IS NOT NULL) FROM event").fetchone()
        db.executescript("DELETE FROM mark; DELETE FROM maildir_name;")
        db.commit()
    again = configured(home, maildir, announce_backfill=True)
    with running(again):
        until(lambda: _is_read(home), lambda: _names(home))
    assert files_with("bob.to-erase", home / "state", home / "events.jsonl") == []
    assert (home / "events.jsonl").read_bytes() == log
    with closing(sqlite3.connect(home / "state" / "mdnwatch.sqlite3")) as db:
        assert db.execute("SELECT count(*), sum(body IS NOT NULL) FROM event").fetchone() == before
        assert db.execute("SELECT count(*) FROM sent_message").fetchone() == (MESSAGES // 2,)


def _names(home: Path) -> int:
    with closing(sqlite3.connect(f"file:{home}/state/mdnwatch.sqlite3?mode=ro", uri=True)) as db:
        (names,) = db.execute("SELECT count(*) FROM maildir_name WHERE name LIKE '%.host%'").fetchone()
    return int(names)


def _is_read(home: Path) -> bool:
    """Whether every message of both folders is known by its name."""
    return _names(home) == 2 * MESSAGES + 1


def _knows(config: Path, messages: int) -> bool:
    return bool(status(config)["sent_messages"] == messages)


def test_mail_that_is_sent_to_an_erased_address_afterwards_is_watched(
    home: Path, maildir: Path, receiver: BackgroundReceiver
) -> None:
    config = configured(home, maildir, receiver.sink_with(events=["recipient.*"]))
    with running(config):
        assert mdnwatch("erase", BOB, "--yes", "--config", config).returncode == 0
        for number, age in enumerate((3600.0, -30.0)):
            deliver(maildir / ".Sent", maildir_name(2 * number), sent_copy(message_id(number), [BOB], age=age))
            # Names of files bear whole seconds: before its copy is known, a receipt in this one counts as older.
            until(partial(_knows, config, number), "the later copy")
            deliver(maildir, maildir_name(2 * number + 1), thunderbird_receipt(message_id(number), BOB))
        (told,) = receiver.wait_for_events(1)
    assert told.message_id == message_id(1)
    assert status(config)["sent_messages"] == 1


def test_what_waits_for_a_sink_is_dropped_and_said(home: Path, maildir: Path, receiver: BackgroundReceiver) -> None:
    config = configured(home, maildir, receiver.sink_with(events=["recipient.*"]))
    receiver.go_away()
    with running(config):
        deliver(maildir / ".Sent", maildir_name(0), sent_copy(message_id(0), [BOB]))
        deliver(maildir, maildir_name(1), thunderbird_receipt(message_id(0), BOB))
        # Perhaps a third one soon: that the receiver is away.
        until(lambda: status(config)["events"] >= 2, "the event")
        done = mdnwatch("erase", message_id(0), "--yes", "--config", config)
        assert done.returncode == 0, done.stderr
        assert "1 notification(s) that were still to go out, and will not" in done.stdout
        assert "not reached:" in done.stdout
        assert "(webhook)" in done.stdout
        (left,) = [one for one in status(config)["sinks"] if one["name"] != "events"]
    assert left["waiting"] == 0


@pytest.fixture
def others(home: Path, maildir: Path) -> Iterator[Path]:
    """A daemon whose socket everybody of its group may use."""
    config = configured(home, maildir)
    home.chmod(0o755)
    config.chmod(0o644)
    with running(config):
        yield config


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can ask as others")
def test_only_the_owner_may_erase(others: Path) -> None:
    about = pwd.getpwnam("nobody")
    done = subprocess.run(
        ["setpriv", f"--reuid={about.pw_uid}", f"--regid={os.getgid()}", "--clear-groups", "--",
         COMMAND, "erase", BOB, "--dry-run", "--config", others],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert (done.returncode, "only root and the daemon's own user may erase" in done.stderr) == (1, True)
