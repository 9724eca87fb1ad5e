"""What the end-to-end tests share: a home for the daemon, a webhook receiver, a mail server, an MTA in front of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.background import BackgroundReceiver, receiving
from servers.dovecot import Dovecot, dovecot


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory with a short name, since the path of a socket has at most 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="mdnwatch-") as directory:
        yield Path(directory)


@pytest.fixture
def receiver() -> Iterator[BackgroundReceiver]:
    """A webhook receiver that takes everything."""
    with receiving() as background:
        yield background


@pytest.fixture
def mailbox() -> Iterator[Dovecot]:
    """A mail server with alice's mailbox."""
    with dovecot() as server:
        yield server
