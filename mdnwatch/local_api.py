"""The local socket: commands ask the running daemon, one line of JSON for the question, one for the answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from mdnwatch.errors import MdnwatchError

# The largest is a message to register with ten thousand recipients; whoever sends more is no command of ours.
MAX_QUESTION_BYTES = 1024 * 1024

# The status of tens of thousands of recipients; more would only fill the asking terminal's memory.
MAX_ANSWER_BYTES = 64 * 1024 * 1024

# A command writes its question at once: a connection that says nothing only holds a descriptor.
QUESTION_SECONDS = 5.0

# Longer than any question may take the database, so that a defect cannot collect waiting connections.
ANSWER_SECONDS = 60.0

# People and monitoring ask a few times a second; the daemon keeps its descriptors for mail servers.
MAX_CONNECTIONS = 32

# Owner and group may ask; the directory decides who can reach the socket at all.
SOCKET_MODE = 0o660

_UCRED = struct.Struct("3i")  # socket(7), SO_PEERCRED: pid, uid, gid


@dataclass(frozen=True, slots=True)
class Peer:
    """Who asks, as the kernel knows it."""

    pid: int
    uid: int
    gid: int


# Whoever works on the database without a daemon is the owner of it.
OURSELVES = Peer(os.getpid(), os.geteuid(), os.getegid())

Answer = Mapping[str, Any]
Handler = Callable[[Mapping[str, Any], Peer], Awaitable[Answer]]


class Log(Protocol):
    """The part of a structured logger that is needed here."""

    def exception(self, event: str, **fields: Any) -> Any:  # noqa: ANN401 - structlog's own type
        """One line with the exception that is being handled."""
        ...


@contextlib.asynccontextmanager
async def listening(path: Path, handlers: Mapping[str, Handler], log: Log) -> AsyncIterator[None]:
    """Answer questions on the socket at `path` until the block is left.

    `handlers` maps the command of a question to who answers it: called with the question and the peer, it
    returns what becomes JSON, or raises MdnwatchError with words for the person who asks. The caller holds the
    lock of `state_dir`: a socket that stands there already is a dead daemon's. Raises MdnwatchError.
    """
    server = _Server(handlers, log)
    with _bound(path) as bound:
        listener = await asyncio.start_unix_server(server.converse, sock=bound, limit=MAX_QUESTION_BYTES)
        try:
            yield
        finally:
            listener.close()
            await server.stop()


@contextlib.contextmanager
def _bound(path: Path) -> Iterator[socket.socket]:
    """A socket at `path`, which is gone when the block is left."""
    try:
        bound = _bind(path)
    except OSError as error:
        raise MdnwatchError(f"local socket {path}: {error.strerror or error}") from None
    try:
        yield bound
    finally:
        bound.close()
        path.unlink(missing_ok=True)


def _bind(path: Path) -> socket.socket:
    if path.exists() and not path.is_socket():
        raise MdnwatchError(f"{path} is in the way and is no socket: move it elsewhere")
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        # Linux gives the file the mode of the descriptor, less the umask: nobody else can slip in before the chmod.
        os.fchmod(bound.fileno(), SOCKET_MODE)
        bound.bind(str(path))
        path.chmod(SOCKET_MODE)
    except BaseException:
        bound.close()
        raise
    return bound


class _Server:
    """The conversations that are going on."""

    def __init__(self, handlers: Mapping[str, Handler], log: Log) -> None:
        self._handlers = handlers
        self._log = log
        self._running: set[asyncio.Task[Any]] = set()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: one question, one answer."""
        task = asyncio.current_task()
        if task is None or len(self._running) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        self._running.add(task)
        try:
            # A peer that goes away is owed nothing, and `stop` waits for no peer.
            with contextlib.suppress(OSError, TimeoutError, asyncio.CancelledError):
                writer.write(await self._answer(reader, _peer(writer)))
                async with asyncio.timeout(ANSWER_SECONDS):
                    await writer.drain()
        finally:
            self._running.discard(task)
            writer.close()

    async def stop(self) -> None:
        """End the conversations that are still going on."""
        for task in tuple(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, peer: Peer) -> bytes:
        try:
            question = await _question(reader)
            async with asyncio.timeout(ANSWER_SECONDS):
                return _line({"answer": await self._handler(question)(question, peer)})
        except MdnwatchError as error:
            return _line({"error": str(error)})
        except TimeoutError:
            return _line({"error": f"the daemon found no answer within {ANSWER_SECONDS:.0f} s"})
        except ConnectionError:
            raise
        except Exception:  # noqa: BLE001 - a defect behind one question must not end the daemon; it is logged
            self._log.exception("local question failed")
            return _line({"error": "the daemon failed at this question: its log says why"})

    def _handler(self, question: Mapping[str, Any]) -> Handler:
        handler = self._handlers.get(str(question.get("command")))
        if handler is None:
            raise MdnwatchError("the daemon does not know this command: is it of another version?")
        return handler


async def _question(reader: asyncio.StreamReader) -> Mapping[str, Any]:
    try:
        async with asyncio.timeout(QUESTION_SECONDS):
            question = json.loads(await reader.readline())
    except TimeoutError:
        raise MdnwatchError(f"no question came within {QUESTION_SECONDS:.0f} s") from None
    except (ValueError, RecursionError):  # also what StreamReader raises for a line above its limit
        question = None
    if not isinstance(question, dict):
        raise MdnwatchError("a question is one short line with a JSON object")
    return question


def _line(value: Answer) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


def _peer(writer: asyncio.StreamWriter) -> Peer:
    connection = writer.get_extra_info("socket")
    return Peer(*_UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)))


def ask(path: Path, question: Mapping[str, Any], timeout: float = ANSWER_SECONDS) -> dict[str, Any] | None:
    """Ask the daemon that listens at `path`, and wait up to `timeout` seconds; None: no daemon listens there.

    Raises MdnwatchError when the daemon refuses, does not answer, or may not be asked.
    """
    try:
        line = _exchange(path, _line(question), timeout)
    except (FileNotFoundError, ConnectionRefusedError):
        return None
    except PermissionError:
        raise MdnwatchError(f"{path}: only root and members of the socket's group may ask the daemon") from None
    except TimeoutError:
        raise MdnwatchError(f"the daemon at {path} did not answer within {timeout:.0f} s") from None
    except OSError as error:
        raise MdnwatchError(f"{path}: {error.strerror or error}") from None
    return _unpacked(path, line)


def _exchange(path: Path, line: bytes, timeout: float) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout)
        connection.connect(str(path))
        connection.sendall(line)
        with connection.makefile("rb") as stream:
            return stream.readline(MAX_ANSWER_BYTES)


def _unpacked(path: Path, line: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(line)
        if "error" in reply:
            raise MdnwatchError(str(reply["error"]))
        answer: dict[str, Any] = reply["answer"]
    except (ValueError, KeyError, TypeError):
        raise MdnwatchError(f"the daemon at {path} gave no whole answer: it may be stopping") from None
    return answer
