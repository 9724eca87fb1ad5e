"""The figures of speed and size, each beside a floor that is measured in the same run.

    python tests/bench/run.py [NAME...]

Without names all are measured, which takes about a quarter of an hour; a name is that of a file here: `bench_NAME.py`.
It prints one table and exits with 1 where a target is missed, or something could not be measured. Machines differ and
are never idle, so what counts are ratios and differences to the floor; a figure near its target is worth a second run.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
# The helpers of the tests are found as they find each other, wherever this is started.
sys.path.insert(0, str(HERE.parent))

from bench.figures import Figure, failed, table  # noqa: E402 - found only now

PREFIX = "bench_"


def names() -> list[str]:
    """Everything that can be measured: a new one is a new file."""
    return sorted(path.stem.removeprefix(PREFIX) for path in HERE.glob(f"{PREFIX}*.py"))


def measured(name: str) -> Iterator[Figure]:
    """The figures of one file. What ends one measurement leaves the others alone."""
    print(f"measuring {name} ...", file=sys.stderr, flush=True)
    try:
        yield from importlib.import_module(f"bench.{PREFIX}{name}").figures()
    except Exception as error:  # noqa: BLE001 - the table tells that it failed, and the trace why
        traceback.print_exc()
        yield failed(name, error)


def main() -> int:
    """Print the table; 1 where a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of: {', '.join(names())}")
    wanted = parser.parse_args().names or names()
    if unknown := set(wanted) - set(names()):
        parser.error(f"no such measurement: {', '.join(sorted(unknown))}")
    found = [figure for name in wanted for figure in measured(name)]
    print(table(found))
    return 1 if any(figure.holds is False for figure in found) else 0


if __name__ == "__main__":
    sys.exit(main())
