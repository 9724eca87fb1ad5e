"""What `mdnwatch explain` asks, and whom: the running daemon over its socket, else the database."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from mdnwatch import explain, explain_file, local_api
from mdnwatch.config import Config
from mdnwatch.errors import MdnwatchError
from mdnwatch.model.address import without_sub_address

STANDARD_INPUT = "-"

# No mail server takes a larger message; whoever shows one shows something else.
MAX_FILE_BYTES = 256 * 1024 * 1024


def facts(what: str, config: Config, now: datetime) -> dict[str, Any]:
    """The facts about a Message-ID, an address, a report_id or a mail in a file. Raises MdnwatchError."""
    if not _is_file(what):
        return _asked({"command": "explain", "query": what}, config, now)
    own = {without_sub_address(address) for account in config.accounts for address in account.addresses}
    mail = explain_file.read(_content(what), own, now)
    return {**_asked(mail.question, config, now), "file": what, "read": mail.facts, "now": explain.time_text(now)}


def whole(message_id: str, config: Config, now: datetime) -> dict[str, Any]:
    """All that is known of a message, for a case file. Raises MdnwatchError."""
    return _asked({"command": "explain", "query": message_id, "whole": True}, config, now)


def _is_file(what: str) -> bool:
    """Whether a file is meant: what has angle brackets is a Message-ID, whatever the directory holds."""
    if what == STANDARD_INPUT:
        return True
    if what.startswith("<"):
        return False
    try:
        found = Path(what).exists()
    except OSError:
        # Too long for a name.
        return False
    if not found and "@" not in what and ("/" in what or what.endswith(".eml")):
        raise MdnwatchError(f"{what}: there is no such file")
    return found


def _content(name: str) -> bytes:
    try:
        if name == STANDARD_INPUT:
            return sys.stdin.buffer.read(MAX_FILE_BYTES)
        with Path(name).open("rb") as file:
            return file.read(MAX_FILE_BYTES)
    except OSError as error:
        raise MdnwatchError(f"{name}: {error.strerror}") from None


def _asked(question: dict[str, Any], config: Config, now: datetime) -> dict[str, Any]:
    found = local_api.ask(config.socket, question)
    return explain.stored(question, explain.Asker(config, now)) if found is None else found
