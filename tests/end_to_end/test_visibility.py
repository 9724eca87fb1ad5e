"""Not everyone in the office sees everyone's mail: users of one machine ask the same daemon."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.background import BackgroundReceiver
from servers.daemon import COMMAND, maildir_account, running, until, write_config
from servers.letters import deliver, maildir_name, make_maildir, sent_copy, thunderbird_receipt

OFFER, MERGER = "<offer@mail.example>", "<merger@mail.example>"
BOB = "bob@mail.example"

# Debian has these on every machine.
USER, OTHER = "nobody", "games"

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can ask in the name of others"
)


def asked_by(user: str, config: Path, *command: str) -> str:
    """What a command prints for a user who is in the socket's group."""
    about = pwd.getpwnam(user)
    done = subprocess.run(
        ["setpriv", f"--reuid={about.pw_uid}", f"--regid={os.getgid()}", "--clear-groups", "--",
         COMMAND, *command, "--config", config],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def office(home: Path, receiver: BackgroundReceiver) -> Iterator[Path]:
    """A daemon for two accounts, of which one is for a user alone; in each a receipt has come."""
    sales, board = make_maildir(home / "sales"), make_maildir(home / "board")
    config = write_config(
        home,
        maildir_account(sales, "sales", poll_interval="50ms"),
        maildir_account(board, "board", poll_interval="50ms", visible_to=[USER, "@no-such-group"]),
        receiver.sink,
    )
    # The way to the socket is open; who may use it is the socket's to say.
    home.chmod(0o755)
    config.chmod(0o644)
    with running(config):
        for number, (maildir, message_id) in enumerate(((sales, OFFER), (board, MERGER))):
            deliver(maildir / ".Sent", maildir_name(2 * number), sent_copy(message_id, [BOB]))
            deliver(maildir, maildir_name(2 * number + 1), thunderbird_receipt(message_id, BOB))
        receiver.wait_for_events(2)
        yield config


@pytest.mark.parametrize(
    ("user", "sees"), [(USER, {"sales", "board"}), (OTHER, {"sales"}), ("root", {"sales", "board"})]
)
def test_each_sees_the_accounts_that_are_for_them(office: Path, user: str, sees: set[str]) -> None:
    facts = json.loads(asked_by(user, office, "status", "--json"))
    assert {account["name"] for account in facts["accounts"]} == sees
    assert {event["message_id"] for event in facts["last_events"]} == {OFFER, *([MERGER] if "board" in sees else [])}
    lines = asked_by(user, office, "events").splitlines()
    assert {json.loads(line)["event"]["data"]["message"]["account"] for line in lines} == sees
    about = json.loads(asked_by(user, office, "status", MERGER, "--json"))
    assert [message["account"] for message in about["messages"]] == (["board"] if "board" in sees else [])
    assert MERGER not in asked_by(OTHER, office, "status", BOB)
    explained = json.loads(asked_by(user, office, "explain", MERGER, "--json"))
    assert (explained["subject"] == "message") == ("board" in sees)
    assert MERGER not in asked_by(OTHER, office, "explain", BOB)


def test_who_follows_along_hears_at_once(office: Path, home: Path) -> None:
    following: list[str | Path] = [COMMAND, "events", "--follow", "--config", office]
    with subprocess.Popen(following, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            # Each message is displayed, and thereby settled.
            cursors = [json.loads(process.stdout.readline())["cursor"] for _ in range(4)]
            deliver(home / "sales" / ".Sent", maildir_name(11), sent_copy("<next@mail.example>", [BOB]))
            deliver(home / "sales", maildir_name(12), thunderbird_receipt("<next@mail.example>", BOB))
            came = json.loads(process.stdout.readline())
            assert came["event"]["data"]["message"]["message_id"] == "<next@mail.example>"
            assert cursors == sorted({*cursors}) < [came["cursor"]]
        finally:
            process.terminate()
    again = asked_by("root", office, "events", "--since", str(cursors[-1]))
    assert json.loads(again.splitlines()[0]) == came


def test_what_was_told_can_be_read_while_no_daemon_runs(home: Path, receiver: BackgroundReceiver) -> None:
    maildir = make_maildir(home / "Maildir")
    config = write_config(home, maildir_account(maildir, poll_interval="50ms"), receiver.sink)
    with running(config):
        deliver(maildir / ".Sent", maildir_name(1), sent_copy(OFFER, [BOB]))
        deliver(maildir, maildir_name(2), thunderbird_receipt(OFFER, BOB))
        (told,) = receiver.wait_for_events(1)
    (line,) = asked_by("root", config, "events", "--limit", "1").splitlines()
    assert json.loads(line)["event"] == told.event
    until(lambda: not (home / "mdnwatch.sock").exists())
    refused = subprocess.run(
        [COMMAND, "events", "--follow", "--config", config], capture_output=True, text=True, timeout=20, check=False
    )
    assert refused.returncode == 1
    assert "no daemon listens" in refused.stderr
