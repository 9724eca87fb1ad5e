"""Thousands of reports at once, beside the floor on the same Dovecot."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from bench.figures import Figure, at_most, at_most_times
from bench.watched import beside_floor

REPORTS = 2_000
ROUNDS = 3

TIMES = 2.0
CPU_LIMIT_MS = 5.0

# The floor's reports have numbers of their own.
OF_FLOOR = 1_000_000


def figures() -> Iterator[Figure]:
    """Seconds from the drop to the last webhook."""
    rounds = [range(first, first + REPORTS) for first in range(0, ROUNDS * REPORTS, REPORTS)]
    seconds: list[tuple[float, float]] = []
    cpu = 0.0
    with beside_floor(ROUNDS * REPORTS) as (ours, floor):
        for numbers in rounds:
            before = ours.cpu_seconds()
            mine = ours.burst(numbers)
            cpu += ours.cpu_seconds() - before
            seconds.append((mine, floor.burst(range(OF_FLOOR + numbers.start, OF_FLOOR + numbers.stop))))
    mine, others = (statistics.median(of) for of in zip(*seconds, strict=True))
    yield at_most_times(f"{REPORTS} reports at once: last webhook", "s", mine, others, TIMES)
    yield at_most("CPU of a report in a burst", "ms", cpu / ROUNDS / REPORTS * 1000, CPU_LIMIT_MS)
