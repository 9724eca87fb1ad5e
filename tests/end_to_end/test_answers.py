"""What recipients answer, and that they do not: a real Sieve vacation, a person, and silence."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from servers.background import BackgroundReceiver
from servers.daemon import imap_account, running, status, until, write_config
from servers.dovecot import Dovecot
from servers.letters import ALICE, ordinary, sent_copy
from servers.postfix import add_user
from servers.sieve import dovecot_with_sieve

pytestmark = pytest.mark.servers

OFFER = "<offer@mail.example>"
BOB, CAROL = "bob@mail.example", "carol@mail.example"


@pytest.fixture
def back() -> date:
    return datetime.now(UTC).date() + timedelta(days=9)


@pytest.fixture
def mailbox(back: date) -> Iterator[Dovecot]:
    """A mail server on which bob is away, until a day that he names, and carol until she is back."""
    away = 'require ["vacation"];\nvacation :days 1 :subject "Out of office" "{}";\n'
    scripts = {"bob": away.format(f"I am away until {back}."), "carol": away.format("I am away for a while.")}
    with dovecot_with_sieve(scripts) as server:
        for address in (BOB, CAROL):
            add_user(server, address)
        yield server


def answer(sender: str, message_id: str = OFFER) -> bytes:
    """What a person writes, who asks for a receipt in turn."""
    lines = [
        f"From: <{sender}>",
        f"To: Alice Sender <{ALICE}>",
        "Subject: Re: Offer",
        f"Date: {format_datetime(datetime.now(UTC))}",
        f"Message-ID: <answer.{sender}>",
        f"In-Reply-To: {message_id}",
        f"References: {message_id}",
        f"Disposition-Notification-To: {sender}",
        "",
        "We accept.",
        "",
    ]
    return "\r\n".join(lines).encode()


def test_an_absence_notice_tells_the_day_of_return_and_a_persons_answer_settles_the_message(
    mailbox: Dovecot, receiver: BackgroundReceiver, home: Path, back: date
) -> None:
    message = sent_copy(OFFER, [BOB, CAROL])
    config = write_config(home, imap_account(mailbox, idle_renewal="1s"), receiver.sink_with(events=["*"]))
    with running(config) as daemon:
        # The notices come back before the mail program has filed its copy.
        for address in (BOB, CAROL):
            mailbox.deliver(message, sender=ALICE, to=address)
        mailbox.append("Sent", message)
        told = {one.recipient: one for one in receiver.wait_for_events(2)}
        assert {one.type for one in told.values()} == {"recipient.auto_replied"}
        named = {address: one.event["data"]["recipient"].get("return_date") for address, one in told.items()}
        assert named == {BOB: back.isoformat(), CAROL: None}
        evidence = told[BOB].event["data"]["evidence"]
        assert (evidence["return_date"], evidence["fields"]) == (back.isoformat(), {"auto_submitted": "auto-replied"})
        assert told[BOB].event["data"]["recipient"]["summary"] == "delivered"

        stranger = "stranger@mail.example"
        mailbox.deliver(ordinary(1))
        mailbox.deliver(answer(BOB), sender=BOB)
        mailbox.deliver(answer(stranger), sender=stranger)
        mailbox.deliver(answer(CAROL), sender=CAROL)
        receiver.wait_for_events(5)
        daemon.stop()
    assert [one.type for one in receiver.told[2:]] == ["recipient.replied", "recipient.replied", "message.settled"]
    assert receiver.told[-1].event["data"]["recipients"] == {"total": 2, "replied": 2}
    (known,) = status(config, OFFER)["messages"]
    assert [(one["address"], one["summary"], one["flags"]) for one in known["recipients"]] == [
        (BOB, "replied", ["auto_replied"]),
        (CAROL, "replied", ["auto_replied"]),
    ]
    # conformance 81: nobody gets an answer, and nothing of the answers stays.
    for address in (BOB, CAROL):
        counted = mailbox.doveadm("mailbox", "status", "-u", address, "messages", "INBOX")
        assert "messages=1" in counted
    kept = b"".join(path.read_bytes() for path in (home / "state").iterdir())
    assert b"We accept" not in kept
    assert b"stranger" not in kept


def test_silence_is_told_after_its_time_and_ends_with_the_watch(
    mailbox: Dovecot, receiver: BackgroundReceiver, home: Path
) -> None:
    config = write_config(
        home, imap_account(mailbox, idle_renewal="1s"), receiver.sink_with(events=["*"]), overdue_after=["1s"]
    )
    before = sent_copy("<before@mail.example>", [BOB])
    mailbox.append("Sent", before)
    with running(config):
        mailbox.append("Sent", sent_copy(OFFER, [BOB]))
        (told,) = receiver.wait_for_events(1)
    assert (told.message_id, told.recipient, told.type) == (OFFER, BOB, "recipient.overdue")
    assert told.event["data"]["overdue"] == {"after_seconds": 1}
    config = write_config(
        home,
        imap_account(mailbox, idle_renewal="1s"),
        receiver.sink_with(events=["*"]),
        overdue_after=["1s"],
        watch_for="2s",
    )
    with running(config):
        told = receiver.wait_for_events(2)[-1]
        until(lambda: status(config, OFFER)["messages"][0]["settled"], "settled")
    assert (told.message_id, told.type, told.event["data"]["expired"]) == (OFFER, "message.settled", True)
    assert not status(config, "<before@mail.example>")["messages"][0]["settled"]
