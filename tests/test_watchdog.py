from __future__ import annotations

from mdnwatch.watchdog import Watchdog


def test_a_task_that_does_not_beat_is_late_until_it_beats_again() -> None:
    at = [100.0]
    watchdog = Watchdog(clock=lambda: at[0])
    outbox, source = watchdog.deadline("outbox"), watchdog.deadline("account sales")
    at[0] += Watchdog.DEADLINE
    outbox()
    assert watchdog.late() == []
    at[0] += 1
    assert watchdog.late() == ["account sales"]
    source()
    assert watchdog.late() == []
