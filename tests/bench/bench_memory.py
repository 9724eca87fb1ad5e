"""Memory with one account: after every kind of report, and over tens of thousands of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figure, at_most, told
from bench.watched import PATIENCE_SECONDS, Watched, receipt, watched

SAMPLES = Path(__file__).parent.parent / "samples" / "real"

MESSAGES, RECIPIENTS = 2_500, 20  # each recipient sends one receipt
AT_ONCE = 2_000
TOLD_EVERY = 10_000

LIMIT_MIB = 80.0
# What the C library's allocator keeps for later; a leak of 100 bytes a report would show.
GROWTH_MIB = 4.0

# Subjects as mail programs write them; the last one names no charset.
LOCALISED = (
    b"=?ISO-8859-15?Q?Gelesen:_=DCbersicht?= =?UTF-8?B?4oCT?=",
    b"=?iso-2022-jp?B?GyRCMytJdTpRJF8bKEI6?=",
    b"=?koi8-r?B?8NLP3snUwc7P?=: =?gb2312?B?0tG2wQ==?=",
    "Lu : résumé".encode("cp1252"),
)
# Neither UTF-8 nor like Western Europe: the charset is guessed with flanker.
NEEDS_FLANKER = "Прочитано: отчёт".encode("koi8-r")


def figures() -> Iterator[Figure]:
    """Resident memory."""
    with watched(MESSAGES + 1, RECIPIENTS) as ours:
        yield told("memory after the start", "MiB", ours.rss_mib())
        ours.mailbox.drop([*_every_kind(), *_localised()])
        # What comes after them is told after them.
        ours.mailbox.drop([receipt(0, 0)])
        ours.receiver.wait_for({0}, PATIENCE_SECONDS)
        yield at_most("memory after every kind of report, with localised subjects", "MiB", ours.rss_mib(), LIMIT_MIB)
        sizes = dict(_after_many(ours))
        ours.mailbox.drop([_with_subject(NEEDS_FLANKER), receipt(MESSAGES, 0)])
        ours.receiver.wait_for({MESSAGES}, PATIENCE_SECONDS)
        with_flanker = ours.rss_mib()
    for count, size in sizes.items():
        yield at_most(f"memory after {count} reports", "MiB", size, LIMIT_MIB)
    growth = sizes[MESSAGES * RECIPIENTS] - sizes[TOLD_EVERY]
    yield at_most(f"growth from {TOLD_EVERY} to {MESSAGES * RECIPIENTS} reports", "MiB", growth, GROWTH_MIB)
    yield at_most("memory after a message whose charset only flanker can guess", "MiB", with_flanker, LIMIT_MIB)


def _every_kind() -> Iterator[bytes]:
    return (path.read_bytes() for path in sorted(SAMPLES.glob("*.eml")))


def _localised() -> Iterator[bytes]:
    return (_with_subject(subject) for subject in LOCALISED)


def _with_subject(subject: bytes) -> bytes:
    """A receipt about a message that nobody knows."""
    return re.sub(rb"(?m)^Subject: .*(?:\n[ \t].*)*", b"Subject: " + subject + b"\r", receipt(-1))


def _after_many(ours: Watched) -> Iterator[tuple[int, float]]:
    """How many receipts were told, and the memory then."""
    already = ours.receiver.requests - 1
    for first in range(0, MESSAGES * RECIPIENTS, AT_ONCE):
        some = range(max(first, 1), first + AT_ONCE)
        ours.mailbox.drop([receipt(*divmod(number, RECIPIENTS)) for number in some])
        ours.receiver.wait_for_requests(already + some.stop, PATIENCE_SECONDS)
        if some.stop % TOLD_EVERY == 0:
            yield some.stop, ours.rss_mib()
