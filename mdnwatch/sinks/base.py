"""What every sink is configured with, is given, and answers."""

from __future__ import annotations

from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Protocol

from pydantic import Field, field_validator

from mdnwatch.model.event_type import EventType
from mdnwatch.model.notification import Outcome, Outgoing
from mdnwatch.problems import did_you_mean, quoted
from mdnwatch.settings import Duration, Settings

_POSITIVE = timedelta(0)

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

    def wants(self, event_type: str) -> bool:
        """Whether events of this type go to the sink."""
        return any(fnmatchcase(event_type, pattern) for pattern in self.events)


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
