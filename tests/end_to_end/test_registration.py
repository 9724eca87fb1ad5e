"""Mail that no Sent folder holds: told of by `mdnwatch sent add`, before its reports or after them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from servers.background import BackgroundReceiver
from servers.daemon import COMMAND, maildir_account, running, status, until, write_config
from servers.letters import deliver, maildir_name, make_maildir, sent_copy, thunderbird_receipt

OFFER, BOB, HIDDEN = "<offer@mail.example>", "bob@mail.example", "hidden@mail.example"
OFFER_IN_JSON = {
    "message_id": OFFER,
    "from": "alice@mail.example",
    "recipients": [BOB],
    "reference": "offer 17",
    "metadata": {"customer": 4711},
}


@pytest.fixture
def maildir(home: Path) -> Path:
    return make_maildir(home / "Maildir")


@pytest.fixture
def config(home: Path, maildir: Path, receiver: BackgroundReceiver) -> Path:
    return write_config(
        home, maildir_account(maildir, poll_interval="50ms"), receiver.sink_with(events=["recipient.*"])
    )


def sent_add(config: Path, data: bytes | Mapping[str, Any], *options: str) -> subprocess.CompletedProcess[str]:
    text = data.decode() if isinstance(data, bytes) else json.dumps(data)
    command = [str(COMMAND), "sent", "add", "--config", str(config), *options]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def test_a_registered_message_finds_its_report_and_gives_back_what_the_caller_said(
    config: Path, maildir: Path, receiver: BackgroundReceiver
) -> None:
    with running(config):
        done = sent_add(config, OFFER_IN_JSON)
        assert (done.returncode, done.stdout) == (0, f"{OFFER} is registered for account app\n")
        deliver(maildir, maildir_name(1), thunderbird_receipt(OFFER, BOB))
        (told,) = receiver.wait_for_events(1)
    message = told.event["data"]["message"]
    assert (message["reference"], message["metadata"]) == ("offer 17", {"customer": 4711})
    assert told.event["data"]["recipient"]["addressed"]


def test_registering_later_than_the_report_claims_it(config: Path, maildir: Path, receiver: BackgroundReceiver) -> None:
    with running(config) as daemon:
        deliver(maildir, maildir_name(1), thunderbird_receipt(OFFER, BOB))
        until(lambda: (daemon.ask() or {})["reports"] == {"waiting": 1}, "the receipt waits")
        done = sent_add(config, sent_copy(OFFER, [BOB]), "--reference", "offer 17", "--recipient", HIDDEN, "--json")
        (told,) = receiver.wait_for_events(1)
    assert json.loads(done.stdout)["events"] == [told.event["data"]["id"]]
    (message,) = status(config, OFFER)["messages"]
    assert message["reference"] == "offer 17"
    assert {one["address"]: one["summary"] for one in message["recipients"]} == {BOB: "displayed", HIDDEN: "unknown"}


def test_without_a_daemon_the_next_one_knows_of_it(config: Path, maildir: Path, receiver: BackgroundReceiver) -> None:
    with running(config):
        deliver(maildir, maildir_name(1), thunderbird_receipt(OFFER, BOB))
        until(lambda: status(config)["reports"] == {"waiting": 1}, "the receipt waits")
    done = sent_add(config, OFFER_IN_JSON)
    assert (done.returncode, done.stdout) == (
        0,
        f"{OFFER} is registered for account app; reports that had waited for it gave 1 event(s)\n",
    )
    with running(config):
        (told,) = receiver.wait_for_events(1)
    assert told.event["data"]["message"]["reference"] == "offer 17"


def test_what_is_wrong_with_it_is_said_and_nothing_is_kept(config: Path) -> None:
    with running(config):
        done = sent_add(config, {**OFFER_IN_JSON, "recipients": ["bob"], "sent_at": "today"})
        assert done.returncode == 1
        assert [line.split(":")[1] for line in done.stderr.splitlines()] == [" recipients", " sent_at"]
        assert status(config)["sent_messages"] == 0


def stamp(config: Path, *options: str) -> list[dict[str, Any]]:
    command = [str(COMMAND), "stamp", "--config", str(config), "--from", "alice@mail.example", "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("while_running", [True, False])
def test_a_receipt_for_a_stamped_message_proves_who_held_it(
    config: Path, maildir: Path, receiver: BackgroundReceiver, *, while_running: bool
) -> None:
    options = ("--recipient", BOB, "--recipient", HIDDEN, "--each", "--reference", "17", "--new-key")
    found = [] if while_running else stamp(config, *options)
    with running(config):
        found = found or stamp(config, *options)
        deliver(maildir, maildir_name(1), thunderbird_receipt(found[0]["message_id"], BOB))
        (told,) = receiver.wait_for_events(1)
    assert told.recipient == BOB
    assert told.event["data"]["correlation"]["rung"] == "token"
    assert told.event["data"]["authenticity"]["grade"] == "authenticated"
    assert told.event["data"]["message"]["reference"] == "17"


def test_a_report_that_finds_no_message_is_told_after_the_grace_time(
    home: Path, maildir: Path, receiver: BackgroundReceiver
) -> None:
    account = maildir_account(maildir, poll_interval="50ms")
    sink = receiver.sink_with(events=["report.*", "recipient.*"])
    config = write_config(home, account, sink, unmatched_grace="1s")
    with running(config):
        deliver(maildir, maildir_name(1), thunderbird_receipt(OFFER, BOB))
        (told,) = receiver.wait_for_events(1)
        assert (told.type, told.event["data"]["message_ids"]) == ("report.unmatched", [OFFER])
        sent_add(config, OFFER_IN_JSON)
        assert [one.type for one in receiver.wait_for_events(2)] == ["report.unmatched", "recipient.displayed"]
