"""Root directories of a Debian of the tests' own, for servers whose packages exclude each other.

Each is made once by mmdebstrap (some 30 s, 280 MB) and kept in .cache/roots. A server runs in it with an overlay on
top, in namespaces of its own: nothing it writes stays, and all of it ends with the process that started it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

# The release whose servers REAL mail was looked at with: Cyrus 3.6, Courier-IMAP 5.0.
SUITE = "bookworm"
CACHE = Path(__file__).parent.parent.parent / ".cache" / "roots"

# $1 is the root, $2 the directory for what changes, $3 what both sides see; the rest is run in the root.
_ENTER = """
set -e
root=$1 changes=$2 shared=$3; shift 3
mount -t overlay overlay -o lowerdir="$root",upperdir="$changes/upper",workdir="$changes/work" "$changes/merged"
mkdir -p "$changes/merged/srv/shared"
mount --bind "$shared" "$changes/merged/srv/shared"
mount -t proc proc "$changes/merged/proc"
exec chroot "$changes/merged" "$@"
"""


@dataclass(frozen=True, slots=True)
class Inside:
    """A running program within a root. `shared` is /srv/shared there."""

    process: subprocess.Popen[bytes]
    shared: Path
    log: Path


def debian_root(name: str, packages: Sequence[str]) -> Path:
    """The root with these packages, made if it is not there. Skips where none can be made."""
    if os.geteuid() != 0:
        pytest.skip("a root directory can be made only by root")
    target, stamp = CACHE / name, CACHE / f"{name}.packages"
    wanted = " ".join([SUITE, *packages])
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text("utf-8") != wanted:
            if shutil.which("mmdebstrap") is None:
                pytest.skip("mmdebstrap is not installed (Debian package mmdebstrap), and there is no root yet")
            shutil.rmtree(target, ignore_errors=True)
            stamp.unlink(missing_ok=True)
            command = ["mmdebstrap", "--quiet", "--variant=apt", f"--include={','.join(packages)}", SUITE, str(target)]
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode != 0:
                pytest.skip(f"no root with {name}: {done.stderr[-300:]}")
            stamp.write_text(wanted, "utf-8")
    return target


@contextlib.contextmanager
def running_inside(root: Path, script: str) -> Iterator[Inside]:
    """Run a shell script within a root, until the block ends. Skips where the system does not allow that."""
    with tempfile.TemporaryDirectory(prefix="mdnwatch-root-") as directory:
        base = Path(directory)
        base.chmod(0o755)
        for name in ("upper", "work", "merged", "shared"):
            (base / name).mkdir()
        log = base / "log"
        command = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "sh", "-c", _ENTER]
        arguments = ["enter", str(root), str(base), str(base / "shared"), "sh", "-c", script]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*command, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        try:
            yield Inside(process, base / "shared", log)
        finally:
            process.kill()
            process.wait()
