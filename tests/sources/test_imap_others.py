"""The IMAP source on Cyrus and Courier-IMAP, with what makes them unlike Dovecot (each in a root of its own)."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest
from servers.other_imap import OtherImap, courier, cyrus
from sources.recorder import NO_STATE, Recorder, running

from mdnwatch.model.received import Role
from mdnwatch.sources import imap
from mdnwatch.sources.base import Finding, SourceState, Verdict
from mdnwatch.sources.imap import ImapSource
from mdnwatch.sources.imap_client import Client
from mdnwatch.sources.imap_doctor import diagnose
from mdnwatch.sources.imap_settings import ImapSettings

pytestmark = [pytest.mark.servers, pytest.mark.slow]

# Courier tells of new mail after 60 s; with a poll beside IDLE it is found long before that.
POLL = "1s"
SOON_SECONDS = 20.0


@pytest.fixture(scope="module", params=[cyrus, courier], ids=["cyrus", "courier"])
def running_server(request: pytest.FixtureRequest) -> Iterator[OtherImap]:
    start: Callable[[], AbstractContextManager[OtherImap]] = request.param
    with start() as one:
        yield one


@pytest.fixture
def server(running_server: OtherImap) -> OtherImap:
    """The server of this module, with empty folders."""
    with running_server.imap() as client:
        for folder in ("INBOX", running_server.sent):
            client.select(f'"{folder}"')
            client.store("1:*", "+FLAGS", "\\Deleted")
            client.expunge()
    return running_server


def report(number: int) -> bytes:
    return f"From: bob@there.example\r\nSubject: report {number}\r\n\r\ndisplayed\r\n".encode()


def settings(server: OtherImap, **others: object) -> ImapSettings:
    table = {"name": "sales", "host": server.host, "port": server.port, "tls": "none", "username": server.user}
    table |= {"password": server.password, "addresses": ["alice@mail.example"], "folders": ["INBOX"]}
    return ImapSettings.model_validate({**table, "poll_interval": POLL, "idle_renewal": "60s", **others})


@asynccontextmanager
async def watched(server: OtherImap, recorder: Recorder, **others: object) -> AsyncIterator[ImapSource]:
    one = imap.build(settings(server, **others), recorder.context())
    async with running(one):
        await recorder.until(lambda: one.health().state is SourceState.UP)
        yield one


@asynccontextmanager
async def logged_in(server: OtherImap, password: str | None = None) -> AsyncIterator[Client]:
    opened = await Client.open(
        settings(server), password or server.password, None, now=lambda: datetime.now(UTC), beat=lambda: None
    )
    try:
        yield opened
    finally:
        opened.abort()


def subjects(recorder: Recorder, role: Role = Role.INBOX) -> list[str]:
    data = [message.data for message in recorder.messages if message.role is role]
    return [match[1].decode() for one in data if (match := re.search(rb"^Subject: (.*)\r$", one, re.MULTILINE))]


@pytest.mark.asyncio
async def test_a_new_report_is_handed_over_soon_and_once(server: OtherImap) -> None:
    recorder = Recorder()
    async with watched(server, recorder):
        began = time.monotonic()
        for number in (1, 2):
            await asyncio.to_thread(server.deliver, report(number))
            await recorder.until(lambda number=number: len(recorder.inbox) == number)  # type: ignore[misc] # bound at once
        assert time.monotonic() - began < SOON_SECONDS
    # Another life: nothing is handed over again.
    async with watched(server, recorder):
        await asyncio.to_thread(server.deliver, report(3))
        await recorder.until(lambda: len(recorder.inbox) == 3)
    assert subjects(recorder) == ["report 1", "report 2", "report 3"]
    assert all(message.size == len(message.data) for message in recorder.inbox)


@pytest.mark.asyncio
async def test_the_sent_folder_is_found_and_learnt_first(server: OtherImap) -> None:
    now = datetime.now(UTC)
    for days in (40, 29, 1):
        server.append(server.sent, report(days), received=now - timedelta(days=days))
    recorder = Recorder()
    async with watched(server, recorder) as one:
        assert one.health().sent.startswith(f"{server.sent} (found by its ")
        assert subjects(recorder, Role.SENT) == ["report 1", "report 29"]
        server.append(server.sent, report(0))
        await asyncio.to_thread(server.deliver, report(5))
        recorder.unmatched = 1
        await recorder.until(lambda: subjects(recorder, Role.SENT)[-1] == "report 0")


@pytest.mark.asyncio
async def test_the_backfill_finds_what_was_there(server: OtherImap) -> None:
    now = datetime.now(UTC)
    for days in (400, 40, 29, 1):
        server.append("INBOX", report(days), received=now - timedelta(days=days))
    recorder = Recorder()
    async with watched(server, recorder, backfill="60d") as one:
        await recorder.until(lambda: len(recorder.inbox) == 3)
        await recorder.until(
            lambda: all(folder.mark and not folder.mark.backfill_to for folder in one.health().folders)
        )
    assert subjects(recorder) == ["report 1", "report 29", "report 40"]
    assert not any(message.announce for message in recorder.inbox)


@pytest.mark.asyncio
async def test_the_mailbox_is_left_as_it_was(server: OtherImap) -> None:
    server.append("INBOX", report(1))
    server.append(server.sent, report(2))

    def flags() -> list[object]:
        seen: list[object] = []
        with server.imap() as client:
            for folder in ("INBOX", server.sent):
                client.select(f'"{folder}"', readonly=True)
                answer = client.uid("FETCH", "1:*", "(FLAGS RFC822.SIZE INTERNALDATE)")[1]
                # Who looks first takes \Recent away, and that was the test itself.
                seen.append([line.replace(b" \\Recent", b"").replace(b"\\Recent", b"") for line in answer])
        return seen

    before = flags()
    recorder = Recorder()
    async with watched(server, recorder, backfill="all"):
        await recorder.until(lambda: len(recorder.messages) == 2)
    assert flags() == before


@pytest.mark.asyncio
async def test_a_folder_that_is_deleted_and_made_anew_is_another_one(server: OtherImap) -> None:
    name = "INBOX.Reports" if server.name == "Courier" else "Reports"
    recorder = Recorder()
    with server.imap() as client:
        client.create(name)
    try:
        async with watched(server, recorder, folders=["INBOX", "Reports"], idle_renewal="500ms"):
            server.append(name, report(1))
            await recorder.until(lambda: subjects(recorder) == ["report 1"])
            with server.imap() as client:
                client.delete(name)
            await recorder.until(lambda: recorder.troubles[-1] is not None)
            with server.imap() as client:
                client.create(name)
            server.append(name, report(2))
            await recorder.until(lambda: subjects(recorder) == ["report 1", "report 2"])
    finally:
        with server.imap() as client:
            client.delete(name)


@pytest.mark.asyncio
async def test_a_report_that_is_too_large_is_read_by_its_parts(server: OtherImap) -> None:
    large = (
        b"From: MAILER-DAEMON@mx.example\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n"
        b'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
        b"--b\r\nContent-Type: text/plain\r\n\r\n" + b"It failed.\r\n" * 10_000 + b"\r\n--b\r\n"
        b"Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example\r\n\r\n"
        b"Final-Recipient: rfc822; bob@there.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n--b--\r\n"
    )
    recorder = Recorder()
    async with watched(server, recorder, max_message_size="64KiB"):
        await asyncio.to_thread(server.deliver, large)
        await recorder.until(lambda: len(recorder.inbox) == 1)
    assert b"Final-Recipient: rfc822; bob@there.example" in recorder.inbox[0].data
    assert recorder.inbox[0].size > len(recorder.inbox[0].data)


@pytest.mark.asyncio
async def test_a_refused_password_is_told_as_such(server: OtherImap) -> None:
    recorder = Recorder()
    one = imap.build(settings(server, password="wrong"), recorder.context())
    async with running(one):
        await recorder.until(lambda: recorder.troubles != [], patience=40)
    assert recorder.troubles[0] is not None
    assert recorder.troubles[0].cause == "password_refused"


@pytest.mark.asyncio
async def test_what_makes_the_server_unlike_others_is_known(server: OtherImap) -> None:
    async with logged_in(server) as client:
        examined = await client.examine("INBOX")
        quirks = {
            "slow IDLE": client.kind is not None and client.kind.slow_idle,
            "CONDSTORE": "CONDSTORE" in client.capabilities,
            "special uses": any("\\sent" in folder.attributes for folder in await client.folders()),
            "UIDNEXT at EXAMINE": examined.uidnext is not None,
        }
    expected = {
        "Cyrus": {"slow IDLE": False, "CONDSTORE": True, "special uses": True, "UIDNEXT at EXAMINE": True},
        "Courier": {"slow IDLE": True, "CONDSTORE": False, "special uses": False, "UIDNEXT at EXAMINE": False},
    }
    assert quirks == expected[server.name]


@pytest.mark.asyncio
async def test_the_doctor_finds_it_well(server: OtherImap) -> None:
    found: list[Finding] = []
    await diagnose(settings(server), found.append, NO_STATE)
    assert [finding for finding in found if finding.verdict is Verdict.WRONG] == []
    notes = [finding.about for finding in found if finding.verdict is Verdict.NOTE]
    assert notes == (["idle"] if server.name == "Courier" else [])
