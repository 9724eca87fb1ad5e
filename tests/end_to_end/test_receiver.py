"""A webhook receiver in every kind of trouble, and what the daemon makes of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.background import BackgroundReceiver, Told
from servers.daemon import Daemon, maildir_account, running, until, write_config
from servers.letters import deliver, maildir_name, make_maildir, sent_copy, thunderbird_receipt
from servers.receiver import Answer, Received

# What is refused for itself is tried again 5 s later, give or take a tenth (Standard Webhooks' schedule).
EVENT_DELAY = 5.0

# The next probe of an endpoint that is down, and then the backlog has to be out within this time.
BACKLOG_SECONDS = 5.0


class Office:
    """A Maildir in which receipts arrive for messages that were sent."""

    def __init__(self, maildir: Path, sent: int) -> None:
        self._maildir = maildir
        for number in range(sent):
            deliver(maildir / ".Sent", maildir_name(number), sent_copy(self.offer(number), [self.recipient(number)]))

    @staticmethod
    def offer(number: int) -> str:
        return f"<offer-{number}@mail.example>"

    @staticmethod
    def recipient(number: int) -> str:
        return f"person-{number}@there.example"

    def receipts(self, *numbers: int) -> None:
        """One receipt each arrives."""
        for number in numbers:
            receipt = thunderbird_receipt(self.offer(number), self.recipient(number))
            deliver(self._maildir, maildir_name(1000 + number), receipt)


@pytest.fixture
def office(home: Path) -> Office:
    return Office(make_maildir(home / "Maildir"), sent=300)


def configured(home: Path, receiver: BackgroundReceiver, **settings: object) -> Path:
    account = maildir_account(home / "Maildir", poll_interval="50ms")
    return write_config(home, account, receiver.sink_with(events=["recipient.*"], **settings))


@pytest.fixture
def config(home: Path, receiver: BackgroundReceiver) -> Path:
    return configured(home, receiver)


@pytest.fixture
def daemon(office: Office, config: Path) -> Iterator[Daemon]:  # noqa: ARG001 - what was sent lies there before it starts
    with running(config) as daemon:
        yield daemon


class Arrivals:
    """Answers in turn, the last one for ever, and notes when each request came."""

    def __init__(self, receiver: BackgroundReceiver, *answers: Answer) -> None:
        self.times: list[float] = []
        self._answers = list(answers)
        receiver.receiver.behaviour = self._answer

    def _answer(self, _: Received) -> Answer:
        self.times.append(time.monotonic())
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    @property
    def distance(self) -> float:
        """Seconds between the first request and the second."""
        return self.times[1] - self.times[0]


def assert_repeated_under_one_id(told: list[Told], times: int) -> None:
    """The same event again and again: same id, same body, each time signed anew."""
    assert len(told) == times
    assert len({(one.id, one.body) for one in told}) == 1
    assert all(one.verified for one in told)


def assert_told_once(receiver: BackgroundReceiver, numbers: range) -> None:
    assert Counter(one.recipient for one in receiver.told) == Counter(map(Office.recipient, numbers))


def wait_until_read(daemon: Daemon, receipts: int) -> None:
    """Until so many receipts are in the database, with the events they give."""
    until(lambda: (daemon.ask() or {})["reports"] == {"matched": receipts}, f"{receipts} receipts are read")


def outage(office: Office, receiver: BackgroundReceiver, daemon: Daemon, seconds: float, patience: float) -> float:
    """300 events for a receiver that comes back after so long; how long the backlog took from the first probe on."""
    receiver.go_away()
    began = time.monotonic()
    office.receipts(*range(300))
    until(lambda: "sink down" in daemon.log, "the outage is noticed")
    wait_until_read(daemon, 300)
    until(lambda: time.monotonic() - began >= seconds, seconds=seconds + 1)
    receiver.come_back()
    receiver.wait_for(bool, "the next probe", patience)
    probed = time.monotonic()
    receiver.wait_for_events(300)
    return time.monotonic() - probed


def test_after_an_outage_the_backlog_is_out_within_5_s_of_the_next_probe(
    office: Office, receiver: BackgroundReceiver, daemon: Daemon
) -> None:
    assert outage(office, receiver, daemon, seconds=3, patience=10) < BACKLOG_SECONDS
    daemon.stop()
    assert_told_once(receiver, range(300))


@pytest.mark.slow
def test_after_an_outage_of_two_minutes_the_backlog_is_out_within_5_s_of_the_next_probe(
    office: Office, receiver: BackgroundReceiver, daemon: Daemon
) -> None:
    assert outage(office, receiver, daemon, seconds=120, patience=121) < BACKLOG_SECONDS
    daemon.stop()
    assert_told_once(receiver, range(300))


def test_a_daemon_that_was_restarted_during_an_outage_tells_the_backlog(
    office: Office, receiver: BackgroundReceiver, config: Path
) -> None:
    receiver.go_away()
    with running(config) as daemon:
        office.receipts(*range(50))
        until(lambda: "sink down" in daemon.log, "the outage is noticed")
        wait_until_read(daemon, 50)
    with running(config):
        receiver.come_back()
        receiver.wait_for_events(50)
    assert_told_once(receiver, range(50))


def test_an_event_that_is_refused_with_500_is_tried_again_while_others_go_on(
    office: Office, receiver: BackgroundReceiver, daemon: Daemon
) -> None:
    arrivals = Arrivals(receiver, Answer(status=500), Answer())
    office.receipts(0)
    receiver.wait_for_events(1)
    office.receipts(1)
    others = receiver.wait_for_events(2)
    assert len(others) == 2, "the other one did not wait for the refused one"
    receiver.wait_for(lambda told: len(told) == 3, "the second attempt")
    daemon.stop()
    assert_repeated_under_one_id([one for one in receiver.told if one.recipient == Office.recipient(0)], 2)
    assert arrivals.times[2] - arrivals.times[0] > EVENT_DELAY * 0.9


def test_410_disables_the_endpoint_until_its_configuration_changes(
    home: Path, office: Office, receiver: BackgroundReceiver, config: Path
) -> None:
    Arrivals(receiver, Answer(status=410), Answer())
    with running(config) as daemon:
        office.receipts(0)
        until(lambda: "sink disabled" in daemon.log, "it is disabled")
        office.receipts(1)
        wait_until_read(daemon, 2)
    with running(config) as daemon:
        office.receipts(2)
        wait_until_read(daemon, 3)
    assert len(receiver.told) == 1, "nobody asks a receiver that is gone"
    with running(configured(home, receiver, url=receiver.receiver.url + "&new=1")):
        receiver.wait_for(lambda told: len(told) == 4, "all that has waited")
    assert Counter(one.recipient for one in receiver.told) == {
        Office.recipient(0): 2,
        Office.recipient(1): 1,
        Office.recipient(2): 1,
    }


def test_429_with_retry_after_leaves_the_endpoint_alone_for_so_long(
    office: Office, receiver: BackgroundReceiver, daemon: Daemon
) -> None:
    arrivals = Arrivals(receiver, Answer(status=429, headers={"Retry-After": "3"}), Answer())
    office.receipts(0)
    receiver.wait_for_events(1)
    office.receipts(1, 2)
    receiver.wait_for_events(3)
    daemon.stop()
    assert arrivals.distance > 2.9
    assert Counter(one.recipient for one in receiver.told) == {
        Office.recipient(0): 2,
        Office.recipient(1): 1,
        Office.recipient(2): 1,
    }


def test_a_redirect_is_a_failure_and_is_not_followed(
    office: Office, receiver: BackgroundReceiver, daemon: Daemon
) -> None:
    Arrivals(receiver, Answer(status=307, headers={"Location": receiver.receiver.url + "&followed=1"}), Answer())
    office.receipts(0)
    told = receiver.wait_for(lambda told: len(told) == 2, "the second attempt")
    daemon.stop()
    assert_repeated_under_one_id(told, 2)
    assert "redirects are not followed" in daemon.log


@pytest.mark.parametrize("half", [b"", b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\nContent-Le"])
def test_half_an_answer_is_none(half: bytes, office: Office, receiver: BackgroundReceiver, daemon: Daemon) -> None:
    Arrivals(receiver, Answer(raw=half), Answer())
    office.receipts(0)
    told = receiver.wait_for(lambda told: len(told) == 2, "the second attempt")
    daemon.stop()
    assert_repeated_under_one_id(told, 2)


def test_an_answer_that_is_cut_off_behind_its_status_has_said_enough(
    office: Office, receiver: BackgroundReceiver, daemon: Daemon
) -> None:
    Arrivals(receiver, Answer(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
    office.receipts(0)
    until(lambda: "event delivered" in daemon.log, "it is taken for delivered")
    daemon.stop()
    assert_repeated_under_one_id(receiver.told, 1)


def test_a_receiver_that_is_too_slow_is_asked_again(home: Path, office: Office, receiver: BackgroundReceiver) -> None:
    never = asyncio.Event()
    arrivals = Arrivals(receiver, Answer(wait=never), Answer())
    with running(configured(home, receiver, timeout="500ms")) as daemon:
        office.receipts(0)
        told = receiver.wait_for(lambda told: len(told) == 2, "the second attempt")
    assert_repeated_under_one_id(told, 2)
    assert arrivals.distance > 0.5
    assert "no answer within 0.5 s" in daemon.log


def test_stopping_waits_for_the_attempt_in_flight_and_records_it(
    office: Office, receiver: BackgroundReceiver, config: Path
) -> None:
    answer_now = asyncio.Event()
    Arrivals(receiver, Answer(wait=answer_now))
    with running(config) as daemon:
        office.receipts(0)
        receiver.wait_for_events(1)
        daemon.process.terminate()
        until(lambda: "mdnwatch stopping" in daemon.log, "it stops")
        receiver.do(_set(answer_now))
        assert daemon.process.wait(10) == 0
    assert "event delivered" in daemon.log
    with running(config):
        office.receipts(1)
        receiver.wait_for_events(2)
    assert_told_once(receiver, range(2))


def test_stopping_takes_no_longer_than_10_s_whatever_the_receiver_does(
    office: Office, receiver: BackgroundReceiver, config: Path
) -> None:
    Arrivals(receiver, Answer(wait=asyncio.Event()), Answer())
    with running(config) as daemon:
        office.receipts(0)
        receiver.wait_for_events(1)
        assert daemon.stop() < 10
    with running(config):
        told = receiver.wait_for(lambda told: len(told) == 2, "the attempt that was broken off is made again")
    assert_repeated_under_one_id(told, 2)


async def _set(event: asyncio.Event) -> None:
    event.set()
