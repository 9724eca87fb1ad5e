"""Reading: bytes to structure, report and evidence, beside the standard library's `email`, which merely parses."""

from __future__ import annotations

import contextlib
import email
import gc
import importlib
import logging
import os
import statistics
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.figures import Figure, at_least_times, at_most, left_out, told

from mdnwatch.mail import mime
from mdnwatch.mail.bounce_formats import formats
from mdnwatch.mail.notice import Notice, read_notice
from mdnwatch.mail.reader import read
from mdnwatch.model.received import Place, RawMessage, Role
from mdnwatch.pipeline import read_item

TESTS = Path(__file__).parents[1]
# A larger collection that is not part of the project: a directory of messages.
CORPUS = Path(os.environ.get("MDNWATCH_CORPUS") or TESTS.parents[1] / "shared" / "corpus" / "messages")

# One after the other, so that whatever else the machine does meets all alike.
ROUNDS = 9
FLOOR = "email"
STRUCTURE, REPORT, EVIDENCE = "MIME structure", "bytes to report", "bytes to evidence"
# What each is to reach, in rates of the floor.
TIMES = {STRUCTURE: 4.0, REPORT: 2.5, EVIDENCE: 2.5}
# "a few": what each of the formats costs a message that is none of its own.
FORMAT_MICROSECONDS = 5.0
PLACE = Place("sales", "INBOX", 1, 1)
NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)

type_reader = Callable[[bytes], object]


def figures() -> Iterator[Figure]:
    """Messages a second of each reader, for each collection."""
    # flanker writes a line for each oddity, and is older than this Python.
    logging.disable(logging.CRITICAL)
    try:
        # Half of the samples are bounces in odd formats, which no mailbox holds: of these only the structure is judged.
        yield from _compared("samples", sorted((TESTS / "samples").rglob("*.eml")), {STRUCTURE})
        yield from _compared("real reports", sorted((TESTS / "samples" / "real").rglob("*.eml")), {REPORT})
        if CORPUS.is_dir():
            yield from _compared("corpus", sorted(CORPUS.glob("*.eml")), {STRUCTURE, EVIDENCE})
        else:
            yield left_out("reading the corpus", "$MDNWATCH_CORPUS names no directory of messages")
    finally:
        logging.disable(logging.NOTSET)


def _compared(what: str, paths: Sequence[Path], judged: Collection[str]) -> Iterator[Figure]:
    messages = [path.read_bytes() for path in paths]
    readers = _readers()
    rounds: dict[str, list[float]] = {name: [] for name in readers}
    # The first round imports what is imported late.
    for number in range(ROUNDS + 1):
        for name, reader in readers.items():
            seconds = _seconds(reader, messages)
            if number:
                rounds[name].append(seconds)
    rates = {name: len(messages) / statistics.median(seconds) for name, seconds in rounds.items()}
    floor, unit, of = rates.pop(FLOOR), "messages/s", f"{what} ({len(messages)})"
    for name, rate in rates.items():
        if name in judged:
            yield at_least_times(f"{of}: {name}", unit, rate, floor, TIMES[name])
        else:
            yield told(f"{of}: {name}", unit, rate, floor)
    yield _dearest_format(of, messages)


def _readers() -> Mapping[str, type_reader]:
    """The floor, ours, and those of others that are installed (`pip install .[bench]`)."""
    found: dict[str, type_reader] = {
        FLOOR: email.message_from_bytes,
        STRUCTURE: mime.read,
        REPORT: read,
        EVIDENCE: _evidence,
    }
    with warnings.catch_warnings(), contextlib.suppress(ImportError):
        warnings.simplefilter("ignore")
        found["flanker, structure"] = importlib.import_module("flanker.mime").from_string
    with contextlib.suppress(ImportError):
        scan = importlib.import_module("flufl.bounce").scan_message
        found["flufl.bounce, addresses of bounces"] = lambda data: scan(email.message_from_bytes(data))
    with contextlib.suppress(ImportError):
        found["fast-mail-parser (Rust), decoded"] = importlib.import_module("fast_mail_parser").parse_email
    return found


def _evidence(data: bytes) -> object:
    """The whole path of the daemon, up to its transaction."""
    return read_item(RawMessage(PLACE, Role.INBOX, data, len(data), NOW))


def _seconds(reader: type_reader, messages: Sequence[bytes]) -> float:
    gc.collect()
    began = time.process_time()
    for message in messages:
        # The others raise at what they cannot read.
        with contextlib.suppress(Exception):
            reader(message)
    return time.process_time() - began


def _dearest_format(of: str, messages: Sequence[bytes]) -> Figure:
    """What the dearest format takes to say that a message is none of its own."""
    notices = [read_notice(mime.read(message)) for message in messages]
    costs = {known.FORMAT: _microseconds(known.claims, notices) for known in formats()}
    name = max(costs, key=lambda one: costs[one])
    return at_most(f"{of}: dearest of {len(costs)} formats, {name}", "µs/message", costs[name], FORMAT_MICROSECONDS)


def _microseconds(claims: Callable[[Notice], bool], notices: Sequence[Notice]) -> float:
    others = [notice for notice in notices if not claims(notice)]
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        for notice in others:
            claims(notice)
        best = min(best, time.process_time() - began)
    return best / len(others) * 1e6
