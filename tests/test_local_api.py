from __future__ import annotations

import asyncio
import json
import os
import socket
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mdnwatch import local_api
from mdnwatch.errors import MdnwatchError
from mdnwatch.local_api import Peer, ask, listening


class Log:
    """Keeps what is logged."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def exception(self, event: str, **_fields: object) -> None:
        self.events.append(event)


async def answer_status(question: Mapping[str, Any], peer: Peer) -> Mapping[str, Any]:
    return {"query": question.get("query"), "peer": [peer.pid, peer.uid, peer.gid]}


async def refuse(_question: Mapping[str, Any], _peer: Peer) -> Mapping[str, Any]:
    raise MdnwatchError("not today")


async def fail(_question: Mapping[str, Any], _peer: Peer) -> Mapping[str, Any]:
    raise ZeroDivisionError


async def answer_what_is_no_json(_question: Mapping[str, Any], _peer: Peer) -> Mapping[str, Any]:
    return {"now": object()}


async def never_answer(_question: Mapping[str, Any], _peer: Peer) -> Mapping[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError


HANDLERS = {
    "status": answer_status,
    "refuse": refuse,
    "fail": fail,
    "no-json": answer_what_is_no_json,
    "never": never_answer,
}


async def asked(path: Path, question: Mapping[str, Any], seconds: float = 10) -> dict[str, Any] | None:
    return await asyncio.to_thread(ask, path, question, seconds)


async def said(path: Path, data: bytes) -> bytes:
    """What comes back for bytes that no command of ours would send."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    try:
        return await reader.read()
    finally:
        writer.close()


@pytest.mark.asyncio
async def test_a_question_is_answered_and_the_kernel_says_who_asks(tmp_path: Path) -> None:
    async with listening(tmp_path / "s", HANDLERS, Log()):
        answer = await asked(tmp_path / "s", {"command": "status", "query": "<é@x>"})
    assert answer == {"query": "<é@x>", "peer": [os.getpid(), os.getuid(), os.getgid()]}


def test_it_answers_on_uvloop_too(tmp_path: Path) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def exchange() -> dict[str, Any] | None:
        async with listening(tmp_path / "s", HANDLERS, Log()):
            return await asked(tmp_path / "s", {"command": "status"})

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        answer = runner.run(exchange())
    assert answer == {"query": None, "peer": [os.getpid(), os.getuid(), os.getgid()]}
    assert not (tmp_path / "s").exists()


@pytest.mark.asyncio
async def test_owner_and_group_may_ask_whatever_the_umask(tmp_path: Path) -> None:
    for umask in (0o077, 0o000):
        before = os.umask(umask)
        try:
            async with listening(tmp_path / "s", HANDLERS, Log()):
                assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o660
        finally:
            os.umask(before)


@pytest.mark.asyncio
async def test_the_socket_of_a_dead_daemon_is_replaced_and_ours_goes_when_we_go(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "s"))
    async with listening(tmp_path / "s", HANDLERS, Log()):
        assert await asked(tmp_path / "s", {"command": "status"}) is not None
    assert not (tmp_path / "s").exists()


@pytest.mark.asyncio
async def test_what_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("mine")
    with pytest.raises(MdnwatchError, match="is in the way and is no socket"):
        async with listening(tmp_path / "s", HANDLERS, Log()):
            pass
    assert (tmp_path / "s").read_text() == "mine"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "words"), [("x" * 200, "path too long"), ("no/such/directory", "No such file or directory")]
)
async def test_where_no_socket_can_stand_the_reason_is_told(path: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(MdnwatchError, match=words):
        async with listening(tmp_path / path, HANDLERS, Log()):
            pass


@pytest.mark.parametrize("leftover", [False, True])
def test_without_a_daemon_the_answer_is_none(tmp_path: Path, *, leftover: bool) -> None:
    if leftover:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(tmp_path / "s"))
    assert ask(tmp_path / "s", {"command": "status"}) is None


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("command", "words", "logged"),
    [
        ("refuse", "not today", []),
        ("unheard-of", "does not know this command", []),
        ("fail", "its log says why", ["local question failed"]),
        ("no-json", "its log says why", ["local question failed"]),
    ],
)
async def test_a_question_without_an_answer_gets_words(
    command: str, words: str, logged: list[str], tmp_path: Path
) -> None:
    log = Log()
    async with listening(tmp_path / "s", HANDLERS, log):
        with pytest.raises(MdnwatchError, match=words):
            await asked(tmp_path / "s", {"command": command})
        assert await asked(tmp_path / "s", {"command": "status"}) is not None
    assert log.events == logged


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "data", [b"status\n", b"[1]\n", b"\xff\xfe\n", b"\n", b"[" * 50_000 + b"\n", b"{" + b" " * 2_000_000 + b"}\n"]
)
async def test_what_is_no_question_is_refused(data: bytes, tmp_path: Path) -> None:
    async with listening(tmp_path / "s", HANDLERS, Log()):
        try:
            answer = await said(tmp_path / "s", data)
            assert "one short line with a JSON object" in json.loads(answer)["error"]
        except ConnectionResetError:
            # The kernel resets a connection that is closed before all was read.
            assert len(data) > local_api.MAX_QUESTION_BYTES
        assert await asked(tmp_path / "s", {"command": "status"}) is not None


@pytest.mark.asyncio
async def test_who_connects_and_says_nothing_is_sent_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_api, "QUESTION_SECONDS", 0.05)
    async with listening(tmp_path / "s", HANDLERS, Log()):
        assert "no question came" in json.loads(await said(tmp_path / "s", b""))["error"]


@pytest.mark.asyncio
async def test_a_handler_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_api, "ANSWER_SECONDS", 0.05)
    async with listening(tmp_path / "s", HANDLERS, Log()):
        with pytest.raises(MdnwatchError, match="found no answer"):
            await asked(tmp_path / "s", {"command": "never"})


@pytest.mark.asyncio
async def test_who_asks_waits_no_longer_than_wanted(tmp_path: Path) -> None:
    async with listening(tmp_path / "s", HANDLERS, Log()):
        with pytest.raises(MdnwatchError, match="did not answer within"):
            await asked(tmp_path / "s", {"command": "never"}, seconds=0.05)


@pytest.mark.asyncio
async def test_stopping_waits_for_no_question(tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def never(question: Mapping[str, Any], peer: Peer) -> Mapping[str, Any]:
        arrived.set()
        return await never_answer(question, peer)

    async with listening(tmp_path / "s", {**HANDLERS, "never": never}, Log()):
        silent, writer = await asyncio.open_unix_connection(tmp_path / "s")
        waiting = asyncio.create_task(asked(tmp_path / "s", {"command": "never"}))
        await asyncio.wait_for(arrived.wait(), 5)
    async with asyncio.timeout(5):
        assert await silent.read() == b""
        with pytest.raises(MdnwatchError, match="gave no whole answer"):
            await waiting
    writer.close()


@pytest.mark.asyncio
async def test_more_connections_than_allowed_are_refused_and_the_others_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_api, "MAX_CONNECTIONS", 1)
    async with listening(tmp_path / "s", HANDLERS, Log()):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        with pytest.raises(MdnwatchError):
            await asked(tmp_path / "s", {"command": "status"})
        writer.write(b'{"command": "status"}\n')
        assert "answer" in json.loads(await reader.readline())
        writer.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.asyncio
async def test_strangers_are_told_who_may_ask(tmp_path: Path) -> None:
    for directory in (tmp_path, *tmp_path.parents[:3]):
        directory.chmod(directory.stat().st_mode | stat.S_IXOTH)
    async with listening(tmp_path / "s", HANDLERS, Log()):
        os.seteuid(65534)
        try:
            with pytest.raises(MdnwatchError, match="only root and members of the socket's group"):
                await asked(tmp_path / "s", {"command": "status"})
        finally:
            os.seteuid(0)
