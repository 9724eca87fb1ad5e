"""The status log of a daemon that is killed again and again, also after rotations: each event stands in it once."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import subprocess
from collections import Counter
from contextlib import closing
from pathlib import Path

from servers.daemon import maildir_account, running, start, table, until, write_config
from servers.letters import deliver, maildir_name, make_maildir, sent_copy, thunderbird_receipt

# The longest life of a daemon in seconds: it starts within half of it.
LONGEST_LIFE = 1.2

KILLS = 5
MESSAGES_PER_LIFE = 20
# Each message is displayed, and thereby settled.
EVENTS = 2 * KILLS * MESSAGES_PER_LIFE


def message_id(number: int) -> str:
    return f"<offer-{number}@mail.example>"


def ids_of(*logs: Path) -> Counter[str]:
    """Every event in the logs; every line has to be whole."""
    lines = [line for log in logs for line in log.read_bytes().split(b"\n") if line]
    return Counter(json.loads(line)["data"]["id"] for line in lines)


def events_and_backlog(home: Path) -> tuple[set[str], int]:
    with closing(sqlite3.connect(f"file:{home}/state/mdnwatch.sqlite3?mode=ro", uri=True)) as db:
        events = {str(row[0]) for row in db.execute("SELECT id FROM event")}
        (waiting,) = db.execute("SELECT count(*) FROM notification WHERE finished_at IS NULL").fetchone()
    return events, int(waiting)


def is_all_told(home: Path) -> bool:
    events, waiting = events_and_backlog(home)
    return len(events) == EVENTS and waiting == 0


def test_each_event_stands_in_the_log_once_after_deaths_and_rotations(home: Path) -> None:
    log, maildir = home / "events.jsonl", make_maildir(home / "Maildir")
    sink = table("sinks", kind="log", name="events", path=log)
    config = write_config(home, maildir_account(maildir, poll_interval="20ms"), sink)
    with running(config):
        pass  # From now on all that comes is new.
    rotated: list[Path] = []
    for kill in range(KILLS):
        daemon = start(config)
        try:
            for number in range(kill * MESSAGES_PER_LIFE, (kill + 1) * MESSAGES_PER_LIFE):
                deliver(
                    maildir / ".Sent", maildir_name(2 * number), sent_copy(message_id(number), ["bob@there.example"])
                )
                receipt = thunderbird_receipt(message_id(number), "bob@there.example")
                deliver(maildir, maildir_name(2 * number + 1), receipt)
            if kill % 2:
                until(log.exists, "a log to rotate")
                rotated.append(log.rename(home / f"events.jsonl-{kill}"))
            with contextlib.suppress(subprocess.TimeoutExpired):
                daemon.process.wait(random.uniform(0, LONGEST_LIFE))  # noqa: S311 - guards nothing
                raise AssertionError(f"the daemon ended by itself\n{daemon.log[-4000:]}")
        finally:
            daemon.kill()
    with running(config):
        until(lambda: is_all_told(home), lambda: events_and_backlog(home))
    events, _ = events_and_backlog(home)
    assert len(events) == EVENTS
    assert ids_of(*rotated, log) == Counter(events)
