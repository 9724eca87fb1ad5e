"""What is asked of an IMAP server (RFC 9051 §6): login, folders, searches, messages; nothing that changes anything."""

from __future__ import annotations

import re
import ssl
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from mdnwatch import __version__
from mdnwatch.errors import Cause, SourceError, SourceRefused
from mdnwatch.sources import imap_grammar as grammar
from mdnwatch.sources.imap_framing import ProtocolError
from mdnwatch.sources.imap_grammar import Fetched, Listed
from mdnwatch.sources.imap_login import login, login_by_token
from mdnwatch.sources.imap_servers import Server, recognise
from mdnwatch.sources.imap_session import Exchange, Session, text_of, words_of
from mdnwatch.sources.imap_settings import ImapSettings
from mdnwatch.sources.imap_structure import Outline, outline
from mdnwatch.tls import client_context

# A body type and subtype of BODYSTRUCTURE; a literal may bring them, but no server was seen to do so.
_REPORT_TYPE = re.compile(
    rb'"message" "(?:global-)?(?:disposition-notification|delivery-status|feedback-report)"', re.IGNORECASE
)
_UID = re.compile(rb"\bUID (\d+)", re.IGNORECASE)
_FETCH = re.compile(rb"\* \d+ FETCH\b", re.IGNORECASE)


class CommandRefused(SourceError):
    """The server answered NO or BAD; the connection is as good as before."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What EXAMINE said of a folder; `uidnext` is None where the server does not tell."""

    uidvalidity: int
    uidnext: int | None
    exists: int


class Client:
    """A connection that is logged in. Mailboxes are only ever EXAMINEd, messages only PEEKed at.

    Every method raises SourceError (and then the connection is closed), or CommandRefused for NO and BAD.
    """

    def __init__(self, session: Session, poll_interval: timedelta) -> None:
        self._session = session
        self._poll_seconds = poll_interval.total_seconds()
        self.capabilities: frozenset[str] = frozenset()
        self.identity: dict[str, str] = {}  # what the server says of itself (RFC 2971), if it does
        self.kind: Server | None = None  # the row of the table of servers that need another pace
        self.selected = ""  # the wire name of the folder that is open

    @classmethod
    async def open(
        cls,
        settings: ImapSettings,
        secret: str,
        tls: ssl.SSLContext | None,
        *,
        now: Callable[[], datetime],
        beat: Callable[[], None],
    ) -> Client:
        """Connect and log in, with a password, or with an access token where the settings speak of OAuth.

        Raises SourceRefused when a person has to change something first, TokenRefused for a token among them.
        """
        session = Session(settings, now, beat)
        client = cls(session, settings.poll_interval)
        try:
            await session.connect(tls)
            if not session.authenticated:
                offered = await client._capability()
                if settings.oauth is None:
                    await login(session, settings.username, secret, offered, secure=tls is not None)
                else:
                    await login_by_token(session, settings, secret, offered)
            # What a server can do is often told only after the login.
            client.capabilities = await client._capability()
            client.identity = await client._id()
            client.kind = recognise(client.identity, session.greeting, settings.host)
        except BaseException:
            session.abort()
            raise
        return client

    @property
    def exists(self) -> int:
        """The number of messages in the open folder, as last told."""
        return self._session.exists

    @property
    def last_answer(self) -> datetime | None:
        """When the server was last heard, aware UTC."""
        return self._session.last_answer

    def abort(self) -> None:
        """End the connection at once."""
        self._session.abort()

    async def folders(self) -> tuple[Listed, ...]:
        """Every mailbox, with its special uses where the server has them (RFC 6154)."""
        if {"SPECIAL-USE", "LIST-EXTENDED"} <= self.capabilities:
            # Cyrus 3.6 shows special uses only to those who ask for them.
            exchange = await self._session.run("LIST", '""', '"*"', "RETURN (SPECIAL-USE)")
            if exchange.status == "OK":
                return self._folders(exchange)
        return self._folders(_accepted(await self._session.run("LIST", '""', '"*"')))

    async def examine(self, wire: str) -> Examined:
        """Open a folder without the right to change anything (RFC 9051 §6.3.3)."""
        self.selected = ""
        exchange = _accepted(await self._session.run("EXAMINE", grammar.quoted(wire)))
        self.selected = wire
        codes = dict(grammar.code(text_of(response[0])[len("* OK ") :]) for response in exchange.lines("OK"))
        uidvalidity, uidnext = codes.get("UIDVALIDITY", ""), codes.get("UIDNEXT", "")
        if not grammar.is_number(uidvalidity):
            raise CommandRefused("the server gives the folder no UIDVALIDITY, so its messages cannot be told apart")
        return Examined(int(uidvalidity), int(uidnext) if grammar.is_number(uidnext) else None, self.exists)

    async def search(self, *criteria: str) -> array[int]:
        """The UIDs that match, ascending."""
        exchange = _accepted(await self._session.run("SEARCH", *criteria, prefix="UID"))
        found: set[int] = set()
        with self._understanding():
            for response in exchange.lines("SEARCH"):
                found.update(grammar.searched(response))
        return array("Q", sorted(found))

    async def fetch(self, uids: str, items: str) -> list[Fetched]:
        """One value for each message that the server spoke of, by rising UID."""
        return self._fetched(await self._session.run("FETCH", uids, items, prefix="UID"))

    async def fetch_by_number(self, numbers: str, items: str) -> list[Fetched]:
        """The same, for message numbers."""
        return self._fetched(await self._session.run("FETCH", numbers, items))

    async def holding_reports(self, uids: str) -> frozenset[int]:
        """Those of some messages that hold a report part, however deep (RFC 9051 §7.5.2, BODYSTRUCTURE)."""
        exchange = _accepted(await self._session.run("FETCH", uids, "(UID BODYSTRUCTURE)", prefix="UID"))
        told = (b"".join(response) for response in exchange.responses if _FETCH.match(response[0]))
        found = (_UID.search(response) for response in told if _REPORT_TYPE.search(response))
        return frozenset(int(uid[1]) for uid in found if uid)

    async def structure(self, uid: int) -> Outline | None:
        """The structure of a multipart message; None for other messages, and for one that is gone."""
        exchange = _accepted(await self._session.run("FETCH", str(uid), "(UID BODYSTRUCTURE)", prefix="UID"))
        with self._understanding():
            told = [outline(response) for response in exchange.responses if _FETCH.match(response[0])]
        return next((one for one in told if one is not None), None)

    async def sections(self, uid: int, items: list[str]) -> dict[str, bytes]:
        """Sections of one message by their names, as "HEADER", "2.MIME" or "2"; what is gone is missing."""
        exchange = _accepted(await self._session.run("FETCH", str(uid), f"(UID {' '.join(items)})", prefix="UID"))
        with self._understanding():
            told = [grammar.sections(response) for response in exchange.responses if _FETCH.match(response[0])]
        return {name: data for one in told for name, data in one.items()}

    async def idle(self, seconds: float) -> None:
        """Wait until the server tells of new mail, at most so long; where it tells late or never, ask now and then."""
        if "IDLE" in self.capabilities:
            slow = self.kind is not None and self.kind.slow_idle
            if not await self._session.idle(min(seconds, self._poll_seconds) if slow else seconds):
                self.capabilities -= {"IDLE"}
            return
        await self._session.wait(min(seconds, self._poll_seconds))
        await self.noop()

    async def noop(self) -> None:
        """Let the server tell what is new."""
        _accepted(await self._session.run("NOOP", quick=True))

    async def _id(self) -> dict[str, str]:
        """What the server says of itself; NetEase (163.com) opens no folder to those who do not say who they are."""
        if "ID" not in self.capabilities:
            return {}
        exchange = await self._session.run("ID", f'("name" "mdnwatch" "version" "{__version__}")')
        with self._understanding():
            return dict(pair for response in exchange.lines("ID") for pair in grammar.identity(response))

    async def _capability(self) -> frozenset[str]:
        exchange = _accepted(await self._session.run("CAPABILITY"))
        lines = (text_of(response[0]).upper().split()[2:] for response in exchange.lines("CAPABILITY"))
        return frozenset(word for line in lines for word in line)

    def _folders(self, exchange: Exchange) -> tuple[Listed, ...]:
        with self._understanding():
            return tuple(folder for response in exchange.lines("LIST") if (folder := grammar.listed(response)))

    @contextmanager
    def _understanding(self) -> Iterator[None]:
        """What cannot be understood ends the connection: nobody knows what else is wrong with it."""
        try:
            yield
        except ProtocolError:
            self.abort()
            raise

    def _fetched(self, exchange: Exchange) -> list[Fetched]:
        merged: dict[int, Fetched] = {}
        with self._understanding():
            for response in _accepted(exchange).responses:
                one = grammar.fetched(response) if _FETCH.match(response[0]) else None
                if one is not None and one.uid is not None:
                    merged[one.uid] = _merge(merged[one.uid], one) if one.uid in merged else one
        return [merged[uid] for uid in sorted(merged)]


def tls_context(settings: ImapSettings) -> ssl.SSLContext | None:
    """What to trust; None for a connection without TLS. Raises SourceRefused for an unusable `tls_ca`. Blocks."""
    if settings.tls == "none":
        return None
    try:
        return client_context(settings.tls_ca)
    except OSError as error:
        raise SourceRefused(f"tls_ca {settings.tls_ca}: {words_of(error)}", Cause.CERTIFICATE) from None


def uid_set(uids: list[int]) -> str:
    """UIDs, ascending, as FETCH takes them: "4,7:9"."""
    ranges: list[list[int]] = []
    for uid in uids:
        if ranges and uid == ranges[-1][1] + 1:
            ranges[-1][1] = uid
        else:
            ranges.append([uid, uid])
    return ",".join(f"{first}:{last}" if last > first else str(first) for first, last in ranges)


def _merge(known: Fetched, more: Fetched) -> Fetched:
    """What two responses on one message say together; a push of flags says nothing of what was asked."""
    return Fetched(
        known.uid,
        more.size if known.size is None else known.size,
        known.received_at or more.received_at,
        more.data if known.data is None else known.data,
    )


def _accepted(exchange: Exchange) -> Exchange:
    if exchange.status != "OK":
        raise CommandRefused(
            f"the server answered {exchange.name} with {exchange.status}: {grammar.words(exchange.text)}"
        )
    return exchange
