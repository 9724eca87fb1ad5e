"""Coverage-guided fuzzing of everything that reads foreign mail; arguments are those of libFuzzer.

    python tests/fuzz/fuzz_reader.py -max_total_time=300

It begins with the samples and the words of `mail.dict`. An input that breaks a promise is written to `crash-*`, and
read again by naming that file as the only argument.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

# Imported by its name: it has no types, and only this file wants it.
atheris = importlib.import_module("atheris")

with atheris.instrument_imports(include=["mdnwatch"]):
    from mdnwatch.mail.reader import read
    from mdnwatch.mail.recognise import wants_body
    from mdnwatch.mail.sent import read_sent
    from mdnwatch.mail.wanted import wanted
    from mdnwatch.model.text import FOREIGN_TEXT_BYTES
    from mdnwatch.parse import parse

HERE = Path(__file__).parent
SAMPLES = HERE.parent / "samples"

# Larger than nearly every sample, and small enough for hundreds of inputs a second.
MAX_INPUT = 64 * 1024  # bytes
# A recipient of ten bytes becomes an object with nine names; a byte of Latin-1 becomes "\u00e9".
MAX_GROWTH = 100  # bytes of JSON for each byte of the message
# What an empty message takes.
MAX_OF_NOTHING = 1024  # bytes of JSON
MAX_OUTPUT = 4 * 1024 * 1024  # bytes of JSON, whatever the message
# The readers take milliseconds, traced for coverage some tens of them; a quadratic expression takes minutes.
MAX_SECONDS = 3.0  # of processor time
# libFuzzer ends an input that does not come back at all.
MAX_WALL_SECONDS = 30


def one_input(data: bytes) -> None:
    """Each promise that the readers make about any bytes; raises where one is broken."""
    began = time.process_time()
    line = parse(data, "x")
    # Head and returned part are read when they are asked for: `repr` asks for everything.
    repr(read(data))
    read_sent(data, "account")
    wants_body(data)
    wants_body(b"", data)
    wanted(data)
    took = time.process_time() - began
    _is_bounded(line, len(data))
    if took > MAX_SECONDS:
        raise AssertionError(f"{len(data)} bytes took {took:.1f} s")


def _is_bounded(line: dict[str, object], size: int) -> None:
    output = len(json.dumps(line))
    if output > min(MAX_OUTPUT, MAX_OF_NOTHING + MAX_GROWTH * size):
        raise AssertionError(f"{size} bytes became {output} bytes of output")
    for text in _texts(line):
        # A lone surrogate raises here: no consumer of JSON could read it.
        if len(text.encode("utf-8")) > FOREIGN_TEXT_BYTES:
            raise AssertionError(f"a text of {len(text)} characters: {text[:80]!r}")
        if not text.isprintable() and any(character < " " for character in text):
            raise AssertionError(f"a control character: {text[:80]!r}")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield name
            yield from _texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _texts(inner)


def _arguments(given: list[str]) -> list[str]:
    seeds = ",".join(str(path) for path in sorted(SAMPLES.rglob("*.eml")))
    defaults = [
        f"-max_len={MAX_INPUT}",
        f"-timeout={MAX_WALL_SECONDS}",
        f"-dict={HERE / 'mail.dict'}",
        f"-seed_inputs={seeds}",
    ]
    # Of an option that stands twice, libFuzzer takes the last.
    return [sys.argv[0], *defaults, *given]


if __name__ == "__main__":
    atheris.Setup(_arguments(sys.argv[1:]), one_input)
    atheris.Fuzz()
