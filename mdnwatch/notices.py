"""What the desktop is told: events grouped by message, at most so many a minute, and none in quiet hours."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any

from mdnwatch.event_words import Words, words_of

# Recipients that stand in one notification; of the others it says how many there are.
MAX_LINES = 5

# Messages of which notifications are kept together; a later event of an older one begins anew.
MAX_GROUPS = 200

MINUTE = timedelta(minutes=1)

# What a person has to see, whenever they come back: these stay until they are dismissed.
_STAYS = frozenset({"failed", "complained", "down"})

# The key of the notification in which the others are summed up.
REST = "rest"


@dataclass(frozen=True, slots=True)
class Notice:
    """One notification. The texts are plain. `key` is the same for what takes the place of an earlier one.

    `stays`: until a person dismisses it.
    """

    key: str
    title: str
    lines: tuple[str, ...]
    stays: bool
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of the day in which nothing is shown, in local time; they may reach over midnight."""

    begin: time
    end: time

    def holds(self, now: time) -> bool:
        """Whether a time of day is among them."""
        if self.begin <= self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end


@dataclass(slots=True)
class _Group:
    """The events of one message, or of one account or sink: the latest word about each recipient."""

    title: str
    message_id: str | None
    words: dict[str, Words] = field(default_factory=dict)

    def notice(self, key: str) -> Notice:
        lines = [_line(words) for words in reversed(self.words.values())]
        if len(lines) > MAX_LINES:
            lines[MAX_LINES:] = [f"… and {len(lines) - MAX_LINES} more"]
        stays = any(words.what in _STAYS for words in self.words.values())
        return Notice(key, self.title, tuple(lines), stays, self.message_id)


def _line(words: Words) -> str:
    return f"{words.who}: {words.what}" + (f" ({words.why})" if words.why else "")


class Notices:
    """What waits to be shown, and what was shown of the same messages before."""

    def __init__(self, per_minute: int, quiet: Quiet | None = None) -> None:
        self._per_minute = per_minute
        self._quiet = quiet
        self._groups: dict[str, _Group] = {}
        self._pending: dict[str, None] = {}  # in the order in which they came
        self._shown: deque[datetime] = deque()

    def add(self, event: Mapping[str, Any]) -> None:
        """Something was told."""
        words, data = words_of(event), event["data"]
        message_id = data.get("message", {}).get("message_id")
        key = message_id or f"{str(event['type']).partition('.')[0]} {words.who}"
        title = words.subject or message_id or "mdnwatch"
        group = self._groups.pop(key, None) or _Group(title, message_id)
        # Put in anew, so that the latest stands last.
        group.words.pop(words.who, None)
        group.words[words.who] = words
        self._groups[key] = group
        self._pending[key] = None
        while len(self._groups) > MAX_GROUPS:
            oldest = next(iter(self._groups))
            if oldest in self._pending:
                break
            del self._groups[oldest]

    def forget(self, key: str) -> None:
        """A person has dismissed it: what comes now is another one."""
        if key not in self._pending:
            self._groups.pop(key, None)

    def due(self, now: datetime) -> list[Notice]:
        """What is to be shown now (aware, local time), and counts as shown."""
        if not self._pending or (self._quiet is not None and self._quiet.holds(now.time())):
            return []
        while self._shown and (now - self._shown[0] >= MINUTE or now < self._shown[0]):
            self._shown.popleft()
        free = self._per_minute - len(self._shown)
        if free < 1:
            return []
        keys = list(self._pending)
        alone = keys if len(keys) <= free else keys[: free - 1]
        due = [self._groups[key].notice(key) for key in alone]
        if rest := keys[len(alone) :]:
            due.append(self._sum(rest))
        self._pending.clear()
        self._shown.extend(now for _ in due)
        return due

    def seconds_until_due(self, now: datetime) -> float | None:
        """When to ask again; None when nothing waits."""
        if not self._pending:
            return None
        if self._quiet is not None and self._quiet.holds(now.time()):
            return MINUTE.total_seconds()
        return max((MINUTE - (now - self._shown[0])).total_seconds(), 0.1) if self._shown else 0.0

    def _sum(self, keys: Iterable[str]) -> Notice:
        groups = [self._groups[key] for key in keys]
        counts = Counter(words.what for group in groups for words in group.words.values())
        lines = tuple(f"{count} {what}" for what, count in counts.most_common())
        stays = any(what in _STAYS for what in counts)
        return Notice(REST, f"{len(groups)} more messages", lines, stays)
