"""Whatever a server does, each message is handed over once: the rows of server_troubles.toml."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from servers.scripted_imap import Answer, Close, Drip, Hang, ScriptedImap, scripted_imap
from sources.recorder import Recorder, running
from sources.scripted import IMPATIENT, make_impatient, report, source, uids, watched

from mdnwatch.model.received import Mark
from mdnwatch.sources.base import SourceState

TROUBLES = tomllib.loads(Path(__file__).with_name("server_troubles.toml").read_text("utf-8"))
ENDINGS: Mapping[str, Callable[[bytes], Answer]] = {"": bytes, "close": Close, "silence": Hang, "drip": Drip}
WATCHED = ("INBOX", "Reports")
CAPABILITIES = b"IMAP4rev1 IDLE SASL-IR AUTH=PLAIN ID"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    make_impatient(monkeypatch)


def answer(row: Mapping[str, Any]) -> Answer:
    lines = str(row["says"])
    text = lines.replace("\n", "\r\n").encode() + (b"\r\n" if lines and row.get("then") != "drip" else b"")
    # What is cut off is cut off within its line.
    cut = lines.endswith(("Subj", "{9"))
    return ENDINGS[row.get("then", "")](text.removesuffix(b"\r\n") if cut else text)


async def each_message_is_handed_over_once(server: ScriptedImap) -> None:
    """Mail that waited, mail that arrives, sent mail: while the server does what it does."""
    recorder = Recorder()
    server.mailboxes["Sent"][3] = report(3)
    recorder.marks["a", "INBOX"] = Mark(42, 4)
    async with scripted_imap(server), running(source(server, recorder, idle_renewal="100ms", **IMPATIENT)) as one:
        await recorder.until(lambda: one.health().state is not SourceState.STARTING)
        for uid in (5, 6, 9):
            server.add("INBOX", uid, report(uid))
            beats = recorder.beats
            await recorder.until(lambda beats=beats: recorder.beats > beats)  # type: ignore[misc] # bound at once
        await recorder.until(lambda: len(recorder.inbox) >= 3 and len(recorder.sent) >= 1)
        # A renewal later still each of them once.
        examined = server.commands.count('EXAMINE "Sent"')
        await recorder.until(lambda: server.commands.count('EXAMINE "Sent"') > examined + 1)
    assert uids(recorder) == [5, 6, 9]
    assert [message.place.uid for message in recorder.sent] == [3]


@pytest.mark.asyncio
@pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in TROUBLES["once"]])
async def test_a_server_that_misbehaves(row: Mapping[str, Any]) -> None:
    polite: list[Answer | None] = [None] * row.get("after", 0)
    answers = [*polite, answer(row)] if row.get("ever") else [*polite, answer(row), None]
    await each_message_is_handed_over_once(ScriptedImap({row["at"]: answers}, capabilities=CAPABILITIES))


@pytest.mark.asyncio
@pytest.mark.parametrize("way", [pytest.param(way, id=way["name"]) for way in TROUBLES["every"]["ways"]])
@pytest.mark.parametrize("step", TROUBLES["every"]["steps"])
async def test_a_server_that_ends_the_connection_at_a_step(step: str, way: Mapping[str, Any]) -> None:
    server = ScriptedImap(capabilities=CAPABILITIES)
    if step == "greeting":
        server.greetings = [answer(way)]
    else:
        name, _, number = step.rpartition(" ") if step[-1].isdigit() else (step, "", "0")
        server.answers = {name: [*[None] * int(number), answer(way), None]}
    await each_message_is_handed_over_once(server)


class Story:
    """A story being played: the mailboxes change, and what has to be handed over is noted."""

    def __init__(self, server: ScriptedImap, recorder: Recorder) -> None:
        self._server = server
        self._recorder = recorder
        self.expected: Counter[tuple[str, int, int]] = Counter()  # folder, UIDVALIDITY, UID

    async def play(self, step: str) -> None:
        verb, _, words = step.partition(" ")
        await getattr(self, f"_{verb}")(*([words] if verb in {"say", "glue"} else words.split()))

    @property
    def handed_over(self) -> Counter[tuple[str, int, int]]:
        places = [message.place for message in self._recorder.inbox]
        return Counter((place.folder, place.uidvalidity, place.uid) for place in places)

    def _expect(self, folder: str, uid: int) -> None:
        self.expected[folder, self._server.uidvalidities.get(folder, self._server.uidvalidity), uid] += 1

    async def _add(self, folder: str, uid: str) -> None:
        self._expect(folder, int(uid))
        self._server.add(folder, int(uid), report(int(uid)))

    async def _slip(self, folder: str, uid: str) -> None:
        self._expect(folder, int(uid))
        self._server.slip(folder, int(uid), report(int(uid)))

    async def _expunge(self, folder: str, uid: str) -> None:
        if not self.handed_over[folder, self._server.uidvalidity, int(uid)]:
            self._expect_nothing(folder, int(uid))
        self._server.expunge(folder, int(uid))

    def _expect_nothing(self, folder: str, uid: int) -> None:
        del self.expected[folder, self._server.uidvalidity, uid]

    async def _make(self, folder: str, validity: str) -> None:
        self._server.uidvalidities[folder] = int(validity)
        self._server.mailboxes[folder] = {}

    async def _delete(self, folder: str) -> None:
        del self._server.mailboxes[folder]
        self._server.uidvalidities.pop(folder, None)

    async def _rename(self, folder: str, name: str) -> None:
        validity = self._server.uidvalidities.pop(folder, self._server.uidvalidity)
        self._server.mailboxes[name] = self._server.mailboxes.pop(folder)
        self._server.uidvalidities[name] = validity
        # In a watched folder's place it is another folder, which is read anew.
        for uid in self._server.mailboxes[name] if name in WATCHED else ():
            self._expect(name, uid)

    async def _validity(self, folder: str, validity: str) -> None:
        self._server.uidvalidities[folder] = int(validity)
        # Under other UIDs these are other messages, as far as anybody can tell.
        for uid in self._server.mailboxes[folder]:
            self._expect(folder, uid)

    async def _say(self, line: str) -> None:
        self._server.push(line.encode() + b"\r\n")

    async def _glue(self, line: str) -> None:
        self._server.glued = line.encode() + b"\r\n"

    async def _renew(self) -> None:
        looks = self._server.commands.count('EXAMINE "INBOX"')
        await self._recorder.until(lambda: self._server.commands.count('EXAMINE "INBOX"') > looks + 1)

    async def _settle(self) -> None:
        await self._recorder.until(lambda: self.handed_over >= self.expected)


@pytest.mark.asyncio
@pytest.mark.parametrize("chunk", [0, 1], ids=["", "split at every byte"])
@pytest.mark.parametrize("row", [pytest.param(row, id=row["name"]) for row in TROUBLES["story"]])
async def test_mailboxes_that_change_while_they_are_watched(row: Mapping[str, Any], chunk: int) -> None:
    server = ScriptedImap(mailboxes={"INBOX": {}, "Reports": {}, "Sent": {}}, chunk=chunk)
    recorder = Recorder()
    pushed = row.get("pushed", False)
    folders = list(WATCHED[:1] if pushed else WATCHED)
    async with watched(server, recorder, folders=folders, idle_renewal="60s" if pushed else "100ms"):
        story = Story(server, recorder)
        for step in [*row["steps"], "settle"]:
            await story.play(step)
        if not pushed:
            await story.play("renew")
    assert story.handed_over == story.expected
