"""A network in which packets vanish while nobody closes the connection: found in time, and nothing is lost."""

from __future__ import annotations

import time

import pytest
from servers.own_network import in_own_network, swallow_packets
from servers.scripted_imap import ScriptedImap
from sources.recorder import Recorder
from sources.scripted import make_impatient, report, uids, watched

from mdnwatch.errors import Cause
from mdnwatch.sources.base import SourceState

pytestmark = pytest.mark.servers

QUICK = {"idle_renewal": "1s", "answer_timeout": "1s", "command_timeout": "2s", "connect_timeout": "1s"}
DEFAULTS = {"idle_renewal": "90s"}


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    make_impatient(monkeypatch)


@pytest.mark.parametrize(
    ("times", "seconds"),
    [
        pytest.param(QUICK, 15, id="with short times"),
        pytest.param(DEFAULTS, 120, id="within two minutes by default", marks=pytest.mark.slow),
    ],
)
def test_a_connection_whose_packets_vanish_is_found_and_caught_up_with(times: dict[str, str], seconds: float) -> None:
    async def story() -> None:
        server, recorder = ScriptedImap(), Recorder()
        async with watched(server, recorder, **times) as one:
            server.add("INBOX", 1, report(1))
            await recorder.until(lambda: uids(recorder) == [1])
            swallow_packets(swallow=True)
            began = time.monotonic()
            try:
                server.add("INBOX", 2, report(2))
                await recorder.until(lambda: one.health().state is SourceState.DOWN, patience=seconds)
                assert time.monotonic() - began < seconds
                causes = [trouble.cause for trouble in recorder.troubles if trouble is not None]
                assert causes[0] in {Cause.SILENT, Cause.CONNECTION_LOST}
            finally:
                swallow_packets(swallow=False)
            server.add("INBOX", 3, report(3))
            await recorder.until(lambda: uids(recorder) == [1, 2, 3])

    in_own_network(story)
