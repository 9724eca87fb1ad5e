"""The errors that mdnwatch raises on purpose; each message says what to do."""

from __future__ import annotations


class MdnwatchError(Exception):
    """The base of all; its text is meant for the person at the terminal or in the log."""


class ConfigError(MdnwatchError):
    """The configuration cannot be used; `problems` names every fault with its place and the way out."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class StoreError(MdnwatchError):
    """The database cannot be opened, is newer than this program, or is owned by another process."""


class CommitFailed(StoreError):
    """A group of units of work was rolled back; nothing of it is stored, and nothing may advance in memory."""


class SourceError(MdnwatchError):
    """A source cannot be read for now; the connection is given up and tried again after a back-off."""


class SourceRefused(SourceError):
    """A source cannot be read until a person changes something: a refused password, a folder that is not there."""
