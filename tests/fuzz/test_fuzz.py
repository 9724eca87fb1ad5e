"""The fuzzer over every reader; `python tests/fuzz/fuzz_reader.py` goes on for as long as one likes."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FUZZER = Path(__file__).with_name("fuzz_reader.py")
SECONDS = int(os.environ.get("FUZZ_SECONDS", "300"))
# Reading the samples and coming to an end, on a busy machine.
AROUND = 120  # seconds

needs_atheris = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris is not installed: it has no build for this Python"
)


@needs_atheris
@pytest.mark.slow
def test_no_bytes_break_a_promise_of_the_readers(tmp_path: Path) -> None:
    command = [sys.executable, str(FUZZER), f"-max_total_time={SECONDS}", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(
        command, cwd=FUZZER.parents[2], capture_output=True, text=True, timeout=SECONDS + AROUND, check=False
    )
    runs = re.search(r"Done (\d+) runs", done.stderr)
    assert done.returncode == 0, f"the input is in {tmp_path}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    assert runs is not None, done.stderr[-3000:]
    print(runs[0])  # noqa: T201 - shown by `pytest -s`: how much was tried
    assert int(runs[1]) > 0
