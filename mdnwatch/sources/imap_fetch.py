"""Messages of one IMAP folder, fetched in windows of UIDs and handed over in batches, each with its mark.

The mark advances only with a batch that was stored, so whatever happens in between is fetched again.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field, replace

from mdnwatch.errors import SourceError
from mdnwatch.model.received import Batch, Checkpoint, Mark, Place, RawMessage, Role, Wanted
from mdnwatch.sources.base import BATCH_BYTES, BATCH_MESSAGES, HEADER_BYTES, Context, header_of
from mdnwatch.sources.imap_client import Client, CommandRefused, uid_set
from mdnwatch.sources.imap_folders import Folder
from mdnwatch.sources.imap_grammar import Fetched
from mdnwatch.sources.imap_parts import read_by_parts
from mdnwatch.sources.imap_settings import ImapSettings

# New mail is fetched with its beginning at once: that is the whole of nearly every report, so that a second
# command is rare; and a window of it stays below BATCH_BYTES.
BEGINNING_BYTES = 32 * 1024
NEW_WINDOW = BATCH_MESSAGES

# Of mail that was there before, and of sent mail, only headers are fetched first.
HEADER_WINDOW = 250

# A message that the server cannot give is passed over after so many attempts, if it gives others.
MAX_STRIKES = 3

_ABOUT = "UID RFC822.SIZE INTERNALDATE"

# What gateways and signers put around a report (RFC 6522 §1).
_WRAPPER = re.compile(rb"^content-type:\s*multipart/(?:mixed|signed|related)\b", re.MULTILINE | re.IGNORECASE)


@dataclass(slots=True)
class _Pace:
    """How many messages are asked for at once: fewer after a failure, so that the one to blame is found."""

    widest: int
    width: int = 0
    strikes: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.width = self.widest

    def failed(self, window: Sequence[int]) -> None:
        self.width = max(1, len(window) // 2)
        if len(window) == 1:
            self.strikes[window[0]] = self.strikes.get(window[0], 0) + 1

    def succeeded(self) -> None:
        self.width = min(self.widest, self.width * 2)
        self.strikes.clear()

    def suspects(self, window: Sequence[int]) -> bool:
        return len(window) == 1 and self.strikes.get(window[0], 0) >= MAX_STRIKES

    def condemns(self, window: Sequence[int]) -> bool:
        """It failed once more, although the server gave others just before."""
        return len(window) == 1 and self.strikes.get(window[0], 0) > MAX_STRIKES


@dataclass(frozen=True, slots=True)
class Way:
    """How a window is read: what is fetched first, how far the mark is after a UID, whether it is announced."""

    items: str
    asked: int  # bytes of each message that `items` brings at most
    whole: bool  # whether `items` brings messages from their first byte on, not only their headers
    announce: bool
    after: Callable[[Mark, int], Mark]


@dataclass(frozen=True, slots=True)
class _Message:
    """A message that is wanted: what is there of it, its size as far as known, whether nothing more is needed."""

    row: Fetched
    data: bytes
    size: int | None
    complete: bool


def _beyond(mark: Mark, uid: int) -> Mark:
    return replace(mark, live=max(mark.live, uid))


def _below(mark: Mark, uid: int) -> Mark:
    done = uid <= mark.backfill_from
    return replace(mark, backfill_from=0 if done else mark.backfill_from, backfill_to=0 if done else uid - 1)


_NEW = Way(f"({_ABOUT} BODY.PEEK[]<0.{BEGINNING_BYTES}>)", BEGINNING_BYTES, whole=True, announce=True, after=_beyond)
_HEADERS = f"({_ABOUT} BODY.PEEK[HEADER]<0.{HEADER_BYTES}>)"
_NEW_SENT = Way(_HEADERS, HEADER_BYTES, whole=False, announce=True, after=_beyond)
_OLD = Way(_HEADERS, HEADER_BYTES, whole=False, announce=False, after=_below)


class Fetcher:
    """Reads one folder, which the client has open.

    `mark` is what is stored. `unmatched` counts reports without a sent message until someone resets it.
    """

    def __init__(self, settings: ImapSettings, context: Context, folder: Folder) -> None:
        self._settings = settings
        self._context = context
        self._folder = folder
        self._paces = {True: _Pace(NEW_WINDOW), False: _Pace(HEADER_WINDOW)}
        self.mark: Mark | None = None
        self.unmatched = 0

    @property
    def live(self) -> int:
        """The UID up to which everything is handled."""
        return self._stored.live

    @property
    def _stored(self) -> Mark:
        if self.mark is None:
            raise RuntimeError("a folder is read before its mark is known")
        return self.mark

    async def set_mark(self, mark: Mark) -> None:
        """Store a mark without messages."""
        await self._hand_over([], mark)

    async def new(self, client: Client, uids: Sequence[int]) -> None:
        """Read UIDs above the mark, ascending."""
        way = _NEW_SENT if self._folder.role is Role.SENT else _NEW
        while True:
            start = bisect_right(uids, self._stored.live)
            window = list(uids[start : start + self._pace(way).width])
            if not window:
                return
            await self._window(client, window, way)

    async def few_new(self, client: Client) -> int:
        """Read whatever is above the mark in one command, if it cannot be much; the number of messages."""
        way = _NEW_SENT if self._folder.role is Role.SENT else _NEW
        live = self._stored.live
        try:
            rows = await client.fetch(f"{live + 1}:*", way.items)
            # RFC 9051 §6.4.9: "n:*" always holds the last message, also one below n.
            rows = [row for row in rows if row.uid is not None and row.uid > live]
            if rows:
                await self._handle(client, rows, [row.uid or 0 for row in rows], way)
        except SourceError:
            self._pace(way).failed(range(NEW_WINDOW))
            raise
        return len(rows)

    @property
    def at_ease(self) -> bool:
        """Whether no window failed of late."""
        return all(pace.width == pace.widest for pace in self._paces.values())

    async def old(self, client: Client, uids: Sequence[int]) -> None:
        """Read one window of the backfill: the last ones of UIDs that ascend, newest first."""
        window = list(reversed(uids[-self._pace(_OLD).width :]))
        await self._window(client, window, _OLD)

    def _pace(self, way: Way) -> _Pace:
        return self._paces[way.whole]

    async def _window(self, client: Client, window: list[int], way: Way) -> None:
        pace = self._pace(way)
        if pace.suspects(window):
            await self._require_others(client, window, way, "the connection is lost whenever one is fetched")
            if pace.condemns(window):
                await self._pass_over(window[0], way, "the connection is lost whenever it is fetched")
                return
        try:
            rows = await client.fetch(uid_set(sorted(window)), way.items)
            await self._require_all(client, rows, window)
            await self._handle(client, rows, window, way)
        except CommandRefused as error:
            pace.failed(window)
            if len(window) == 1:
                await self._require_others(client, window, way, str(error))
                await self._pass_over(window[0], way, str(error))
        except SourceError:
            pace.failed(window)
            raise
        else:
            pace.succeeded()

    @staticmethod
    async def _require_all(client: Client, rows: list[Fetched], window: Sequence[int]) -> None:
        """What is missing must have been expunged meanwhile. Raises CommandRefused for what is still there."""
        missing = set(window) - {row.uid for row in rows}
        if missing and missing & set(await client.search("UID", uid_set(sorted(missing)))):
            raise CommandRefused("the server lists messages and does not give them")

    async def _handle(self, client: Client, rows: list[Fetched], window: Sequence[int], way: Way) -> None:
        """Hand over what was fetched of a window, in its order, so that the mark ends behind it."""
        by_uid = {row.uid: row for row in rows}
        wrapped = await self._wrapped(client, rows, way)
        for group, last in self._groups(by_uid, window, way, wrapped):
            messages = await self._complete(client, group, way)
            await self._hand_over(messages, way.after(self._stored, last))

    def _groups(
        self, rows: dict[int | None, Fetched], window: Sequence[int], way: Way, wrapped: Container[int | None]
    ) -> Iterator[tuple[list[_Message], int]]:
        """Messages for one batch each, with the UID up to which the window is handled then."""
        group: list[_Message] = []
        size, last = 0, window[0]
        for uid in window:
            row = rows.get(uid)
            message = None if row is None else self._wanted(row, way, whole=uid in wrapped)
            if message is not None:
                cost = self._cost(message)
                if group and (len(group) >= BATCH_MESSAGES or size + cost > BATCH_BYTES):
                    yield group, last
                    group, size = [], 0
                group.append(message)
                size += cost
            last = uid
        yield group, last

    async def _wrapped(self, client: Client, rows: list[Fetched], way: Way) -> frozenset[int]:
        """The messages that hold a report below an ordinary header, where its part is not among what was fetched."""
        if self._folder.role is Role.SENT:
            return frozenset()
        seen = (row for row in rows if not (way.whole and len(row.data or b"") < way.asked))
        uids = sorted(row.uid or 0 for row in seen if _WRAPPER.search(header_of(row.data or b"")))
        return await client.holding_reports(uid_set(uids)) if uids else frozenset()

    def _wanted(self, row: Fetched, way: Way, *, whole: bool) -> _Message | None:
        """As much of a message as is needed of what was fetched; None where nothing of it is."""
        if not self._has_content(row):
            return None
        data = row.data or b""
        if self._folder.role is Role.SENT:
            return _Message(row, data, row.size, complete=True)
        header = header_of(data)
        wanted = Wanted.WHOLE if whole else self._context.wanted(header, data[len(header) :])
        if wanted is Wanted.NOTHING:
            return None
        if wanted is Wanted.HEADER:
            return _Message(row, header, row.size, complete=True)
        if way.whole and len(data) < way.asked:
            return _Message(row, data, len(data), complete=True)
        return _Message(row, data, row.size, complete=False)

    def _has_content(self, row: Fetched) -> bool:
        if row.data is None:
            # Exchange answers NIL for a message that it cannot convert.
            self._context.log.warning("message without content passed over", **self._where(row.uid or 0))
        return row.data is not None

    def _cost(self, message: _Message) -> int:
        limit = self._settings.max_message_size
        return len(message.data) if message.complete else min(message.size or limit, limit)

    async def _complete(self, client: Client, group: list[_Message], way: Way) -> list[RawMessage]:
        """Messages with as much of their content as is wanted; those that were expunged meanwhile are missing."""
        limit = self._settings.max_message_size
        unfinished = [message.row for message in group if not message.complete]
        reduced = await self._by_parts(client, [row for row in unfinished if (row.size or 0) > limit])
        fetched: dict[int | None, bytes] = {}
        if uids := sorted(row.uid or 0 for row in unfinished if row.uid not in reduced):
            rows = await client.fetch(uid_set(uids), f"(UID BODY.PEEK[]<0.{limit}>)")
            fetched = {row.uid: row.data or b"" for row in rows if self._has_content(row)}
        messages = []
        for message in group:
            row, uid = message.row, message.row.uid
            if message.complete:
                messages.append(self._raw(row, message.data, message.size, way))
            elif (data := reduced.get(uid)) is not None:
                messages.append(self._raw(row, data, row.size, way))
            elif (data := fetched.get(uid)) is not None:
                # What ends below the limit is whole, whatever size the server gave: Exchange estimates.
                messages.append(self._raw(row, data, len(data) if len(data) < limit else row.size, way))
        return messages

    async def _by_parts(self, client: Client, rows: list[Fetched]) -> dict[int | None, bytes]:
        """Large reports: the part that matters may stand behind more text than is fetched."""
        found = {row.uid: await read_by_parts(client, row.uid or 0, self._settings.max_message_size) for row in rows}
        return {uid: data for uid, data in found.items() if data is not None}

    def _raw(self, row: Fetched, data: bytes, size: int | None, way: Way) -> RawMessage:
        mark, folder = self._stored, self._folder
        return RawMessage(
            place=Place(self._settings.name, folder.name, mark.uidvalidity, row.uid or 0),
            role=folder.role,
            data=data,
            size=max(size or 0, len(data)),
            received_at=row.received_at or self._context.now(),
            announce=way.announce,
        )

    async def _require_others(self, client: Client, window: list[int], way: Way, reason: str) -> None:
        """Raise SourceError unless the server gives other messages: otherwise it is the server, not this message."""
        if client.exists <= 1 and self._pace(way).suspects(window):
            return
        for number in ("1", "*"):
            try:
                rows = await client.fetch_by_number(number, "(UID BODY.PEEK[HEADER]<0.64>)")
            except CommandRefused:
                continue
            if any(row.uid not in window and row.data is not None for row in rows):
                return
        raise SourceError(f"folder {self._folder.name}: the server gives no messages: {reason}")

    async def _pass_over(self, uid: int, way: Way, reason: str) -> None:
        self._context.log.warning("message passed over", reason=reason, **self._where(uid))
        self._pace(way).strikes.pop(uid, None)
        await self._hand_over([], way.after(self._stored, uid))

    async def _hand_over(self, messages: list[RawMessage], mark: Mark) -> None:
        self._context.beat()
        checkpoint = Checkpoint(self._settings.name, self._folder.name, mark)
        handled = await self._context.handle(Batch(messages, checkpoint))
        self._context.beat()
        self.mark = mark
        self.unmatched += handled.unmatched

    def _where(self, uid: int) -> dict[str, object]:
        return {"source": self._settings.name, "folder": self._folder.name, "uid": uid}
