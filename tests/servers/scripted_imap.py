"""An IMAP server that does what it is told, from a table: for what real servers do rarely or never.

By default it is a polite server with IDLE. A table of answers replaces what it says to some commands; in an
answer, `{tag}` stands for the command's tag.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

GREETING = b"* OK ready\r\n"
DRIP_SECONDS = 0.02
CAPABILITIES = b"IMAP4rev1 IDLE SASL-IR AUTH=PLAIN"


@dataclass(frozen=True)
class Close:
    """Say this and close the connection."""

    text: bytes = b""


@dataclass(frozen=True)
class Hang:
    """Say this, and nothing more for ever."""

    text: bytes = b""


@dataclass(frozen=True)
class Drip:
    """Say this, and then a byte now and then for ever."""

    text: bytes = b""


Answer = bytes | Close | Hang | Drip
# For a command: always the same, or one after the other (the last one stays), or whatever a function says of the
# command's words. None is the polite answer.
Answers = Mapping[str, Answer | Sequence[Answer | None] | Callable[[str], Answer | None]]


@dataclass
class ScriptedImap:
    """The server: mailboxes as UID → message, and how it answers."""

    answers: Answers = field(default_factory=dict)
    mailboxes: dict[str, dict[int, bytes]] = field(default_factory=lambda: {"INBOX": {}, "Sent": {}})
    greeting: Answer = GREETING
    greetings: list[Answer] = field(default_factory=list)  # of the first connections, instead
    capabilities: bytes = CAPABILITIES
    uidvalidity: int = 42  # of folders that have none of their own in `uidvalidities`
    uidvalidities: dict[str, int] = field(default_factory=dict)
    tells_uidnext: bool = True
    challenge: bytes | None = None  # said to the credentials of an AUTHENTICATE, which is refused after the reply
    injected: bytes = b""  # said in clear text behind the OK of STARTTLS
    glued: bytes = b""  # said once, in one segment with the next tagged answer
    chunk: int = 0  # bytes that are sent at a time; 0 for all at once
    tls: ssl.SSLContext | None = None  # for STARTTLS
    port: int = 0
    connections: int = 0
    arrivals: list[float] = field(default_factory=list)  # when connections began, in the loop's time
    commands: list[str] = field(default_factory=list)  # without their tags
    _asked: dict[str, int] = field(default_factory=dict)
    _open: set[_Connection] = field(default_factory=set)

    def add(self, folder: str, uid: int, message: bytes) -> None:
        """Let a message arrive, and tell those who have the folder open."""
        self.mailboxes[folder][uid] = message
        for connection in self._open:
            if connection.folder == folder and connection.idling:
                connection.say(connection.news())

    def slip(self, folder: str, uid: int, message: bytes) -> None:
        """Let a message arrive, and tell nobody."""
        self.mailboxes[folder][uid] = message

    def expunge(self, folder: str, uid: int) -> None:
        """Let a message go; those who idle in the folder are told."""
        number = sorted(self.mailboxes[folder]).index(uid) + 1
        del self.mailboxes[folder][uid]
        for connection in self._open:
            if connection.folder == folder and connection.idling:
                connection.lose(number)

    def push(self, text: bytes) -> None:
        """Say something on every connection."""
        for connection in self._open:
            connection.say(text)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.arrivals.append(asyncio.get_running_loop().time())
        connection = _Connection(self, reader, writer)
        self._open.add(connection)
        try:
            # Cancelled only at the end of the server; a connection with TLS does not always notice its end.
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await connection.talk()
        finally:
            self._open.discard(connection)
            writer.close()

    def scripted(self, name: str, words: str) -> Answer | None:
        """What the table says to a command, if anything."""
        answer = self.answers.get(name)
        if callable(answer):
            return answer(words)
        if answer is None or isinstance(answer, Answer):
            return answer
        turn = self._asked[name] = self._asked.get(name, -1) + 1
        return answer[min(turn, len(answer) - 1)]


class _Connection:
    """One client."""

    def __init__(self, server: ScriptedImap, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self.folder = ""
        self.idling = False
        self._task = asyncio.current_task()
        self._told = 0  # messages in the folder, as this client knows

    async def end(self) -> None:
        self._writer.transport.abort()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def say(self, text: bytes) -> None:
        self._writer.write(text)

    def lose(self, number: int) -> None:
        """Tell of a message that is gone."""
        self._told = max(0, self._told - 1)
        self.say(b"* %d EXPUNGE\r\n" % number)

    def news(self) -> bytes:
        """What is to be told of the open folder since the last time."""
        if len(self._messages) == self._told:
            return b""
        self._told = len(self._messages)
        return f"* {self._told} EXISTS\r\n".encode()

    async def talk(self) -> None:
        greetings = self._server.greetings
        await self._answer(greetings.pop(0) if greetings else self._server.greeting, "")
        while line := await self._reader.readline():
            tag, _, command = line.decode().rstrip("\r\n").partition(" ")
            name, _, words = command.partition(" ")
            if name == "UID":
                second, _, words = words.partition(" ")
                name = f"UID {second}"
            self._server.commands.append(command)
            answer = self._server.scripted(name, words)
            if answer is None:
                answer = await self._polite(tag, name, words)
            await self._answer(answer, tag)

    async def _answer(self, answer: Answer, tag: str) -> None:
        text = answer if isinstance(answer, bytes) else answer.text
        text = text.replace(b"{tag}", tag.encode())
        if tag and tag.encode() + b" OK" in text:
            text, self._server.glued = text + self._server.glued, b""
        await self._send(text)
        if isinstance(answer, Close):
            self._writer.close()
        elif isinstance(answer, Hang):
            await self._reader.read()
        elif isinstance(answer, Drip):
            while True:
                self._writer.write(b"x")
                await self._writer.drain()
                await asyncio.sleep(DRIP_SECONDS)

    async def _send(self, text: bytes) -> None:
        size = self._server.chunk or len(text)
        for start in range(0, len(text), size or 1):
            self._writer.write(text[start : start + size])
            await self._writer.drain()
            await asyncio.sleep(0)

    async def _polite(self, tag: str, name: str, words: str) -> bytes:
        if name == "IDLE":
            return await self._idle(tag)
        if name == "AUTHENTICATE":
            return await self._authenticate(tag, words)
        if name == "STARTTLS" and self._server.tls is not None:
            await self._send(f"{tag} OK begin\r\n".encode() + self._server.injected)
            await self._writer.start_tls(self._server.tls)
            return b""
        said: dict[str, Callable[[], bytes]] = {
            "CAPABILITY": lambda: b"* CAPABILITY " + self._server.capabilities + b"\r\n",
            "LIST": self._list,
            "EXAMINE": lambda: self._examine(words),
            "UID SEARCH": lambda: self._search(words),
            "UID FETCH": lambda: self._fetch(words, by_uid=True),
            "FETCH": lambda: self._fetch(words, by_uid=False),
            "NOOP": self.news,
            "ID": lambda: b"* ID NIL\r\n",
            "LOGIN": bytes,
        }
        if name not in said:
            return f"{tag} BAD what is {name}\r\n".encode()
        done = said[name]()
        if name == "EXAMINE" and not self.folder:
            return f"{tag} NO there is no such mailbox\r\n".encode()
        return done + f"{tag} OK done\r\n".encode()

    @property
    def _messages(self) -> dict[int, bytes]:
        return self._server.mailboxes.get(self.folder, {})

    async def _authenticate(self, tag: str, words: str) -> bytes:
        if " " not in words:
            await self._ask(b"")
        if self._server.challenge is None:
            return f"{tag} OK done\r\n".encode()
        await self._ask(self._server.challenge)
        return f"{tag} NO [AUTHENTICATIONFAILED] refused\r\n".encode()

    async def _ask(self, challenge: bytes) -> None:
        await self._send(b"+ " + challenge + b"\r\n")
        self._server.commands.append((await self._reader.readline()).decode().strip())

    async def _idle(self, tag: str) -> bytes:
        self.idling = True
        await self._send(b"+ idling\r\n" + self.news())
        done = await self._reader.readline()
        self.idling = False
        self._server.commands.append(done.decode().strip())
        return f"{tag} OK idled\r\n".encode()

    def _list(self) -> bytes:
        return b"".join(f'* LIST (\\HasNoChildren) "/" "{name}"\r\n'.encode() for name in self._server.mailboxes)

    def _examine(self, words: str) -> bytes:
        self.folder = words.strip('"')
        self._told = len(self._messages)
        if self.folder not in self._server.mailboxes:
            self.folder = ""
            return b""
        uidvalidity = self._server.uidvalidities.get(self.folder, self._server.uidvalidity)
        uidnext = max(self._messages, default=0) + 1
        said = f"* {len(self._messages)} EXISTS\r\n* OK [UIDVALIDITY {uidvalidity}] valid\r\n"
        return (said + (f"* OK [UIDNEXT {uidnext}] next\r\n" if self._server.tells_uidnext else "")).encode()

    def _search(self, words: str) -> bytes:
        found = self._chosen(words.removeprefix("UID "), by_uid=True) if words.startswith("UID ") else self._messages
        return b"* SEARCH" + b"".join(b" %d" % uid for uid in found) + b"\r\n"

    def _fetch(self, words: str, *, by_uid: bool) -> bytes:
        numbers, _, items = words.partition(" ")
        order = sorted(self._messages)
        return b"".join(
            b"* %d FETCH (%s)\r\n" % (order.index(uid) + 1, _items(uid, self._messages[uid], items))
            for uid in self._chosen(numbers, by_uid=by_uid)
        )

    def _chosen(self, numbers: str, *, by_uid: bool) -> list[int]:
        """RFC 9051 §6.4.9: "n:*" holds the last message, also one below n."""
        order = sorted(self._messages)
        last = (order[-1] if by_uid else len(order)) if order else 0
        chosen: set[int] = set()
        for part in numbers.split(","):
            ends = sorted(last if end == "*" else int(end) for end in part.split(":"))
            names = order if by_uid else range(1, len(order) + 1)
            chosen |= {uid for uid, name in zip(order, names, strict=True) if ends[0] <= name <= ends[-1]}
        return sorted(chosen)


def _items(uid: int, message: bytes, items: str) -> bytes:
    said = [b"UID %d" % uid]
    if "RFC822.SIZE" in items:
        said += [b"RFC822.SIZE %d" % len(message), b'INTERNALDATE "23-Nov-2026 19:21:08 +0000"']
    if match := re.search(r"BODY\.PEEK\[(HEADER)?\]<0\.(\d+)>", items):
        data = message.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if match[1] else message
        data = data[: int(match[2])]
        said.append(b"BODY[%s]<0> {%d}\r\n%s" % ((match[1] or "").encode(), len(data), data))
    return b" ".join(said)


@asynccontextmanager
async def scripted_imap(server: ScriptedImap) -> AsyncIterator[ScriptedImap]:
    """The server at work on a port of its own."""
    listening = await asyncio.start_server(server.serve, "127.0.0.1", server.port)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()
        await asyncio.gather(*(connection.end() for connection in list(server._open)))
