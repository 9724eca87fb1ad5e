"""A secret that was refused is used again only when it has become another one."""

from __future__ import annotations

import hashlib

from mdnwatch.errors import ConfigError
from mdnwatch.settings import Secret


class WatchedSecret:
    """Reads a secret, and notices when another one stands in its place. Its methods block."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        self._stamp: tuple[int, ...] | None = None
        self._digest = b""  # of what was read last; the secret itself is not kept

    def read(self) -> str:
        """The secret as it is now. Raises ConfigError."""
        self._digest, self._stamp = b"", self._secret.stamp()
        secret = self._secret.read()
        self._digest = _digest(secret)
        return secret

    def has_changed(self) -> bool:
        """Whether there is another secret than the one that was read last; a file is read only when it was touched."""
        stamp = self._secret.stamp()
        if stamp is None or stamp == self._stamp:
            return False
        try:
            changed = _digest(self._secret.read()) != self._digest
        except ConfigError:
            return False
        self._stamp = stamp
        return changed


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
