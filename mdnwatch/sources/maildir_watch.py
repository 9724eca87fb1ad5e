"""One watched folder of a Maildir: where its watch begins, what is to be read of it, how it is doing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from mdnwatch.model.received import Batch, Checkpoint, Place, RawMessage, Role, Wanted
from mdnwatch.sources.base import SENT_ON_FIRST_RUN, Context, FolderHealth
from mdnwatch.sources.maildir_folder import FILES_PER_BATCH, Contents, Entry, Folder, exists, folder_path, read
from mdnwatch.sources.maildir_settings import MaildirSettings

# Among the handled names this one says since when a folder is watched, in milliseconds since 1970. The unique
# part of a file name holds no ":".
_SINCE = ":since "

# The clock that dates files lags behind that of programs by some ticks.
_TICKS = timedelta(milliseconds=50)

_EVER = datetime(1970, 1, 1, tzinfo=UTC)


class FolderWatch:
    """The watch over one folder."""

    def __init__(self, settings: MaildirSettings, context: Context, name: str, role: Role) -> None:
        self.name = name
        self.role = role
        self._settings = settings
        self._context = context
        self._began = context.now()  # until it is known since when the folder is really watched
        self._folder: Folder | None = None
        self._handled: set[str] = set()
        self._pending: dict[str, Entry] = {}
        self._urgent: list[str] = []
        self._old: list[str] = []
        self._unreadable: set[str] = set()
        self._last_agreement: datetime | None = None

    @property
    def found(self) -> bool:
        """Whether the folder is there."""
        return self._folder is not None

    @property
    def missing_note(self) -> str:
        """A sentence for people."""
        return f"there is no folder {self.name}: {folder_path(self._settings.path, self.name)} has no cur and new"

    def health(self) -> FolderHealth:
        """How it is doing."""
        note = "" if self.found else self.missing_note
        return FolderHealth(self.name, self.role, self.found, note, self._last_agreement)

    async def look(self) -> None:
        """See what is there."""
        if self._folder is None and not await self._begin():
            return
        listing = await asyncio.to_thread(self._folder.look, self._handled) if self._folder else None
        if listing is None:
            self._lose()
            return
        self._note(listing.entries)
        if listing.gone:
            await self._hand_over([], gone=[name for name in listing.gone if not name.startswith(_SINCE)])

    async def read_urgent(self) -> None:
        """Read all that must not wait."""
        while self._urgent:
            await self._read(self._urgent, announce=True)
        if self.found and not self._pending and not self._unreadable:
            self._last_agreement = self._context.now()

    async def read_old(self) -> bool:
        """Read one batch of what was there before; whether there was any."""
        old = bool(self._old)
        if old:
            await self._read(self._old, announce=False)
        return old

    def _lose(self) -> None:
        self._folder = None
        self._pending.clear()
        self._urgent.clear()
        self._old.clear()

    async def _begin(self) -> bool:
        """Load what is handled; whether the folder is there."""
        path = folder_path(self._settings.path, self.name)
        if not await asyncio.to_thread(exists, path):
            return False
        folder = Folder(path)
        self._handled = set(await self._context.load_names(self._settings.name, self.name))
        since = next((name for name in self._handled if name.startswith(_SINCE)), None)
        if since is not None:
            self._began = _time(int(since.removeprefix(_SINCE)) / 1000)
        elif listing := await asyncio.to_thread(folder.look, ()):
            await self._first_run(listing.entries)
            folder.look_again()
        self._folder = folder
        return True

    async def _first_run(self, entries: Iterable[Entry]) -> None:
        """Leave out what was there before and is not asked for."""
        horizon = self._horizon()
        passed = [entry.name for entry in entries if self._was_there(entry) and _time(entry.received) < horizon]
        self._context.log.info("watch begins", source=self._settings.name, folder=self.name, passed_over=len(passed))
        await self._hand_over([], names=[f"{_SINCE}{int(self._began.timestamp() * 1000)}", *passed])

    def _horizon(self) -> datetime:
        """Mail from before the watch is read if it is not older than this."""
        backfill = self._settings.backfill
        if backfill == "all":
            return _EVER
        if self.role is Role.SENT:
            return self._began - max(SENT_ON_FIRST_RUN, backfill or SENT_ON_FIRST_RUN)
        return self._began - backfill if backfill is not None else datetime.max.replace(tzinfo=UTC)

    def _was_there(self, entry: Entry) -> bool:
        return _time(entry.arrived) < self._began - _TICKS

    def _is_urgent(self, entry: Entry) -> bool:
        if self.role is Role.SENT:
            return _time(entry.received) >= self._context.now() - SENT_ON_FIRST_RUN
        # Without a backfill there is nothing old: what is listed has come since.
        return self._settings.backfill is None or _time(entry.received) >= self._began - _TICKS

    def _is_new(self, entry: Entry) -> bool:
        # Of sent mail some is urgent that was there before.
        return self.role is Role.INBOX or _time(entry.received) >= self._began - _TICKS

    def _note(self, entries: Iterable[Entry]) -> None:
        fresh = [entry for entry in entries if entry.name not in self._pending]
        # The path of a pending message changes when it is flagged.
        self._pending |= {entry.name: entry for entry in entries}
        for entry in sorted(fresh, key=lambda entry: entry.received):
            (self._urgent if self._is_urgent(entry) else self._old).append(entry.name)

    async def _read(self, queue: list[str], *, announce: bool) -> None:
        """One batch: what is urgent in the order of its arrival, what is old the newest first."""
        names = queue[:FILES_PER_BATCH] if announce else queue[: -FILES_PER_BATCH - 1 : -1]
        wanted = _header_alone if self.role is Role.SENT else self._context.wanted
        entries = [self._pending[name] for name in names]
        contents = await asyncio.to_thread(read, entries, self._settings.max_message_size, wanted)
        messages = [
            self._raw(entry, data, announce=announce and self._is_new(entry)) for entry, data in contents.wanted
        ]
        if contents.done:
            await self._hand_over(messages, names=[entry.name for entry in contents.done])
        self._settle(queue, contents)

    def _settle(self, queue: list[str], contents: Contents) -> None:
        """Take what was tried from the queue: what failed is listed again if it is still there."""
        unreadable = [entry for entry, _ in contents.unreadable]
        tried = {entry.name for entry in (*contents.done, *contents.vanished, *unreadable)}
        queue[:] = [name for name in queue if name not in tried]
        for name in tried:
            del self._pending[name]
        self._unreadable.difference_update(entry.name for entry in (*contents.done, *contents.vanished))
        for entry, reason in contents.unreadable:
            self._cannot_read(entry, reason)
        if contents.vanished and self._folder is not None:
            self._folder.look_again()

    def _cannot_read(self, entry: Entry, reason: str) -> None:
        """Told once; each full look tries again."""
        if entry.name not in self._unreadable:
            self._unreadable.add(entry.name)
            self._context.log.warning(
                "message cannot be read", source=self._settings.name, folder=self.name, name=entry.name, reason=reason
            )

    def _raw(self, entry: Entry, data: bytes, *, announce: bool) -> RawMessage:
        return RawMessage(
            place=Place(self._settings.name, self.name, name=entry.name),
            role=self.role,
            data=data,
            size=max(entry.size, len(data)),
            received_at=_time(entry.received),
            announce=announce,
        )

    async def _hand_over(
        self, messages: list[RawMessage], names: list[str] | None = None, gone: list[str] | None = None
    ) -> None:
        names, gone = names or [], gone or []
        self._context.beat()
        checkpoint = Checkpoint(self._settings.name, self.name, names=tuple(names), gone=tuple(gone))
        await self._context.handle(Batch(messages, checkpoint))
        self._context.beat()
        self._handled.update(names)
        self._handled.difference_update(gone)


def _header_alone(_header: bytes, _body: bytes) -> Wanted:
    return Wanted.HEADER


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(max(0.0, seconds), UTC)
