"""An IMAP source on a scripted server, and the haste that its tests need."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from servers.scripted_imap import ScriptedImap, scripted_imap
from sources.recorder import Recorder, running

from mdnwatch.sources import imap
from mdnwatch.sources.base import SourceState
from mdnwatch.sources.imap import ImapSource


def report(number: int) -> bytes:
    return f"Subject: report {number}\r\n\r\ndisplayed\r\n".encode()


def make_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second is a long time in a test."""
    monkeypatch.setattr(imap, "jittered_pause", lambda failures: 0.01 * min(failures, 10))
    monkeypatch.setattr(imap, "SENT_LOOKS_SECONDS", (0.0, 0.1, 0.3))
    monkeypatch.setattr(imap, "SENT_LOOK_DISTANCE_SECONDS", 0.01)
    monkeypatch.setattr(imap, "SECRET_LOOK_SECONDS", 0.01)


# For tests in which a server falls silent.
IMPATIENT = dict.fromkeys(("connect_timeout", "answer_timeout", "command_timeout"), "300ms")


def source(server: ScriptedImap, recorder: Recorder, **others: object) -> ImapSource:
    table = {"name": "a", "host": "127.0.0.1", "port": server.port, "tls": "none", "password": "pw"}
    table |= {
        "username": "alice@mail.example",
        "folders": ["INBOX"],
        "sent": ["Sent"],
        "idle_renewal": "200ms",
        "poll_interval": "20ms",
        **others,
    }
    return imap.build(imap.SETTINGS.model_validate(table), recorder.context())


@asynccontextmanager
async def watched(server: ScriptedImap, recorder: Recorder, **others: object) -> AsyncIterator[ImapSource]:
    """A server and a source that watches it, up."""
    async with scripted_imap(server):
        one = source(server, recorder, **others)
        async with running(one):
            await recorder.until(lambda: one.health().state is SourceState.UP)
            yield one


def uids(recorder: Recorder) -> list[int]:
    return [message.place.uid for message in recorder.inbox]
