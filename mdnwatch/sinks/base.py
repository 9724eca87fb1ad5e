"""What every sink is configured with, is given, and answers."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Literal, Protocol

from pydantic import Field, field_validator

from mdnwatch.model.address import canonical_domain
from mdnwatch.model.authenticity import Grade
from mdnwatch.model.event_facts import EventFacts
from mdnwatch.model.event_type import EventType
from mdnwatch.model.notification import Outcome, Outgoing
from mdnwatch.problems import did_you_mean, quoted
from mdnwatch.settings import Duration, Settings

_POSITIVE = timedelta(0)

# Labels of letters, digits and hyphens, as A-labels (RFC 5890 §2.3.1); in front perhaps "*." for what lies below.
_DOMAIN = re.compile(r"(?:\*\.)?(?!-)[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_BELOW = "*."

# Slots of one sink, each holding one event in memory: enough to hide a receiver's latency, few enough to be
# no attack on it.
DEFAULT_CONCURRENCY = 16
MAX_CONCURRENCY = 256


class SinkSettings(Settings):
    """What every `[[sinks]]` table has, whatever its kind."""

    name: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
            description="Name of the sink, in the log and in `status`; what waits for it is kept under this name.",
            examples=["crm"],
        ),
    ]
    kind: str
    events: Annotated[
        tuple[str, ...],
        Field(min_length=1, description='Which events it gets: types, or patterns such as "recipient.*".'),
    ] = ("*",)
    accounts: Annotated[
        tuple[str, ...],
        Field(description="Only events of these accounts; an event about no account, as sink.down, comes anyway."),
    ] = ()
    min_grade: Annotated[
        Literal[Grade.AUTHENTICATED, Grade.CONSISTENT, Grade.DOUBTFUL],
        Field(description="Only events whose evidence is trusted so far; events without evidence come anyway."),
    ] = Grade.DOUBTFUL
    references: Annotated[
        tuple[str, ...],
        Field(description='Only events of messages with such a reference: patterns, as "deal-*".'),
    ] = ()
    domains: Annotated[
        tuple[str, ...],
        Field(description='Only events of recipients in these domains; "*.example.org" means those below it.'),
    ] = ()
    timeout: Annotated[Duration, Field(gt=_POSITIVE, description="Time for one attempt, from name to answer.")] = (
        timedelta(seconds=20)
    )
    concurrency: Annotated[
        int, Field(ge=1, le=MAX_CONCURRENCY, description="Events on their way at once, each of another recipient.")
    ] = DEFAULT_CONCURRENCY
    give_up_after: Annotated[
        Duration, Field(gt=_POSITIVE, description="An event that is refused for so long makes room for the next one.")
    ] = timedelta(days=7)

    @field_validator("events")
    @classmethod
    def _known_events(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            if not any(fnmatchcase(event_type, pattern) for event_type in EventType):
                raise ValueError(f"{quoted(pattern)} matches no event{did_you_mean(pattern, _known_words())}")
        return patterns

    @field_validator("references")
    @classmethod
    def _no_empty_pattern(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        if "" in patterns:
            raise ValueError('an empty reference matches none: write a pattern, as "deal-*"')
        return patterns

    @field_validator("domains")
    @classmethod
    def _usable_domains(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        found = tuple(_canonical(domain) for domain in domains)
        for written, domain in zip(domains, found, strict=True):
            if _DOMAIN.fullmatch(domain) is None:
                raise ValueError(f'{quoted(written)} is no domain: write "example.org" or "*.example.org"')
        return found

    def wants(self, event: EventFacts) -> bool:
        """Whether an event goes to the sink. A choice says nothing of events that have nothing of the kind."""
        return (
            any(fnmatchcase(event.type, pattern) for pattern in self.events)
            and (not self.accounts or event.account is None or event.account in self.accounts)
            and (not self.references or not event.is_of_message or self._wants_reference(event.reference))
            and (not self.domains or event.domain is None or self._wants_domain(event.domain))
            and (self.min_grade is Grade.DOUBTFUL or event.grade is None or event.grade.at_least(self.min_grade))
        )

    def _wants_reference(self, reference: str | None) -> bool:
        return reference is not None and any(fnmatchcase(reference, pattern) for pattern in self.references)

    def _wants_domain(self, domain: str) -> bool:
        return any(
            domain.endswith(wanted.removeprefix("*")) if wanted.startswith(_BELOW) else domain == wanted
            for wanted in self.domains
        )

    def holds_until(self, now: datetime) -> datetime | None:  # noqa: ARG002 - for those that hold
        """Until when an event that comes now is held back, to go out with others; None: it goes at once."""
        return None


def _canonical(domain: str) -> str:
    below = _BELOW if domain.startswith(_BELOW) else ""
    return below + canonical_domain(domain.removeprefix(below))


def _known_words() -> list[str]:
    types = [event_type.value for event_type in EventType]
    return sorted({*types, *(word.split(".")[0] + ".*" for word in types), "*"})


class Sink(Protocol):
    """Where events go. It tries once and says what came of it; it never sleeps, and never tries again."""

    @property
    def settings(self) -> SinkSettings:
        """What it was configured with."""
        ...

    @property
    def identity(self) -> str:
        """A hash of where and how it sends: when it changes, what failed before is worth trying at once."""
        ...

    async def send(self, notification: Outgoing) -> Outcome:
        """Make one attempt, within `settings.timeout`. Only a defect of the program makes it raise."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...
