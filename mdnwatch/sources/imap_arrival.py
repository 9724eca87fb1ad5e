"""Whether a message that somebody sends to oneself arrives, and how long after that the server tells of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from mdnwatch.errors import SourceError
from mdnwatch.sources.base import Finding
from mdnwatch.sources.imap_client import Client
from mdnwatch.sources.imap_folders import resolve
from mdnwatch.sources.imap_grammar import quoted
from mdnwatch.sources.imap_settings import ImapSettings

# A message to oneself takes seconds; where it is greylisted it takes minutes.
ARRIVAL_SECONDS = 90.0
LOOK_SECONDS = 0.2

LONGEST_IDLE_SECONDS = 120.0
# Dovecot without inotify looks every 30 s.
SLOWEST_IDLE_SECONDS = 40.0
SLOW_IDLE_SECONDS = 5.0

INOTIFY_WAY_OUT = (
    "Dovecot falls back to looking every 30 s above fs.inotify.max_user_instances (128) sessions of one system user: "
    "on the server, sysctl fs.inotify.max_user_instances=1024"
)

Tell = Callable[[Finding], None]


@dataclass(frozen=True, slots=True)
class Posting:
    """A message to oneself: `send` hands it to the SMTP server, `message_id` is how it is found (with brackets)."""

    send: Callable[[], Awaitable[None]]
    message_id: str


class Arrival:
    """The two connections that wait for it: one in IDLE, one that looks again and again."""

    def __init__(self, settings: ImapSettings, idler: Client, looker: Client, posting: Posting, tell: Tell) -> None:
        self._settings = settings
        self._idler = idler
        self._looker = looker
        self._posting = posting
        self._tell = tell
        self._criteria = ("HEADER", "Message-ID", quoted(posting.message_id))
        self._pushed_at: float | None = None

    async def wait_for_it(self) -> None:
        """Send it, and look for it in all folders of reports. Raises SourceError and NotSubmitted."""
        await self._idler.examine("INBOX")
        idling = asyncio.create_task(self._idle())
        try:
            await self._send_and_look(idling)
        finally:
            idling.cancel()
            await asyncio.wait([idling])

    async def _idle(self) -> None:
        before = self._idler.exists
        # A connection that is lost tells nothing, and that is what will be said of it.
        with suppress(SourceError):
            while self._idler.exists <= before:
                await self._idler.idle(LONGEST_IDLE_SECONDS)
            self._pushed_at = asyncio.get_running_loop().time()

    async def _send_and_look(self, idling: asyncio.Task[None]) -> None:
        loop = asyncio.get_running_loop()
        newest = await self._newest()
        await self._posting.send()
        sent = loop.time()
        self._tell(Finding.good("message", "the SMTP server took a message to oneself"))
        while not await self._is_there(newest):
            if loop.time() > sent + ARRIVAL_SECONDS:
                self._tell(await self._elsewhere())
                return
            await asyncio.sleep(LOOK_SECONDS)
        arrived = loop.time()
        text = f"it arrived in INBOX after {arrived - sent:.1f} s, and may be deleted there"
        self._tell(Finding.good("message", text))
        if "IDLE" in self._idler.capabilities and (self._idler.kind is None or not self._idler.kind.slow_idle):
            await asyncio.wait([idling], timeout=SLOWEST_IDLE_SECONDS)
            self._tell(self._about_idle(arrived))

    async def _newest(self) -> int:
        await self._looker.examine("INBOX")
        rows = await self._looker.fetch_by_number("*", "(UID)") if self._looker.exists else []
        return max([0, *(row.uid or 0 for row in rows)])

    async def _is_there(self, newest: int) -> bool:
        # The server may show what is new only after a command that lets it.
        await self._looker.noop()
        found = await self._looker.search("UID", f"{newest + 1}:*", *self._criteria)
        return any(uid > newest for uid in found)

    async def _elsewhere(self) -> Finding:
        for folder in resolve(self._settings.folders, (), await self._looker.folders()).folders:
            await self._looker.examine(folder.wire)
            if await self._looker.search(*self._criteria):
                text = f"it arrived in {folder.name}, not in INBOX"
                return Finding.note("message", text, "see why it was filed there")
        text = f"it did not arrive within {ARRIVAL_SECONDS:g} s"
        return Finding.wrong("message", text, "look for it in the logs and the queue of the SMTP server")

    def _about_idle(self, arrived: float) -> Finding:
        dovecot = self._idler.identity.get("name", "").lower() == "dovecot"
        way_out = INOTIFY_WAY_OUT if dovecot else 'set idle_renewal = "15s" for this account'
        if self._pushed_at is None:
            text = f"the server told nothing of it within {SLOWEST_IDLE_SECONDS:g} s"
            return Finding.note("idle", text, way_out)
        seconds = max(0.0, self._pushed_at - arrived)
        text = f"the server told of it in IDLE {seconds:.1f} s after it could be found"
        if seconds > SLOW_IDLE_SECONDS:
            return Finding.note("idle", text, way_out)
        return Finding.good("idle", text)
