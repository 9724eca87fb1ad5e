"""Two mailboxes on one Dovecot, alike in everything: one is watched by mdnwatch, the other by the floor."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench.receiver import Receiver, receiving
from servers.daemon import imap_account, running, table, write_config
from servers.dovecot import Dovecot, dovecot
from servers.letters import sent_copy, thunderbird_receipt
from servers.postfix import add_user
from servers.receiver import SECRET

FLOOR = Path(__file__).with_name("floor.py")
FLOOR_USER = "floor@mail.example"

# What has not come by then does not come.
PATIENCE_SECONDS = 120.0

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Watched:
    """One mailbox with its watcher, and the receiver to which that POSTs."""

    mailbox: Dovecot
    pid: int
    receiver: Receiver

    def cpu_seconds(self) -> float:
        """What the watcher has used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text("ascii").rpartition(") ")[2].split()
        # proc_pid_stat(5): utime and stime are fields 14 and 15, and the third comes first here.
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def rss_mib(self) -> float:
        """The watcher's resident memory."""
        lines = Path(f"/proc/{self.pid}/status").read_text("ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024

    def burst(self, numbers: range) -> float:
        """Drop a report about each of these messages at once; seconds from then to the last webhook."""
        reports = [receipt(number) for number in numbers]
        self.mailbox.drop(reports)
        dropped = time.monotonic()
        return self.receiver.wait_for(numbers, PATIENCE_SECONDS) - dropped


def message_id(number: int) -> str:
    """Of the message that the report of this number is about."""
    return f"<bench-{number}@mail.example>"


def receipt(number: int, recipient: int = 0) -> bytes:
    """A recorded receipt, which only its identifiers tell from another."""
    identifier = f"receipt-{number}-{recipient}"
    return thunderbird_receipt(message_id(number), f"bob{recipient}@there.example", receipt_id=identifier)


@contextlib.contextmanager
def beside_floor(messages: int) -> Iterator[tuple[Watched, Watched]]:
    """mdnwatch and the floor, idle and up to date."""
    with contextlib.ExitStack() as stack:
        ours = stack.enter_context(watched(messages))
        yield ours, stack.enter_context(_floor(ours.mailbox, ours.receiver))


@contextlib.contextmanager
def watched(messages: int, recipients: int = 1) -> Iterator[Watched]:
    """mdnwatch, idle and up to date; it knows sent messages of the numbers from 0 on, each to so many recipients."""
    addresses = [f"bob{recipient}@there.example" for recipient in range(recipients)]
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mdnwatch-")))
        server, receiver = stack.enter_context(dovecot()), stack.enter_context(receiving())
        server.drop([sent_copy(message_id(number), addresses) for number in range(messages)], "Sent")
        sink = table("sinks", kind="webhook", name="receiver", url=receiver.url, secrets=[SECRET], allow_private=True)
        daemon = stack.enter_context(running(write_config(home, imap_account(server), sink)))
        yield Watched(server, daemon.process.pid, receiver)


@contextlib.contextmanager
def _floor(server: Dovecot, receiver: Receiver) -> Iterator[Watched]:
    add_user(server, FLOOR_USER)
    mailbox = replace(server, user=FLOOR_USER)
    mailbox.drop([])
    command = [sys.executable, str(FLOOR), str(server.port), FLOOR_USER, server.password, receiver.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is None or process.stdout.readline() != b"idle\n":
                raise AssertionError("the floor does not idle")
            yield Watched(mailbox, process.pid, receiver)
        finally:
            process.kill()
