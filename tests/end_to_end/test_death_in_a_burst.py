"""Killed again and again while reports pour in: in the end every event was told, and every state is right."""

from __future__ import annotations

import contextlib
import random
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from servers.background import BackgroundReceiver
from servers.daemon import imap_account, running, start, until, write_config
from servers.deliveries import Fact, check_deliveries
from servers.dovecot import Dovecot
from servers.letters import sendmail_bounce, sent_copy, sieve_refusal, thunderbird_receipt

from mdnwatch import status

pytestmark = pytest.mark.servers

# The longest life of a daemon in seconds: it starts within half of it, and handles a batch within the other half.
LONGEST_LIFE = 1.2


@dataclass(frozen=True, slots=True)
class Offer:
    """A message with the two reports that come about it, and what they say."""

    number: int

    @property
    def message_id(self) -> str:
        """With angle brackets."""
        return f"<offer-{self.number}@mail.example>"

    @property
    def people(self) -> tuple[str, str, str]:
        """To whom it was sent."""
        return tuple(f"{name}-{self.number}@there.example" for name in ("bob", "gone", "full"))  # type: ignore[return-value] # three names, three addresses

    @property
    def copy(self) -> bytes:
        """As it lies in Sent."""
        return sent_copy(self.message_id, self.people)

    @property
    def reports(self) -> list[bytes]:
        """A receipt of the first recipient, and a report that somebody has failed."""
        bob, gone, full = self.people
        receipt = thunderbird_receipt(self.message_id, bob)
        if self.number % 3:
            return [receipt, sendmail_bounce(self.message_id, gone, full)]
        # Refused and displayed: two events of one recipient, whose order is kept.
        return [receipt, sieve_refusal(self.message_id, bob)]

    @property
    def facts(self) -> set[Fact]:
        """What is to be told."""
        bob, gone, full = self.people
        failed = (gone, full) if self.number % 3 else (bob,)
        displayed = (self.message_id, bob, "recipient.displayed")
        return {displayed, *((self.message_id, person, "recipient.failed") for person in failed)}

    @property
    def summaries(self) -> dict[str, str]:
        """The state of each recipient in the end."""
        bob, gone, full = self.people
        others = "failed" if self.number % 3 else "unknown"
        return {bob: "displayed", gone: others, full: others}


def check_database(home: Path, offers: list[Offer]) -> None:
    for offer in offers:
        (message,) = status.stored(home / "state", offer.message_id)["messages"]
        assert {one["address"]: one["summary"] for one in message["recipients"]} == offer.summaries
    with closing(sqlite3.connect(f"file:{home}/state/mdnwatch.sqlite3?mode=ro", uri=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert db.execute("SELECT outcome, count(*) FROM report GROUP BY outcome").fetchall() == [
            ("matched", 2 * len(offers))
        ]
        assert db.execute("SELECT count(*) FROM sighting").fetchall() == [(2 * len(offers),)]


@contextlib.contextmanager
def short_life(config: Path) -> Iterator[None]:
    """A daemon that is killed at a random time."""
    daemon = start(config)
    try:
        yield
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.process.wait(random.uniform(0, LONGEST_LIFE))  # noqa: S311 - guards nothing
            raise AssertionError(f"the daemon ended by itself\n{daemon.log[-4000:]}")
    finally:
        daemon.kill()


def go_through_burst(home: Path, mailbox: Dovecot, receiver: BackgroundReceiver, kills: int, offers: int) -> None:
    """As many batches of mail as deaths; in each the copies come before, between or after the reports."""
    config = write_config(home, imap_account(mailbox), receiver.sink_with(events=["recipient.*"]))
    with running(config):
        pass  # From now on all that comes is new.
    all_offers = [Offer(number) for number in range(offers)]
    for kill in range(kills):
        batch = all_offers[kill::kills]
        mail = [("Sent", offer.copy) for offer in batch]
        mail += [("INBOX", report) for offer in batch for report in offer.reports]
        random.shuffle(mail)
        with short_life(config):
            for folder, message in mail:
                mailbox.drop([message], folder)
    facts = {fact for offer in all_offers for fact in offer.facts}
    with running(config):
        receiver.wait_for_events(len(facts), seconds=60)
        until(lambda: not unfinished(home), "nothing waits")
    check_deliveries(receiver.told, facts, deaths=kills)
    check_database(home, all_offers)


def unfinished(home: Path) -> int:
    with closing(sqlite3.connect(f"file:{home}/state/mdnwatch.sqlite3?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM notification WHERE finished_at IS NULL").fetchone()[0])


def test_five_deaths_in_a_burst_of_100_reports(home: Path, mailbox: Dovecot, receiver: BackgroundReceiver) -> None:
    go_through_burst(home, mailbox, receiver, kills=5, offers=50)


@pytest.mark.slow
def test_thirty_deaths_in_a_burst_of_500_reports(home: Path, mailbox: Dovecot, receiver: BackgroundReceiver) -> None:
    go_through_burst(home, mailbox, receiver, kills=30, offers=250)
