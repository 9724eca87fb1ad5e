"""One connection to an IMAP server (RFC 9051 §2.2, RFC 2177): the only module that knows aioimaplib.

aioimaplib gives the protocol class, the commands with the states they are allowed in, and the tags. Its framing
is replaced: it recurses per line, is quadratic per FETCH, loses pushes, and hangs when the connection is lost.

One task owns a session, and one command runs at a time. Whatever goes wrong in a command (a deadline, a
cancellation, an answer that is no IMAP) ends the connection, since nobody knows what is still on its way.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from aioimaplib import aioimaplib

from mdnwatch.errors import Cause, SourceError
from mdnwatch.sources import imap_grammar as grammar
from mdnwatch.sources.base import BEAT_SECONDS
from mdnwatch.sources.imap_framing import MAX_RESPONSE_BYTES, Framer, ProtocolError, Response
from mdnwatch.sources.imap_settings import ImapSettings
from mdnwatch.sources.imap_trouble import cause_of_error, cause_of_words

# All that one command may bring: more than any window of messages is asked for.
MAX_ANSWER_BYTES = 64 * 1024**2

# Beside the literal of a message, its FETCH response holds a few numbers and a date.
RESPONSE_ROOM_BYTES = 64 * 1024

# So much of a greeting that is none is shown: enough to recognise another protocol.
GREETING_ROOM = 80

# A server that sends a byte now and then is not silent, and yet gets nowhere.
TOTAL_PER_SILENCE = 10

# A peer that is gone without a word is noticed within two minutes, also where nothing is to be sent.
TCP_OPTIONS: Mapping[int, int] = {
    socket.TCP_NODELAY: 1,
    socket.TCP_KEEPIDLE: 60,  # seconds
    socket.TCP_KEEPINTVL: 15,  # seconds
    socket.TCP_KEEPCNT: 3,
    socket.TCP_USER_TIMEOUT: 90_000,  # milliseconds
}

_BYE = re.compile(rb"\* BYE(?: |\Z)", re.IGNORECASE)
_COUNT = re.compile(rb"\* (\d{1,10}) (EXISTS|EXPUNGE)\b", re.IGNORECASE)


class Exchange(aioimaplib.Command):  # type: ignore[misc] # aioimaplib ships no types
    """A command, and what was answered so far; `status` is "" until it is done, then OK, NO or BAD."""

    def __init__(self, name: str, tag: str, *words: str, prefix: str | None, replies: Sequence[bytes]) -> None:
        super().__init__(name, tag, *words, prefix=prefix)
        self.responses: list[Response] = []
        self.size = 0
        self.status = ""
        self.text = ""
        self.continued = False
        self.replies = list(replies)  # what to send, one after the other, whenever the server asks to go on
        self.challenge = ""  # what the server asked last, in base64 (RFC 9051 §6.2.2)

    def __repr__(self) -> str:
        # The words may hold a password.
        return f"<{self.name}>"

    @property
    def line(self) -> bytes:
        """The command as it is sent, without its line end."""
        return str(super().__repr__()).encode("utf-8", "surrogateescape")

    @property
    def done(self) -> bool:
        """Whether the server has said how it ended."""
        return bool(self.status)

    def lines(self, kind: str) -> list[Response]:
        """The untagged responses that begin with a word."""
        start = f"* {kind} ".encode("ascii")
        # A response may consist of its word alone: "* SEARCH".
        return [response for response in self.responses if (response[0][: len(start)] + b" ").upper().startswith(start)]


class _Protocol(aioimaplib.IMAP4ClientProtocol):  # type: ignore[misc] # aioimaplib ships no types
    """aioimaplib's protocol with a bounded framing, whose every failure reaches the one who waits."""

    def __init__(self, max_response: int, now: Callable[[], datetime], beat: Callable[[], None]) -> None:
        super().__init__(asyncio.get_running_loop())
        self._framer = Framer(max_response)
        self._now = now
        self._beat = beat
        self._exchange: Exchange | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._heard = self.loop.time()
        self.last_answer: datetime | None = None
        self.greeting = ""
        self.failure = ""
        self.cause = Cause.OTHER
        self.exists = 0
        self.pushes = 0  # EXISTS responses so far
        self.deaf = False  # from STARTTLS until TLS stands

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in TCP_OPTIONS.items():
            connection.setsockopt(socket.IPPROTO_TCP, option, value)

    def data_received(self, data: bytes) -> None:
        if self.deaf or self.failure:
            return
        self._heard = self.loop.time()
        self.last_answer = self._now()
        try:
            for response in self._framer.feed(data):
                self._received(response)
        except ProtocolError as error:
            self.fail(str(error), error.cause)

    def connection_lost(self, exc: Exception | None) -> None:
        self.fail("the connection was lost" + (f": {words_of(exc)}" if exc else ""), Cause.CONNECTION_LOST)

    def fail(self, why: str, cause: Cause) -> None:
        """Give the connection up; the first reason is the one that counts."""
        if not self.failure:
            self.failure, self.cause = why, cause
        if self.transport is not None:
            self.transport.abort()
        self._wake()

    def _received(self, response: Response) -> None:
        line = response[0]
        if not self.greeting:
            self._greeted(text_of(line))
        elif line.startswith(b"* "):
            self._untagged(response)
        elif line.startswith(b"+"):
            self._continued(text_of(line[1:]).strip())
        elif line:
            self._tagged(text_of(line))

    def _greeted(self, line: str) -> None:
        # RFC 9051 §7.1: a greeting is OK, PREAUTH or BYE.
        self.greeting = line
        word, _, said = line.removeprefix("* ").partition(" ")
        word = word.upper()
        if word == "BYE":
            self.fail(f"the server lets nobody in: {grammar.words(said)}", cause_of_words(said, Cause.UNAVAILABLE))
        elif word not in {"OK", "PREAUTH"}:
            self.fail(f"this is no IMAP server, it says: {line[:GREETING_ROOM]}", Cause.PROTOCOL)
        self.state = aioimaplib.AUTH if word == "PREAUTH" else aioimaplib.NONAUTH
        self._wake()

    def _untagged(self, response: Response) -> None:
        line = response[0]
        if match := _COUNT.match(line):
            self._counted(int(match[1]), match[2].upper())
        elif _BYE.match(line):
            said = text_of(line)[len("* BYE ") :]
            cause = cause_of_words(said, Cause.CONNECTION_LOST)
            self.fail(f"the server closed the connection: {grammar.words(said)}", cause)
        elif self._exchange is not None:
            self._exchange.responses.append(response)
            self._exchange.size += sum(map(len, response))
            if self._exchange.size > MAX_ANSWER_BYTES:
                why = f"the server answered {self._exchange.name} with more than {MAX_ANSWER_BYTES} bytes"
                self.fail(why, Cause.PROTOCOL)

    def _counted(self, number: int, kind: bytes) -> None:
        if kind == b"EXPUNGE":
            self.exists = max(0, self.exists - 1)
            return
        self.exists = number
        self.pushes += 1
        self._wake()

    def _continued(self, challenge: str) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        if exchange.name == "AUTHENTICATE":
            # RFC 9051 §6.2.2: "*" cancels; a question after the credentials is one that nobody here can answer.
            exchange.challenge = challenge
            self.write(exchange.replies.pop(0) if exchange.replies else b"*")
        exchange.continued = True
        self._wake()

    def _tagged(self, line: str) -> None:
        tag, _, rest = line.partition(" ")
        exchange, self._exchange = self._exchange, None
        if exchange is None or tag != exchange.tag:
            self.fail("the server answered a command that was not given", Cause.PROTOCOL)
            return
        status, _, exchange.text = rest.partition(" ")
        exchange.status = status.upper() or "BAD"
        if exchange.name == "STARTTLS" and exchange.status == "OK":
            # RFC 9051 §6.2.1: nothing that was sent in clear text may count, what stands behind this line included.
            self.deaf = True
            self._framer.discard()
        self._changed_state(exchange)
        self._wake()

    def _changed_state(self, exchange: Exchange) -> None:
        if exchange.name in {"LOGIN", "AUTHENTICATE"} and exchange.status == "OK":
            self.state = aioimaplib.AUTH
        elif exchange.name == "EXAMINE":
            # RFC 9051 §6.3.2: after a failure no folder is open, whichever was before.
            self.state = aioimaplib.SELECTED if exchange.status == "OK" else aioimaplib.AUTH

    def begin(self, exchange: Exchange) -> None:
        """Send a command. Raises SourceError when the connection is lost already."""
        if self.failure:
            raise SourceError(self.failure, self.cause)
        if self._exchange is not None or self.state not in aioimaplib.Commands[exchange.name].valid_states:
            raise RuntimeError(f"{exchange.name} is out of place here")
        if exchange.name == "EXAMINE":
            self.exists = 0
        self._exchange = exchange
        self._heard = self.loop.time()
        self.write(exchange.line)

    def write(self, line: bytes) -> None:
        """Send a line. It is never logged: it may hold a password."""
        self.transport.write(line + b"\r\n")

    async def until(self, condition: Callable[[], bool], *, total: float, silence: float | None = None) -> bool:
        """Wait until `condition` holds; False after `total` seconds, or `silence` seconds without a byte.

        Raises SourceError when the connection is lost first.
        """
        if self._waiter is not None:
            raise RuntimeError("one task owns a connection")
        end = self.loop.time() + total
        while not condition():
            if self.failure:
                raise SourceError(self.failure, self.cause)
            left = min(end, end if silence is None else self._heard + silence) - self.loop.time()
            if left <= 0:
                return False
            await self._next_wake(min(left, BEAT_SECONDS))
            self._beat()
        return True

    async def _next_wake(self, seconds: float) -> None:
        self._waiter = self.loop.create_future()
        timer = self.loop.call_later(seconds, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Session:
    """A connection with TLS where it is asked for, not yet logged in.

    Every method raises SourceError when the connection fails or a deadline passes; it is closed then.
    """

    def __init__(self, settings: ImapSettings, now: Callable[[], datetime], beat: Callable[[], None]) -> None:
        self._settings = settings
        self._answer = settings.answer_timeout.total_seconds()
        self._silence = settings.command_timeout.total_seconds()
        max_response = max(MAX_RESPONSE_BYTES, settings.max_message_size + RESPONSE_ROOM_BYTES)
        self._protocol = _Protocol(max_response, now, beat)

    @property
    def exists(self) -> int:
        """The number of messages in the open folder, as last told."""
        return int(self._protocol.exists)

    @property
    def last_answer(self) -> datetime | None:
        """When the server was last heard, aware UTC."""
        answer: datetime | None = self._protocol.last_answer
        return answer

    @property
    def greeting(self) -> str:
        """The server's first line."""
        return str(self._protocol.greeting)

    @property
    def certificate(self) -> bytes | None:
        """The server's certificate in DER; None without TLS."""
        tls = self._protocol.transport.get_extra_info("ssl_object") if self._protocol.transport else None
        return tls.getpeercert(binary_form=True) if tls is not None else None

    @property
    def authenticated(self) -> bool:
        """Whether the server knows who this is; it may say so in its greeting (PREAUTH)."""
        return bool(self._protocol.state != aioimaplib.NONAUTH)

    def abort(self) -> None:
        """End the connection at once."""
        self._protocol.fail("the connection was closed", Cause.CONNECTION_LOST)

    async def connect(self, tls: ssl.SSLContext | None) -> None:
        """Connect and secure the connection, all within `connect_timeout`."""
        where = f"{self._settings.host}:{self._settings.port}"
        try:
            async with asyncio.timeout(self._settings.connect_timeout.total_seconds()):
                await self._open(tls if self._settings.tls == "implicit" else None)
                if self._settings.tls == "starttls" and tls is not None:
                    await self._starttls(tls)
        except TimeoutError:
            seconds = self._settings.connect_timeout.total_seconds()
            raise SourceError(f"{where} did not answer within {seconds:g} s", Cause.SILENT) from None
        except ssl.SSLCertVerificationError as error:
            reason = f"the certificate of {where} is not trusted: {error.verify_message}"
            way_out = "if your own authority issued it, name its file as tls_ca"
            raise SourceError(f"{reason}; {way_out}", Cause.CERTIFICATE) from None
        except OSError as error:
            raise SourceError(f"no connection to {where}: {words_of(error)}", cause_of_error(error)) from None
        except ValueError:
            # What is no name for the resolver or for TLS: "imap..example.org", ".example.org".
            why = f"{self._settings.host} cannot be the name of a server"
            raise SourceError(why, Cause.NAME_NOT_FOUND) from None

    async def _open(self, tls: ssl.SSLContext | None) -> None:
        loop, settings = asyncio.get_running_loop(), self._settings
        await loop.create_connection(lambda: self._protocol, settings.host, settings.port, ssl=tls)
        await self._protocol.until(lambda: bool(self._protocol.greeting), total=float("inf"))

    async def _starttls(self, tls: ssl.SSLContext) -> None:
        if self.authenticated:
            # RFC 9051 §7.1.4: after PREAUTH there is no STARTTLS; someone on the way may have sent it.
            why = "the server skips the login (PREAUTH), so the connection cannot be secured: not used"
            raise SourceError(why, Cause.TLS)
        exchange = await self.run("STARTTLS")
        if exchange.status != "OK":
            why = f'the server offers no STARTTLS ({grammar.words(exchange.text)}): try tls = "implicit"'
            raise SourceError(why, Cause.TLS)
        loop, host = asyncio.get_running_loop(), self._settings.host
        transport = await loop.start_tls(self._protocol.transport, self._protocol, tls, server_hostname=host)
        self._protocol.transport = transport
        self._protocol.deaf = False

    async def run(
        self, name: str, *words: str, prefix: str | None = None, replies: Sequence[bytes] = (), quick: bool = False
    ) -> Exchange:
        """Give a command and wait for its end, whichever that is; a `quick` one costs the server no work."""
        exchange = Exchange(name, self._protocol.new_tag(), *words, prefix=prefix, replies=replies)
        try:
            self._protocol.begin(exchange)
            await self._expect(exchange, lambda: exchange.done, self._answer if quick else self._silence)
        except BaseException:
            self.abort()
            raise
        return exchange

    async def idle(self, seconds: float) -> bool:
        """Wait until the server tells of new mail, at most so long (RFC 2177); False if it refuses to do so."""
        pushes = self._protocol.pushes
        exchange = Exchange("IDLE", self._protocol.new_tag(), prefix=None, replies=())
        try:
            self._protocol.begin(exchange)
            await self._expect(exchange, lambda: exchange.continued or exchange.done, self._answer)
            await self._protocol.until(lambda: exchange.done or self._protocol.pushes != pushes, total=seconds)
            if not exchange.done:
                self._protocol.write(b"DONE")
            await self._expect(exchange, lambda: exchange.done, self._answer)
        except BaseException:
            self.abort()
            raise
        return bool(exchange.status == "OK")

    async def wait(self, seconds: float) -> None:
        """Let time pass, unless the connection is lost."""
        await self._protocol.until(lambda: False, total=seconds)

    async def _expect(self, exchange: Exchange, condition: Callable[[], bool], silence: float) -> None:
        if not await self._protocol.until(condition, silence=silence, total=silence * TOTAL_PER_SILENCE):
            raise SourceError(f"the server did not answer {exchange.name} within {silence:g} s", Cause.SILENT)


def text_of(line: bytes) -> str:
    """A line for people: servers write what they like into the texts of their answers."""
    return line.decode("utf-8", "replace")


def words_of(error: Exception) -> str:
    """What an error of the network means."""
    if isinstance(error, socket.gaierror):
        return "the name was not found"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({(error.reason or 'no reason given').lower().replace('_', ' ')})"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
