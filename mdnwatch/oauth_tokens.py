"""The tokens of an account on disk, shared by the daemon and the commands, and never renewed by two at a time."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

from mdnwatch import private_file
from mdnwatch.errors import MdnwatchError
from mdnwatch.oauth import Tokens

DIRECTORY = "oauth"
DIRECTORY_MODE = 0o700

# Whoever holds the lock asks a provider, which has a time limit of its own.
LOCK_SECONDS = 30.0
LOOK_SECONDS = 0.05


class TokensUnusable(MdnwatchError):
    """The file of an account's tokens cannot be read, or holds none."""


class TokensNotKept(MdnwatchError):
    """Tokens cannot be written, or only by another process for now."""


class TokenFile:
    """The file of one account below `state_dir`; it belongs to the owner of that, and only they may read it."""

    def __init__(self, state_dir: Path, account: str) -> None:
        self._state_dir = state_dir
        self.path = state_dir / DIRECTORY / f"{quote(account, safe='')}.json"

    def load(self) -> Tokens | None:
        """What is kept; None where nothing is. Blocks. Raises TokensUnusable."""
        try:
            return Tokens.from_json(self.path.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise TokensUnusable(self._words(error)) from None
        except ValueError:
            raise TokensUnusable(f"{self.path} holds no tokens: log in again") from None

    def save(self, tokens: Tokens) -> None:
        """Put others in their place, all or nothing. Blocks. Raises TokensNotKept."""
        try:
            self._make_directory()
            private_file.write(self.path, tokens.to_json() + "\n", owner_of=self._state_dir)
        except OSError as error:
            raise TokensNotKept(self._words(error)) from None

    def _make_directory(self) -> None:
        with contextlib.suppress(FileExistsError):
            self.path.parent.mkdir(DIRECTORY_MODE)
            private_file.give_to_owner(self.path.parent, self._state_dir)

    @contextlib.asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Whoever renews or replaces the tokens does it alone, over all processes. Raises TokensNotKept."""
        try:
            self._make_directory()
            # What stands there may be a link of somebody with less rights than this process.
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            fd = os.open(self.path.with_suffix(".lock"), flags, private_file.MODE)
        except OSError as error:
            raise TokensNotKept(self._words(error)) from None
        try:
            private_file.give_to_owner(fd, self._state_dir)
            await self._until_taken(fd)
            yield
        finally:
            os.close(fd)

    async def _until_taken(self, fd: int) -> None:
        for _ in range(int(LOCK_SECONDS / LOOK_SECONDS)):
            if _is_taken(fd):
                return
            await asyncio.sleep(LOOK_SECONDS)
        raise TokensNotKept(f"{self.path}: another process holds it for more than {LOCK_SECONDS:.0f} s")

    def _words(self, error: OSError) -> str:
        return f"{error.filename or self.path}: {error.strerror}"


def _is_taken(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
