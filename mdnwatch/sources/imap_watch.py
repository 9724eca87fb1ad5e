"""One watched IMAP folder: where its watch begins, what is new, what is left of the backfill, how it is doing.

The rules for the marks are those of `mdnwatch.model.received.Mark`.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from mdnwatch.errors import Cause, SourceError
from mdnwatch.model.received import Mark, Role
from mdnwatch.sources.base import SENT_ON_FIRST_RUN, Backfill, Context, FolderHealth
from mdnwatch.sources.imap_client import Client, CommandRefused, Examined
from mdnwatch.sources.imap_fetch import NEW_WINDOW, Fetcher
from mdnwatch.sources.imap_folders import Folder
from mdnwatch.sources.imap_grammar import search_date
from mdnwatch.sources.imap_settings import ImapSettings

# When a folder's UIDs lost their meaning, a month of it is read anew: what is known already is recognised.
REREAD = timedelta(days=30)

# SEARCH knows days without zones (RFC 9051 §6.4.4), and a day can begin 14 hours sooner than in UTC.
_ROOM = timedelta(days=1)

# The clocks of a server and of this machine may differ by so much.
CLOCKS_APART = timedelta(minutes=5)

Period = Literal["all"] | timedelta | None


class FolderWatch:
    """The watch over one folder. Its methods open the folder where it is not open."""

    def __init__(
        self, settings: ImapSettings, context: Context, folder: Folder, absent_at: datetime | None = None
    ) -> None:
        """`absent_at` is when the server was last seen without this folder, aware UTC."""
        self.folder = folder
        self._absent_at = absent_at
        self._settings = settings
        self._context = context
        self._fetcher = Fetcher(settings, context, folder)
        self._seen: int | None = None  # messages in the folder when the server last had nothing new
        self._backlog: array[int] | None = None  # UIDs of the backfill interval; None until they are asked for
        self._backfill_began: tuple[datetime, int] | None = None  # and how many messages were left then
        self._urgent_from = 0
        self._last_agreement: datetime | None = None

    def forget(self) -> None:
        """Begin again from what is stored, as after a lost connection."""
        self._fetcher.mark = None
        self._seen = self._backlog = None

    def take_unmatched(self) -> int:
        """How many reports found no sent message since this was last asked."""
        unmatched, self._fetcher.unmatched = self._fetcher.unmatched, 0
        return unmatched

    def health(self) -> FolderHealth:
        """How it is doing."""
        return FolderHealth(
            self.folder.name,
            self.folder.role,
            found=True,
            last_agreement=self._last_agreement,
            mark=self._fetcher.mark,
            backfill=self._backfill_health(),
        )

    def _backfill_health(self) -> Backfill | None:
        if self._mark is None or self._backlog is None or self._backfill_began is None or not self.has_backlog:
            return None
        began, total = self._backfill_began
        left = bisect_right(self._backlog, self._mark.backfill_to)
        seconds = (self._context.now() - began).total_seconds()
        return Backfill(left, total, seconds / (total - left) * left if total > left else None)

    @property
    def has_backlog(self) -> bool:
        """Whether something is left of the backfill."""
        return bool(self._mark and self._mark.backfill_to)

    @property
    def has_urgent_backlog(self) -> bool:
        """Whether this holds sent mail so young that reports about it may arrive now."""
        return self._mark is not None and 0 < self._urgent_from <= self._mark.backfill_to

    @property
    def _mark(self) -> Mark | None:
        return self._fetcher.mark

    async def open(self, client: Client) -> None:
        """Open the folder if it is not, and read what is new in it."""
        if client.selected != self.folder.wire:
            examined = await client.examine(self.folder.wire)
            await self._settle(client, examined)
        await self.catch_up(client)

    async def catch_up(self, client: Client) -> None:
        """Read what is new in the open folder, until the server has nothing more."""
        while True:
            exists = client.exists
            expected = exists - self._seen if self._seen is not None else 0
            if not (0 < expected <= NEW_WINDOW and self._fetcher.at_ease and await self._read_few(client, expected)):
                uids = await client.search("UID", f"{self._fetcher.live + 1}:*")
                await self._fetcher.new(client, uids)
            self._seen = exists
            if client.exists == exists:
                self._last_agreement = self._context.now()
                return

    async def _read_few(self, client: Client, expected: int) -> bool:
        """Read what is new without listing it first; False if that did not bring what the server spoke of."""
        try:
            return await self._fetcher.few_new(client) >= expected
        except CommandRefused:
            # One of them is to blame: listed and in narrow windows it is found.
            return False

    async def backfill(self, client: Client) -> None:
        """Read one window of what was there before, the newest of it."""
        if client.selected != self.folder.wire or client.exists != self._seen:
            await self.open(client)
        mark = self._mark
        if mark is None or not mark.backfill_to:
            return
        if self._backlog is None:
            self._backlog = await client.search("UID", f"{mark.backfill_from}:{mark.backfill_to}")
            self._backfill_began = (self._context.now(), len(self._backlog))
        while self._backlog and self._backlog[-1] > mark.backfill_to:
            self._backlog.pop()
        if self._backlog:
            await self._fetcher.old(client, self._backlog)
        else:
            await self._fetcher.set_mark(replace(mark, backfill_from=0, backfill_to=0))

    async def _settle(self, client: Client, examined: Examined) -> None:
        """Have a mark that fits the folder's UIDs."""
        first_visit = self._fetcher.mark is None
        known = self._fetcher.mark or await self._context.load_mark(self._settings.name, self.folder.name)
        if known is None:
            await self._fetcher.set_mark(await self._first_mark(client, examined))
        elif known.uidvalidity != examined.uidvalidity:
            await self._fetcher.set_mark(await self._mark_anew(client, examined, known))
        else:
            self._fetcher.mark = known
        if first_visit and self.folder.role is Role.SENT and self.has_backlog:
            self._urgent_from = await self._first_since(client, SENT_ON_FIRST_RUN) or 0

    async def _first_mark(self, client: Client, examined: Examined) -> Mark:
        """From now on; and back as far as is asked for, or as far as reports may still tell of sent mail."""
        live = await self._newest(client, examined)
        if live and self._absent_at is not None:
            live = await self._before_it_appeared(client, live, self._absent_at - CLOCKS_APART)
        oldest = await self._first_since(client, self._period()) if live else None
        self._context.log.info(
            "watch begins", source=self._settings.name, folder=self.folder.name, uid=live, backfill_from=oldest
        )
        return _mark(examined.uidvalidity, live, oldest)

    async def _before_it_appeared(self, client: Client, newest: int, appeared: datetime) -> int:
        """In a folder that was made while the account was watched, what came since then is new.

        Not all that is in it: it may be an old folder under another name.
        """
        day = await self._first_since(client, self._context.now() - appeared)
        if day is None:
            return newest
        rows = await client.fetch(f"{day}:{newest}", "(UID INTERNALDATE)")
        young = [row.uid or 0 for row in rows if row.received_at is not None and row.received_at >= appeared]
        return min([newest, *(uid - 1 for uid in young)])

    async def _mark_anew(self, client: Client, examined: Examined, known: Mark) -> Mark:
        """RFC 9051 §2.3.1.1: with another UIDVALIDITY, old UIDs mean nothing; what is young is read as new."""
        newest = await self._newest(client, examined)
        young = await self._first_since(client, REREAD) if newest else None
        live = newest if young is None else min(newest, young - 1)
        self._context.log.warning(
            "UIDVALIDITY changed, reading anew", source=self._settings.name, folder=self.folder.name, above_uid=live
        )
        self._backlog = self._seen = None
        oldest = await self._first_since(client, self._period()) if known.backfill_to and live else None
        return _mark(examined.uidvalidity, live, oldest)

    def _period(self) -> Period:
        if self.folder.role is Role.INBOX:
            return self._settings.backfill
        if self._settings.backfill == "all":
            return "all"
        return max(SENT_ON_FIRST_RUN, self._settings.backfill or SENT_ON_FIRST_RUN)

    @staticmethod
    async def _newest(client: Client, examined: Examined) -> int:
        """The UID of the last message that was there when the folder was opened; 0 for an empty folder.

        UIDNEXT is not taken for it: servers leave it out (Courier-IMAP 5.0), and a wrong one would hide mail.
        """
        if not examined.exists:
            return 0
        rows = await client.fetch_by_number(str(examined.exists), "(UID)")
        if not rows:
            raise SourceError("the server did not tell the UID of the last message", Cause.PROTOCOL)
        return max(row.uid or 0 for row in rows)

    async def _first_since(self, client: Client, period: Period) -> int | None:
        """The lowest UID of the mail that is at most so old; None if there is none, or no such mail is asked for."""
        if period is None:
            return None
        if period == "all":
            return 1
        young = await client.search("SINCE", search_date(self._context.now() - period - _ROOM))
        return young[0] if young else None


def _mark(uidvalidity: int, live: int, oldest: int | None) -> Mark:
    """Everything up to `live` is done, except what lies between `oldest` and it."""
    if oldest is None or oldest > live:
        return Mark(uidvalidity, live)
    return Mark(uidvalidity, live, oldest, live)
