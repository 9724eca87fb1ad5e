from __future__ import annotations

import os
import pty
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mdnwatch import status_lines

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def ago(**age: float) -> str:
    return (NOW - timedelta(**age)).isoformat().replace("+00:00", "Z")


def account(**facts: Any) -> dict[str, Any]:  # noqa: ANN401 - any facts
    return {"name": "sales", "state": "up", "cause": "", "since": ago(days=3), "last_answer": ago(seconds=12), **facts}


def folder(**facts: Any) -> dict[str, Any]:  # noqa: ANN401 - any facts
    return {"name": "INBOX", "note": "", "last_agreement": ago(minutes=2), "backfill": None, **facts}


def sink(**facts: Any) -> dict[str, Any]:  # noqa: ANN401 - any facts
    return {"name": "crm", "state": "up", "waiting": 0, "oldest": None, "down_since": None, "reason": "", **facts}


def told(*accounts: dict[str, Any], sinks: tuple[dict[str, Any], ...] = (), **facts: Any) -> list[str]:  # noqa: ANN401 - any facts
    whole = {"accounts": accounts, "sinks": sinks, "sent_messages": 0, "reports": {}, "last_events": [], **facts}
    return ["".join(text for text, _ in line) for line in status_lines.lines(whole, NOW)]


def test_an_account_tells_its_last_proof_of_life_and_that_of_each_folder() -> None:
    assert told(account(folders=[folder(), folder(name="Sent", last_agreement=None)]))[:3] == [
        "● account sales: up for 3 days; last answer 12 s ago",
        "    INBOX: everything handled, as the server said 2 min ago",
        "    Sent: not yet looked at",
    ]


def test_an_account_that_is_down_tells_since_when_and_why() -> None:
    down = account(state="down", cause="the password was refused", since=ago(minutes=4), last_answer=ago(hours=5))
    assert told(down)[0] == "● account sales: down for 4 minutes: the password was refused; last answer 5 h ago"


def test_a_sink_tells_its_backlog_and_how_old_the_oldest_of_it_is() -> None:
    probe = (NOW + timedelta(minutes=3)).isoformat()
    waits = sink(
        state="down",
        waiting=1312,
        oldest=ago(hours=2),
        down_since=ago(hours=3),
        next_probe_at=probe,
        reason="503 Service Unavailable",
    )
    words = (
        "down for 3 hours, 1,312 waiting, the oldest for 2 hours, tried again in 3 minutes (503 Service Unavailable)"
    )
    assert told(sinks=(waits, sink(name="log")))[:2] == [f"● sink crm: {words}", "● sink log: up, nothing waits"]


def test_a_refused_configuration_comes_first() -> None:
    (first, *_) = told(account(), reload_problems=["accounts: is missing"])
    assert first == "the changed configuration was refused, the old one goes on: accounts: is missing"


@pytest.mark.parametrize(
    ("left", "seconds", "line"),
    [
        (100, None, "older mail ░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░ 0 of 100 messages"),
        (50, 200.0, "older mail ███████████████░░░░░░░░░░░░░░░ 50 of 100 messages, about 3 minutes more"),
        (1, 0.2, "older mail █████████████████████████████░ 99 of 100 messages, about 1 second more"),
    ],
)
def test_backfill_is_a_bar_with_an_estimate_from_the_rate_so_far(left: int, seconds: float | None, line: str) -> None:
    backfill = {"left": left, "total": 100, "seconds_left": seconds}
    assert told(account(folders=[folder(backfill=backfill)]))[2].strip() == line


def test_on_a_terminal_states_are_coloured_and_foreign_text_is_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    facts = {"accounts": [account(cause="[red]evil")], "sinks": [], "sent_messages": 0, "reports": {}}
    seen = written(facts)
    assert "\x1b[32mup" in seen
    assert "[red]evil" in seen
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b[32m" not in written(facts)


def written(facts: dict[str, Any]) -> str:
    """What appears on a terminal."""
    master, slave = pty.openpty()
    with os.fdopen(master, "rb", buffering=0) as screen, os.fdopen(slave, "w", encoding="utf-8") as out:
        status_lines.show(facts, NOW, out)
        out.flush()
        return screen.read(65536).decode()
