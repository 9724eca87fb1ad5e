"""What holds of webhooks however often the daemon has died meanwhile."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable

from servers.background import Told

# (Message-ID, recipient, type of event)
Fact = tuple[str, str, str]

# Attempts of one sink that are on their way at once, by default: so many can be in doubt after a death.
AT_ONCE = 16


def check_deliveries(told: Iterable[Told], facts: Collection[Fact], deaths: int) -> dict[str, Fact]:
    """Every fact was told under one id with one body, and again only after a death; the facts by their id."""
    told = list(told)
    assert all(one.verified for one in told)
    events = {one.id: one.fact for one in told}
    assert Counter(events.values()) == Counter(facts)
    bodies = Counter(identifier for identifier, _ in {(one.id, one.body) for one in told})
    assert set(bodies.values()) == {1}, "one id, one body"
    assert max(Counter(one.id for one in told).values()) <= 1 + deaths
    assert len(told) <= len(events) + AT_ONCE * deaths
    sequences = defaultdict(list)
    for one in told:
        sequences[one.message_id, one.recipient].append(one.event["data"]["sequence"])
    assert all(numbers == sorted(numbers) for numbers in sequences.values()), "order is kept per recipient"
    return events
