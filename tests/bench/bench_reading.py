"""Reading: bytes to report, beside the standard library's `email`, which merely parses the same files."""

from __future__ import annotations

import email
import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bench.figures import Figure, at_least_times, left_out

from mdnwatch.mail.reader import read

SAMPLES = Path(__file__).parent.parent / "samples" / "real"
# A larger collection that is not part of the project: a directory of messages.
CORPUS = os.environ.get("MDNWATCH_CORPUS", "")

# One after the other, so that whatever else the machine does meets both alike.
ROUNDS = 15
TIMES = 2.5


def figures() -> Iterator[Figure]:
    """Messages a second, for each collection."""
    yield from _compared("reading the samples", SAMPLES)
    if CORPUS:
        yield from _compared("reading the corpus", Path(CORPUS))
    else:
        yield left_out("reading the corpus", "$MDNWATCH_CORPUS names no directory of messages")


def _compared(what: str, directory: Path) -> Iterator[Figure]:
    messages = [path.read_bytes() for path in sorted(directory.glob("*.eml"))]
    if not messages:
        yield left_out(what, f"{directory} holds no messages")
        return
    # The first round imports what is imported late.
    rounds = [(_seconds(read, messages), _seconds(email.message_from_bytes, messages)) for _ in range(ROUNDS + 1)][1:]
    ours, floor = (statistics.median(seconds) for seconds in zip(*rounds, strict=True))
    yield at_least_times(f"{what} ({len(messages)})", "messages/s", len(messages) / ours, len(messages) / floor, TIMES)


def _seconds(reader: Callable[[bytes], object], messages: Sequence[bytes]) -> float:
    gc.collect()
    began = time.perf_counter()
    for message in messages:
        reader(message)
    return time.perf_counter() - began
