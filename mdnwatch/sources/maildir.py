"""A local Maildir as a source, looked at every second; nothing in it is ever changed."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path

from mdnwatch.errors import Cause, CommitFailed, SourceError
from mdnwatch.model.outage import Trouble
from mdnwatch.model.received import Role
from mdnwatch.sources.base import Checked, Context, SourceHealth, SourceState, jittered_pause, pause, trouble_of
from mdnwatch.sources.maildir_folder import exists, folder_path
from mdnwatch.sources.maildir_settings import MaildirSettings
from mdnwatch.sources.maildir_watch import FolderWatch

KIND = "maildir"
SETTINGS = MaildirSettings


class MaildirSource:
    """The watch over one Maildir."""

    def __init__(self, settings: MaildirSettings, context: Context) -> None:
        self.name = settings.name
        self._settings = settings
        self._context = context
        # Sent folders first, so that a report finds its message.
        self._watches = [FolderWatch(settings, context, name, Role.SENT) for name in settings.sent]
        self._watches += [FolderWatch(settings, context, name, Role.INBOX) for name in settings.folders]
        self._state = SourceState.STARTING
        self._since = context.now()
        self._cause = ""
        self._last_answer: datetime | None = None

    async def run(self) -> None:
        """Watch until cancelled."""
        failures = 0
        while True:
            try:
                more = await self._look()
            except (SourceError, CommitFailed) as error:
                failures += 1
                self._changed(SourceState.DOWN, str(error))
                self._context.down(trouble_of(error))
                await pause(jittered_pause(failures), self._context.beat)
            else:
                failures = 0
                if not more:
                    await pause(self._settings.poll_interval.total_seconds(), self._context.beat)

    def health(self) -> SourceHealth:
        """How the Maildir is doing."""
        sent = [watch for watch in self._watches if watch.role is Role.SENT]
        return SourceHealth(
            name=self.name,
            kind=KIND,
            state=self._state,
            cause=self._cause,
            since=self._since,
            last_answer=self._last_answer,
            sent="; ".join(f"{watch.name} (as named)" if watch.found else watch.missing_note for watch in sent),
            folders=tuple(watch.health() for watch in self._watches),
        )

    async def _look(self) -> bool:
        """Look at every folder; whether old mail is left to be read."""
        for watch in self._watches:
            await watch.look()
            await watch.read_urgent()
        if not any(watch.found for watch in self._watches if watch.role is Role.INBOX):
            notes = "; ".join(watch.missing_note for watch in self._watches if watch.role is Role.INBOX)
            raise SourceError(f"none of the configured folders is there: {notes}", Cause.FOLDER_GONE)
        self._last_answer = self._context.now()
        self._changed(SourceState.UP, "")
        self._tell_missing()
        more = [await watch.read_old() for watch in self._watches]
        return any(more)

    def _tell_missing(self) -> None:
        """A folder of reports that is named and not there is watched by nobody."""
        if notes := [watch.missing_note for watch in self._watches if watch.role is Role.INBOX and not watch.found]:
            self._context.down(Trouble(Cause.FOLDER_GONE, "; ".join(notes)))
        else:
            self._context.up()

    def _changed(self, state: SourceState, cause: str) -> None:
        if (state, cause) == (self._state, self._cause):
            return
        if state is SourceState.UP:
            self._context.log.info("source up", source=self.name, path=str(self._settings.path))
        else:
            self._context.log.warning("source down", source=self.name, path=str(self._settings.path), cause=cause)
        if state is not self._state:
            self._since = self._context.now()
        self._state, self._cause = state, cause


def build(settings: MaildirSettings, context: Context) -> MaildirSource:
    """The source for an account."""
    return MaildirSource(settings, context)


async def check(settings: MaildirSettings, _state_dir: Path) -> Checked:
    """Whether the folders are there."""
    lines: list[str] = []
    ok = True
    for name in (*settings.sent, *settings.folders):
        path = folder_path(settings.path, name)
        try:
            found = await asyncio.to_thread(exists, path)
        except SourceError as error:
            return Checked(ok=False, lines=(*lines, str(error)))
        ok = ok and found
        lines.append(f"{name}: {path}" + ("" if found else " is no Maildir folder: it has no cur and new"))
    return Checked(ok=ok, lines=tuple(lines))
