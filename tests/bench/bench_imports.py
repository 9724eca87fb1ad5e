"""What `--version` and `parse` import, and how long they take beside an interpreter that does nothing."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.figures import Figure, must_be, told

COMMAND = Path(sys.executable).with_name("mdnwatch")
SAMPLES = Path(__file__).parent.parent / "samples" / "real"
PLAIN = SAMPLES / "tb-TBmanual-mdn-displayed-manual.eml"

# Text that is neither UTF-8 nor what its label says, so that a guess is needed.
DAMAGED = PLAIN.read_bytes().replace(b"Subject: ", b"Subject: " + "Прочитано получателем ".encode("koi8-r"), 1)

HEAVY = ("aiohttp", "pydantic", "flanker")
ROUNDS = 7

# What the installed command does, with a list of what it has imported behind it.
_SPY = """
import json, sys
from mdnwatch.cli import main
sys.argv = ["mdnwatch", *sys.argv[1:]]
try:
    main()
except SystemExit:
    pass
print(json.dumps([name for name in {heavy!r} if name in sys.modules]))
"""


def figures() -> Iterator[Figure]:
    """What is imported, and milliseconds."""
    yield must_be("`--version` imports none of aiohttp, pydantic, flanker", ours=_imported("--version") == [])
    yield must_be("`parse` imports none of aiohttp, pydantic, flanker", ours=_imported("parse", str(PLAIN)) == [])
    needed = _imported("parse", "-", given=DAMAGED)
    yield must_be("`parse` imports flanker for a message that needs it", ours=needed == ["flanker"])
    floor = _ms([sys.executable, "-c", "pass"])
    yield told("`--version`, beside an empty program", "ms", _ms([COMMAND, "--version"]), floor)
    yield told("`parse` of one message, beside an empty program", "ms", _ms([COMMAND, "parse", PLAIN]), floor)


def _imported(*arguments: str, given: bytes = b"") -> list[str]:
    command = [sys.executable, "-c", _SPY.format(heavy=HEAVY), *arguments]
    done = subprocess.run(command, input=given, check=True, capture_output=True)
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def _ms(command: Sequence[str | Path]) -> float:
    return statistics.median(_ms_once(command) for _ in range(ROUNDS))


def _ms_once(command: Sequence[str | Path]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return (time.perf_counter() - began) * 1000
