"""Files that only their owner may read, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

MODE = 0o600


def write(path: Path, text: str, mode: int = MODE, *, owner_of: Path | None = None) -> None:
    """All of it, or nothing; never readable for others, not even for a moment. Raises OSError. Blocks.

    `owner_of` is a path whose owner is to be that of the file, where this process may give files away.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            if owner_of is not None:
                give_to_owner(file.fileno(), owner_of)
        draft.replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            draft.unlink()
        raise


def give_to_owner(file: Path | int, of: Path) -> None:
    """Let a path or descriptor belong to whom another path belongs: root does the work of a daemon with less rights."""
    if os.geteuid() != 0:
        return
    owner = of.stat()
    if isinstance(file, int):
        os.fchown(file, owner.st_uid, owner.st_gid)
    else:
        # Where that daemon may write, a link could lead to what is not its own.
        os.lchown(file, owner.st_uid, owner.st_gid)
