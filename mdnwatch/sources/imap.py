"""An IMAP account as a source: Sent folders first, then IDLE on INBOX, everything else at each renewal.

One connection for an account. Whatever fails on it ends it; the next one goes on from the stored marks.
"""

from __future__ import annotations

import asyncio
import ssl
from datetime import datetime

from mdnwatch.errors import Cause, CommitFailed, SourceError, SourceRefused
from mdnwatch.model.outage import Trouble
from mdnwatch.model.received import Role
from mdnwatch.sources.base import (
    Context,
    FolderHealth,
    SourceHealth,
    SourceState,
    beating,
    jittered_pause,
    pause,
    trouble_of,
)
from mdnwatch.sources.imap_check import check
from mdnwatch.sources.imap_client import Client, CommandRefused, tls_context
from mdnwatch.sources.imap_credentials import credentials_of, logged_in
from mdnwatch.sources.imap_folders import Folder, Missing, resolve
from mdnwatch.sources.imap_settings import ImapSettings
from mdnwatch.sources.imap_watch import FolderWatch

__all__ = ["KIND", "SETTINGS", "ImapSource", "build", "check"]

KIND = "imap"
SETTINGS = ImapSettings

# Servers slow down the whole address for a refused password, other accounts on it included: it is not tried again
# until another one is in its place, which is looked for this often. What was refused without a password being sent
# is tried again after a pause: the server may have changed.
SECRET_LOOK_SECONDS = 5.0
NEEDS_ANOTHER_SECRET = frozenset({Cause.PASSWORD_REFUSED, Cause.TOKEN_REVOKED, Cause.TOKEN_MISSING})
REFUSED_PAUSE_SECONDS = 15 * 60.0

# A connection that held so long was a good one: the next failure is the first again.
GOOD_CONNECTION_SECONDS = 60.0

# While old mail is read, new mail waits at most so long and the time of one window.
LOOK_SECONDS = 1.0

# The copy of a sent message may be stored after the receipt has come: Sent is looked at again after so long.
SENT_LOOKS_SECONDS = (0.0, 2.0, 10.0)
# A flood of reports about foreign mail must not become a flood of questions.
SENT_LOOK_DISTANCE_SECONDS = 1.0


class ImapSource:
    """The watch over one account."""

    def __init__(self, settings: ImapSettings, context: Context) -> None:
        self.name = settings.name
        self._settings = settings
        self._context = context
        self._credentials = credentials_of(settings, context.state_dir, context.now)
        self._tls: ssl.SSLContext | None = None
        self._client: Client | None = None
        self._opened_at: float | None = None  # when the connection was logged in, in the loop's time
        self._watches: dict[Folder, FolderWatch] = {}
        self._missing: tuple[Missing, ...] = ()
        self._listed_at: datetime | None = None
        self._sent_looks: list[float] = []
        self._last_sent_look = 0.0
        self._state = SourceState.STARTING
        self._since = context.now()
        self._cause = ""
        self._last_answer: datetime | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        failures = 0
        while True:
            self._opened_at = None
            try:
                await self._connection()
            except SourceRefused as error:
                self._down(trouble_of(error))
                await self._until_it_may_help(error.cause)
            except (SourceError, CommitFailed) as error:
                failures = 1 if self._held_well() else failures + 1
                self._down(trouble_of(error))
                await pause(jittered_pause(failures), self._context.beat)

    def _held_well(self) -> bool:
        """Whether the connection that is lost now was a good one."""
        return (
            self._opened_at is not None
            and asyncio.get_running_loop().time() - self._opened_at > GOOD_CONNECTION_SECONDS
        )

    async def _until_it_may_help(self, cause: Cause) -> None:
        """After a refusal: wait until the password or the tokens are other ones."""
        waited = 0.0
        while cause in NEEDS_ANOTHER_SECRET or waited < REFUSED_PAUSE_SECONDS:
            await pause(SECRET_LOOK_SECONDS, self._context.beat)
            waited += SECRET_LOOK_SECONDS
            if await beating(asyncio.to_thread(self._credentials.has_changed), self._context.beat):
                return

    def health(self) -> SourceHealth:
        """How the account is doing."""
        folders = [watch.health() for watch in self._watches.values()]
        missing = [FolderHealth(one.wanted, one.role, found=False, note=one.note) for one in self._missing]
        return SourceHealth(
            name=self.name,
            kind=KIND,
            state=self._state,
            cause=self._cause,
            since=self._since,
            last_answer=self._client.last_answer if self._client else self._last_answer,
            sent=_about_sent(list(self._watches), self._missing),
            folders=(*folders, *missing),
        )

    async def _connection(self) -> None:
        """One connection, from login to loss."""
        logins, host = self._context.logins, self._settings.host.lower()
        await logins.turn(host, lambda seconds: pause(seconds, self._context.beat))
        with logins.place(host):
            await self._watch_over(await self._open())

    async def _watch_over(self, client: Client) -> None:
        self._client, self._opened_at = client, asyncio.get_running_loop().time()
        try:
            await self._find_folders(client)
            for watch in self._watches.values():
                watch.forget()
            await self._catch_up_all(client)
            self._up()
            await self._watch(client)
        finally:
            client.abort()
            self._last_answer, self._client = client.last_answer or self._last_answer, None

    async def _open(self) -> Client:
        if self._tls is None:
            self._tls = await beating(asyncio.to_thread(tls_context, self._settings), self._context.beat)
        now, beat = self._context.now, self._context.beat
        return await logged_in(self._settings, self._credentials, self._tls, now=now, beat=beat)

    async def _find_folders(self, client: Client) -> None:
        asked_at = self._context.now()
        found = resolve(self._settings.folders, self._settings.sent, await client.folders())
        self._watches = {
            folder: self._watches.get(folder) or FolderWatch(self._settings, self._context, folder, self._listed_at)
            for folder in found.folders
        }
        self._listed_at = asked_at
        for one in found.missing:
            if one not in self._missing:
                self._context.log.warning("folder not found", source=self.name, reason=one.note)
        self._missing = found.missing
        if not self._of(Role.INBOX):
            raise SourceError(
                "none of the configured folders is there: " + "; ".join(one.note for one in found.missing),
                Cause.FOLDER_GONE,
            )

    def _of(self, role: Role) -> list[FolderWatch]:
        return [watch for watch in self._watches.values() if watch.folder.role is role]

    async def _catch_up_all(self, client: Client) -> None:
        """Sent folders before others, so that a report finds its message; the folder to idle on comes last."""
        for watch in self._of(Role.SENT):
            await self._visit(client, watch)
            while watch in self._watches.values() and watch.has_urgent_backlog:
                await watch.backfill(client)
        home, *others = self._of(Role.INBOX)
        for watch in others:
            await self._visit(client, watch)
        await self._go_home(client, home)

    async def _go_home(self, client: Client, home: FolderWatch) -> None:
        await home.open(client)
        self._plan_sent_looks(home)

    async def _visit(self, client: Client, watch: FolderWatch) -> None:
        try:
            await watch.open(client)
        except CommandRefused as error:
            # It was deleted or renamed since it was listed; the next renewal looks for it.
            self._watches.pop(watch.folder, None)
            self._missing = (*self._missing, Missing(watch.folder.name, watch.folder.role))
            self._context.log.warning("folder lost", source=self.name, folder=watch.folder.name, reason=str(error))
        self._plan_sent_looks(watch)

    async def _watch(self, client: Client) -> None:
        loop, home = asyncio.get_running_loop(), self._of(Role.INBOX)[0]
        distance = self._renewal_seconds(client)
        renewal = loop.time() + distance
        while True:
            left = min([renewal, *self._sent_looks]) - loop.time()
            if backlog := next((one for one in self._watches.values() if one.has_backlog), None):
                await self._backfill_for_a_while(client, backlog)
            elif left > 0:
                await client.idle(left)
            await self._go_home(client, home)
            if loop.time() >= renewal:
                await self._renew(client)
                home = self._of(Role.INBOX)[0]
                renewal = loop.time() + distance
            elif self._sent_looks and loop.time() >= self._sent_looks[0]:
                await self._look_at_sent(client)
                await self._go_home(client, home)

    def _renewal_seconds(self, client: Client) -> float:
        known = client.kind.idle_renewal if client.kind is not None else None
        return min(self._settings.idle_renewal, known or self._settings.idle_renewal).total_seconds()

    async def _renew(self, client: Client) -> None:
        if self._missing:
            await self._find_folders(client)
        # A folder that was deleted and made anew while it was open is another one, and only opening it shows that.
        client.selected = ""
        await self._catch_up_all(client)
        await self._keep_fresh()
        self._tell_state()

    async def _keep_fresh(self) -> None:
        """So that the next login has a token that is good; a connection that stands needs none."""
        try:
            await self._credentials.keep_fresh(self._context.beat)
        except SourceRefused:
            raise
        except SourceError as error:
            self._context.log.warning("token not renewed", source=self.name, reason=str(error))

    async def _backfill_for_a_while(self, client: Client, watch: FolderWatch) -> None:
        end = asyncio.get_running_loop().time() + LOOK_SECONDS
        while watch.has_backlog:
            await watch.backfill(client)
            if asyncio.get_running_loop().time() >= end:
                break

    def _plan_sent_looks(self, watch: FolderWatch) -> None:
        """Reports that found no sent message: perhaps its copy is already, or soon, in a Sent folder."""
        if not watch.take_unmatched() or not self._of(Role.SENT):
            return
        now = asyncio.get_running_loop().time()
        first = max(now, self._last_sent_look + SENT_LOOK_DISTANCE_SECONDS)
        self._sent_looks = [first + seconds for seconds in SENT_LOOKS_SECONDS]

    async def _look_at_sent(self, client: Client) -> None:
        now = asyncio.get_running_loop().time()
        self._last_sent_look = now
        self._sent_looks = [time for time in self._sent_looks if time > now]
        for watch in self._of(Role.SENT):
            await self._visit(client, watch)

    def _up(self) -> None:
        if self._state is not SourceState.UP:
            self._context.log.info("source up", source=self.name, host=self._settings.host)
            self._state, self._since, self._cause = SourceState.UP, self._context.now(), ""
        self._tell_state()

    def _tell_state(self) -> None:
        """The account is read; but a folder that is named and not there is watched by nobody."""
        named = {name for name in (*self._settings.folders, *self._settings.sent) if not name.startswith("\\")}
        if notes := [one.note for one in self._missing if one.wanted in named]:
            self._context.down(Trouble(Cause.FOLDER_GONE, "; ".join(notes)))
        else:
            self._context.up()

    def _down(self, trouble: Trouble) -> None:
        self._context.down(trouble)
        cause = trouble.reason
        if self._state is not SourceState.DOWN or self._cause != cause:
            self._context.log.warning("source down", source=self.name, host=self._settings.host, cause=cause)
        if self._state is not SourceState.DOWN:
            self._state, self._since = SourceState.DOWN, self._context.now()
        self._cause = cause


def _about_sent(folders: list[Folder], missing: tuple[Missing, ...]) -> str:
    """One sentence on where copies of sent mail are found."""
    found = [f"{folder.name} (found {folder.how})" for folder in folders if folder.role is Role.SENT]
    notes = [one.note for one in missing if one.role is Role.SENT]
    return "; ".join([*found, *notes])


def build(settings: ImapSettings, context: Context) -> ImapSource:
    """The source for an account."""
    return ImapSource(settings, context)
