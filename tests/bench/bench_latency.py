"""From delivery to webhook, one report at a time, beside the floor on the same Dovecot."""

from __future__ import annotations

import random
import smtplib
import statistics
import time
from collections.abc import Iterator

from bench.figures import Figure, at_most, at_most_above, p95
from bench.watched import PATIENCE_SECONDS, Watched, beside_floor, receipt

CYCLES = 40

# Between two reports of a cycle: the second comes when the watcher has just dealt with the first.
SECOND_AFTER = 1.0
# The two watchers do not work at the same moment: Dovecot tells of new mail after half a second.
APART = 0.25
# Before the next cycle, and never in step with anything: seconds.
GAP = (1.0, 2.5)

LIMIT_MS = 25.0
CPU_LIMIT_MS = 5.0

# The floor's reports have numbers of their own.
OF_FLOOR = 1_000_000


def figures() -> Iterator[Figure]:
    """Milliseconds, in the median and at worst but for one in twenty."""
    chance = random.Random(3)
    numbers = range(2 * CYCLES)
    with beside_floor(len(numbers)) as (ours, floor):
        sent: dict[int, float] = {}
        cpu = ours.cpu_seconds()
        for cycle in range(CYCLES):
            _cycle(ours, floor, cycle, sent)
            time.sleep(chance.uniform(*GAP))
        cpu = ours.cpu_seconds() - cpu
        ms = {number: (ours.receiver.came[number] - at) * 1000 for number, at in sent.items()}
    for what, first in (("report to webhook, after a pause", 0), ("report to webhook, a second after the last", 1)):
        mine = [ms[number] for number in numbers[first::2]]
        others = [ms[number + OF_FLOOR] for number in numbers[first::2]]
        yield at_most_above(f"{what}: median", "ms", statistics.median(mine), statistics.median(others), LIMIT_MS)
        yield at_most_above(f"{what}: p95", "ms", p95(mine), p95(others), LIMIT_MS)
    yield at_most("CPU of a report that comes alone", "ms", cpu / len(numbers) * 1000, CPU_LIMIT_MS)


def _cycle(ours: Watched, floor: Watched, cycle: int, sent: dict[int, float]) -> None:
    """Two reports for each watcher; when each was delivered is added to `sent`."""
    began = time.monotonic()
    for second in (0, 1):
        for turn, (watcher, base) in enumerate(((ours, 0), (floor, OF_FLOOR))):
            time.sleep(max(0.0, began + second * SECOND_AFTER + turn * APART - time.monotonic()))
            number = 2 * cycle + second + base
            sent[number] = _deliver(watcher, receipt(number))
    ours.receiver.wait_for(set(sent), PATIENCE_SECONDS)


def _deliver(watcher: Watched, message: bytes) -> float:
    """Hand a message over as an MTA does; when the server had taken it."""
    with smtplib.LMTP(watcher.mailbox.host, watcher.mailbox.lmtp_port) as lmtp:
        if lmtp.sendmail("", [watcher.mailbox.user], message):
            raise AssertionError("a report was not taken")
        return time.monotonic()
