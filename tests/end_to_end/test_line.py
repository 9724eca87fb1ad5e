"""The whole line on real servers: submitted through Postfix, reported to Dovecot, told by signed webhooks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.background import BackgroundReceiver, Told
from servers.daemon import Daemon, imap_account, running, status, until, write_config
from servers.dovecot import Dovecot
from servers.letters import ALICE, sendmail_bounce, sent_copy, sieve_refusal, thunderbird_receipt
from servers.postfix import Postfix, add_user, postfix

pytestmark = pytest.mark.servers

OFFER = "<offer@mail.example>"
BOB = "bob@mail.example"

# What becomes of the message, by recipient: Dovecot's LMTP and the next hop know no DSN.
FATES = {
    BOB: "relayed",
    "joe@elsewhere.example": "relayed",
    "x@local.example": "delivered",
    "team@mail.example": "expanded",
    "y@reject.example": "failed",
    "z@defer.example": "delayed",
}


@pytest.fixture
def mta(mailbox: Dovecot) -> Iterator[Postfix]:
    for address in (BOB, "carol@mail.example"):
        add_user(mailbox, address)
    with postfix(mailbox.lmtp_port) as server:
        yield server


@pytest.fixture
def config(home: Path, mailbox: Dovecot, receiver: BackgroundReceiver) -> Path:
    return write_config(home, imap_account(mailbox), receiver.sink_with(events=["recipient.*"]))


@pytest.fixture
def daemon(config: Path) -> Iterator[Daemon]:
    with running(config) as daemon:
        yield daemon


def facts(told: list[Told]) -> list[tuple[str, str]]:
    """Who is told to have met which fate; a fact that is told twice stands there twice."""
    return sorted((one.recipient, one.type) for one in told)


def states(config: Path, message_id: str) -> dict[str, str]:
    """The one-word summary of every recipient, as the command tells it."""
    (message,) = status(config, message_id)["messages"]
    return {recipient["address"]: recipient["summary"] for recipient in message["recipients"]}


def test_what_becomes_of_a_message_is_told_once_for_each_recipient(
    mailbox: Dovecot, mta: Postfix, receiver: BackgroundReceiver, config: Path, daemon: Daemon
) -> None:
    message = sent_copy(OFFER, list(FATES))
    mailbox.append("Sent", message)
    mta.submit(ALICE, list(FATES), message, notify="SUCCESS,FAILURE,DELAY", envelope_id="offer-1")
    receiver.wait_for_events(len(FATES))
    mailbox.deliver(thunderbird_receipt(OFFER, BOB))
    told = receiver.wait_for_events(len(FATES) + 1)

    while_running = status(config, OFFER)
    seconds = daemon.stop()
    assert seconds < 10

    expected = {**FATES, BOB: "displayed"}
    events = [(address, f"recipient.{fate}") for address, fate in FATES.items()] + [(BOB, "recipient.displayed")]
    assert facts(receiver.told) == sorted(events)
    assert all(one.verified for one in receiver.told)
    assert {one.event["data"]["authenticity"]["grade"] for one in told} == {"consistent"}
    rungs = {one.type: one.event["data"]["correlation"]["rung"] for one in told}
    assert rungs.pop("recipient.displayed") == "original-message-id"
    assert set(rungs.values()) == {"returned-message-id"}
    assert all(one.event["data"]["message"]["requested"]["mdn"] for one in told)

    assert states(config, OFFER) == expected
    assert "running" not in while_running
    assert status(config, OFFER) == {"running": False, **while_running}


def test_a_refused_recipient_is_told_with_what_the_refusing_host_said(
    mailbox: Dovecot, mta: Postfix, receiver: BackgroundReceiver, daemon: Daemon
) -> None:
    message = sent_copy(OFFER, ["y@reject.example"])
    mailbox.append("Sent", message)
    mta.submit(ALICE, ["y@reject.example"], message)
    (told,) = receiver.wait_for_events(1)
    fields = told.event["data"]["evidence"]["fields"]
    assert fields["status"] == "5.7.1"
    assert fields["diagnostic_code"].startswith("smtp; 550-5.7.1 Our system has detected")
    assert told.event["data"]["recipient"]["before"]["summary"] == "unknown"
    assert told.event["data"]["recipient"]["summary"] == "failed"
    assert "y@reject.example" not in daemon.log, "addresses are shortened in the log"


def test_a_receipt_that_comes_before_the_sent_copy_waits_for_it(
    mailbox: Dovecot, receiver: BackgroundReceiver, config: Path, daemon: Daemon
) -> None:
    mailbox.deliver(thunderbird_receipt(OFFER, BOB))
    until(lambda: (daemon.ask() or {})["reports"] == {"waiting": 1}, "the receipt waits")
    assert "1 report(s) name this Message-ID" in status(config, OFFER)["note"]
    mailbox.append("Sent", sent_copy(OFFER, [BOB]))
    assert facts(receiver.wait_for_events(1)) == [(BOB, "recipient.displayed")]
    assert states(config, OFFER) == {BOB: "displayed"}


def test_a_refusal_by_a_sieve_script_is_a_failure_and_no_deletion(
    mailbox: Dovecot, receiver: BackgroundReceiver, daemon: Daemon
) -> None:
    mailbox.append("Sent", sent_copy(OFFER, [BOB]))
    mailbox.deliver(sieve_refusal(OFFER, BOB))
    (told,) = receiver.wait_for_events(1)
    daemon.stop()
    assert facts(receiver.told) == [(BOB, "recipient.failed")]
    assert told.event["data"]["evidence"]["reason"] == "refused"
    assert told.event["data"]["recipient"]["delivery"] == "failed"
    assert told.event["data"]["recipient"]["reading"] == "none"


def test_one_report_about_two_recipients_is_two_events(
    mailbox: Dovecot, receiver: BackgroundReceiver, config: Path, daemon: Daemon
) -> None:
    gone, full = "gone@there.example", "full@there.example"
    mailbox.append("Sent", sent_copy(OFFER, [BOB, gone, full]))
    mailbox.deliver(sendmail_bounce(OFFER, gone, full))
    told = receiver.wait_for_events(2)
    daemon.stop()
    assert facts(receiver.told) == [(full, "recipient.failed"), (gone, "recipient.failed")]
    assert len({one.event["data"]["evidence"]["report_id"] for one in told}) == 1
    assert states(config, OFFER) == {BOB: "unknown", gone: "failed", full: "failed"}


def test_what_comes_while_no_daemon_runs_is_told_by_the_next_one(
    mailbox: Dovecot, receiver: BackgroundReceiver, config: Path
) -> None:
    with running(config):
        pass
    mailbox.append("Sent", sent_copy(OFFER, [BOB]))
    mailbox.deliver(thunderbird_receipt(OFFER, BOB))
    with running(config):
        receiver.wait_for_events(1)
    # The next one knows that it was told.
    with running(config):
        pass
    assert facts(receiver.told) == [(BOB, "recipient.displayed")]


def test_what_was_there_before_the_first_run_is_told_to_nobody(
    mailbox: Dovecot, receiver: BackgroundReceiver, config: Path
) -> None:
    mailbox.append("Sent", sent_copy(OFFER, [BOB]))
    mailbox.deliver(thunderbird_receipt(OFFER, BOB))
    with running(config):
        mailbox.deliver(sieve_refusal(OFFER, BOB))
        receiver.wait_for_events(1)
    assert facts(receiver.told) == [(BOB, "recipient.failed")]
    assert states(config, OFFER) == {BOB: "failed"}
