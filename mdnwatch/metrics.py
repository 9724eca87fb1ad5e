"""What the daemon counts and measures of itself, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_LATEST

# Seconds from arrival. IMAP tells the arrival in whole seconds (INTERNALDATE), so there is nothing finer to tell;
# an outage of the receiver lasts hours, and up to the week after which an event is given up.
DELAYS = (1, 2, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600, 7 * 24 * 3600)


class Described(NamedTuple):
    """What a gauge tells, and by which labels."""

    text: str
    labels: tuple[str, ...] = ()


# What stands in the database or in the sources, and is looked up when somebody asks.
GAUGES: Mapping[str, Described] = {
    "mdnwatch_source_up": Described("Whether the account is being watched (1) or not (0).", ("account",)),
    "mdnwatch_source_last_answer_timestamp_seconds": Described(
        "When the account's server last answered; missing until it has.", ("account",)
    ),
    "mdnwatch_folder_last_agreement_timestamp_seconds": Described(
        "When the server last had nothing in the folder beyond what was handled: the folder's proof of life.",
        ("account", "folder"),
    ),
    "mdnwatch_sink_up": Described("Whether the sink takes events (1), or is down or disabled (0).", ("sink",)),
    "mdnwatch_outbox_waiting": Described("Events that wait for the sink.", ("sink",)),
    "mdnwatch_outbox_oldest_seconds": Described("Age of the oldest event that waits for the sink, or 0.", ("sink",)),
    "mdnwatch_reports_waiting": Described("Reports of which the sent message is not known (yet).", ("account",)),
    "mdnwatch_wal_bytes": Described("Size of the database's write-ahead log."),
}


class Sample(NamedTuple):
    """The value of a gauge; its labels in the order of GAUGES."""

    name: str
    value: float
    labels: tuple[str, ...] = ()


class Metrics:
    """The counters and histograms of one daemon."""

    def __init__(self) -> None:
        # The library tells the birth of each counter as a metric of its own, which nobody asked for.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call] # the library leaves it bare
        self._registry = CollectorRegistry()
        self._handled = self._counter("messages_handled", "Messages handled, by what they were.", "account", "kind")
        self._rungs = self._counter("evidence_matched", "Evidence matched, by rung of the ladder.", "rung")
        self._grades = self._counter("evidence_graded", "Evidence matched, by how far to trust it.", "grade")
        self._attempts = self._counter("delivery_attempts", "Attempts to hand an event over.", "sink", "outcome")
        self._to_commit = Histogram(
            "mdnwatch_arrival_to_commit_seconds",
            "From a report's arrival in the mailbox until what it tells is kept.",
            buckets=DELAYS,
            registry=self._registry,
        )
        self._to_delivery = Histogram(
            "mdnwatch_arrival_to_delivery_seconds",
            "From a report's arrival in the mailbox until the sink has taken its event.",
            ("sink",),
            buckets=DELAYS,
            registry=self._registry,
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"mdnwatch_{name}", text, labels, registry=self._registry)

    def handled(self, account: str, kind: str) -> None:
        """A message is kept: "mdn", "dsn", "arf", "reply", "sent", or "malformed"."""
        self._handled.labels(account, kind).inc()

    def placed(self, rung: str, grade: str) -> None:
        """A piece of evidence was matched by a rung, and given a grade."""
        self._rungs.labels(rung).inc()
        self._grades.labels(grade).inc()

    def committed(self, arrived_at: datetime, now: datetime) -> None:
        """What a report tells is kept; both times are aware UTC."""
        self._to_commit.observe(_seconds(arrived_at, now))

    def delivered(self, sink: str, arrived_at: datetime | None, now: datetime) -> None:
        """A sink took an event; `arrived_at` (aware UTC) is None for an event that no report has caused."""
        self._attempts.labels(sink, "delivered").inc()
        if arrived_at is not None:
            self._to_delivery.labels(sink).observe(_seconds(arrived_at, now))

    def retried(self, sink: str) -> None:
        """A sink did not take an event, which is tried again."""
        self._attempts.labels(sink, "retried").inc()

    def given_up(self, sink: str) -> None:
        """A sink did not take an event for so long that it was given up."""
        self._attempts.labels(sink, "given_up").inc()

    def exposition(self, samples: Iterable[Sample]) -> bytes:
        """Everything in the text format, with gauges as they are at this moment."""
        registry = CollectorRegistry()
        gauges = {name: Gauge(name, *described, registry=registry) for name, described in GAUGES.items()}
        for sample in samples:
            gauge = gauges[sample.name]
            (gauge.labels(*sample.labels) if sample.labels else gauge).set(sample.value)
        return prometheus_client.generate_latest(self._registry) + prometheus_client.generate_latest(registry)


def _seconds(since: datetime, now: datetime) -> float:
    # The clocks of a mail server and of this machine differ: what was there before it came is there at once.
    return max((now - since).total_seconds(), 0.0)
