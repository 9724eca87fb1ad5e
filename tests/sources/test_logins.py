from __future__ import annotations

import asyncio
import itertools

import pytest

from mdnwatch.errors import Cause, SourceError
from mdnwatch.sources.logins import Logins


async def waits(logins: Logins, *hosts: str) -> list[float]:
    """How long each would have to wait that comes for a turn at this moment."""
    found: list[float] = []

    async def wait(seconds: float) -> None:
        found.append(seconds)

    for host in hosts:
        before = len(found)
        await logins.turn(host, wait)
        if len(found) == before:
            found.append(0.0)
    return found


@pytest.mark.asyncio
async def test_a_crowd_at_a_host_gets_its_turns_one_after_the_other() -> None:
    seconds = await waits(Logins(per_second=10, per_host=100), *["mail.example"] * 50)
    assert seconds[0] == 0
    assert all(0.09 < later - earlier < 0.11 for earlier, later in itertools.pairwise(seconds[1:]))


@pytest.mark.asyncio
async def test_a_crowd_at_one_host_does_not_hold_up_another() -> None:
    seconds = await waits(Logins(per_second=1, per_host=100), *["mail.example"] * 9, "other.example")
    assert seconds[-1] == 0


@pytest.mark.asyncio
async def test_a_changed_rate_holds_for_those_who_come_later() -> None:
    logins = Logins(per_second=1, per_host=100)
    await waits(logins, "mail.example")
    logins.per_second = 1000
    first, second = await waits(logins, "mail.example", "mail.example")
    assert second - first < 0.01


@pytest.mark.asyncio
async def test_places_are_bounded_and_given_back() -> None:
    logins = Logins(per_second=10, per_host=2)
    with logins.place("mail.example"):
        with logins.place("mail.example"), logins.place("other.example"):
            with pytest.raises(SourceError, match="connections_per_host") as caught:
                logins.place("mail.example").__enter__()
            assert caught.value.cause is Cause.TOO_MANY_CONNECTIONS
            await asyncio.sleep(0)
        with logins.place("mail.example"):
            pass
