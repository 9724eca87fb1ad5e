"""What the tables of faults share: their columns, and an office that has something to tell in each of them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from servers.channels import Fact
from servers.daemon import Daemon, maildir_account, running, until, write_config
from servers.letters import deliver, maildir_name, make_maildir, sendmail_bounce, sent_copy, thunderbird_receipt

FAULT_NAMES = (
    "away",
    "slow",
    "half an answer",
    "wrong certificate",
    "disk full",
    "clock back",
    "clock forward",
    "killed",
)

OFFER, GONE, FULL = "<offer@mail.example>", "gone@there.example", "full@there.example"

# In the order in which one of them is told of each recipient; the last one comes when the fault is noticed.
TOLD: Sequence[Fact] = ((GONE, "failed"), (FULL, "failed"), (GONE, "displayed"))


class World:
    """An office whose offer bounces, one of whose recipients then displays it; a channel that is to hear of both."""

    def __init__(self, home: Path, channel: Any, cleanup: contextlib.ExitStack) -> None:  # noqa: ANN401 - each fault asks for what it needs
        self.home = home
        self.channel = channel
        self.cleanup = cleanup
        self._maildir = make_maildir(home / "Maildir")
        deliver(self._maildir / ".Sent", maildir_name(0), sent_copy(OFFER, [GONE, FULL]))

    @contextlib.contextmanager
    def running(self, *, before: Sequence[str] = (), **settings: object) -> Iterator[Daemon]:
        """A daemon that tells the channel."""
        account = maildir_account(self._maildir, poll_interval="50ms")
        with running(write_config(self.home, account, self.channel.sink(**settings)), before=before) as daemon:
            yield daemon

    def bounce(self) -> None:
        """It did not reach either recipient."""
        deliver(self._maildir, maildir_name(1), sendmail_bounce(OFFER, GONE, FULL))

    def receipt(self) -> None:
        """One of them displays it nevertheless."""
        deliver(self._maildir, maildir_name(2), thunderbird_receipt(OFFER, GONE))

    def wait_for_arrival(self) -> None:
        """Until the channel has taken something."""
        until(self.channel.arrivals, "an arrival")

    def wait_for_line(self, daemon: Daemon, words: str) -> None:
        """Until the daemon has said it."""
        until(lambda: words in daemon.log, lambda: f"{words!r}\n{daemon.log}")

    def wait_for_all(self) -> None:
        """Until everything has arrived, and that is recorded."""
        until(lambda: {one.fact for one in self.channel.arrivals()} >= {*TOLD}, self.channel.arrivals)
        until(lambda: self._waiting() == 0, "all is recorded")

    def _waiting(self) -> int:
        path = f"file:{self.home}/state/mdnwatch.sqlite3?mode=ro"
        with contextlib.closing(sqlite3.connect(path, uri=True)) as db:
            ((count,),) = db.execute("SELECT count(*) FROM notification WHERE finished_at IS NULL").fetchall()
        return int(count)
