"""One transaction's work, and the rules of the configuration that it obeys."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mdnwatch.config import Config
from mdnwatch.model.address import without_sub_address
from mdnwatch.model.authenticity import Grade, Graded
from mdnwatch.model.event import Event
from mdnwatch.sources.trust_settings import TrustSettings
from mdnwatch.store.later import Later, Writes


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration decides here. `replaces_message_id` names the accounts whose provider does so."""

    min_grade: Grade = Grade.DOUBTFUL
    # Of the accounts that ask for another one.
    min_grades: Mapping[str, Grade] = field(default_factory=dict)
    announce_backfill: bool = False
    replaces_message_id: frozenset[str] = frozenset()
    # Of each account its own addresses, as `without_sub_address` writes them.
    own_addresses: Mapping[str, frozenset[str]] = field(default_factory=dict)
    own_mtas: tuple[str, ...] = ()

    def accepts(self, graded: Graded, account: str) -> bool:
        """Whether evidence of this grade changes states of an account's mail; contradicted evidence never does."""
        wanted = self.min_grades.get(account, self.min_grade)
        return graded.grade is not Grade.CONTRADICTED and graded.grade.at_least(wanted)


def rules_of(config: Config) -> Rules:
    """What a configuration decides here."""
    replacing = [account.name for account in config.accounts if getattr(account, "replaces_message_id", False)]
    asking = [account for account in config.accounts if isinstance(account, TrustSettings)]
    return Rules(
        config.min_grade,
        min_grades={account.name: account.min_grade for account in asking if account.min_grade is not None},
        announce_backfill=config.announce_backfill,
        replaces_message_id=frozenset(replacing),
        own_addresses={one.name: frozenset(map(without_sub_address, one.addresses)) for one in config.accounts},
        own_mtas=config.own_mtas,
    )


@dataclass(slots=True)
class Unit:
    """One transaction's work: the database, the rules, the time, and what has come of it so far."""

    db: sqlite3.Connection
    rules: Rules
    now: datetime  # aware UTC
    enqueue: Callable[[sqlite3.Connection, Event, datetime], None]
    events: list[Event] = field(default_factory=list)
    placed: list[tuple[str, str]] = field(default_factory=list)  # rung and grade of evidence that was matched
    # Message and address of recipients that evidence has left, or whose evidence was graded anew.
    stale: set[tuple[int, str]] = field(default_factory=set)
    # Takes what can be written later, and told later, by whoever sets it: see `pipeline.record`.
    later: Later | None = None

    @property
    def writes(self) -> Writes:
        """Where rows of a new report go."""
        return self.db if self.later is None else self.later

    def write_later(self) -> None:
        """Before anything is read that may be written later."""
        if self.later is not None:
            self.later.write(self.db)
