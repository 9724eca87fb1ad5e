from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from mdnwatch.notices import MAX_GROUPS, MAX_LINES, REST, Notices, Quiet

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
OFFER = "<offer@mail.example>"


def event(
    what: str = "displayed", who: str = "bob@there.example", message_id: str = OFFER, subject: str = "Offer"
) -> dict[str, Any]:
    data = {"message": {"message_id": message_id, "subject": subject}, "recipient": {"address": who, "summary": what}}
    return {"type": f"recipient.{what}", "data": data}


def notices(per_minute: int = 6, quiet: Quiet | None = None, *events: dict[str, Any]) -> Notices:
    made = Notices(per_minute, quiet)
    for one in events:
        made.add(one)
    return made


def test_events_of_one_message_are_one_notification_with_the_latest_first() -> None:
    made = notices(6, None, event("delivered"), event("failed", "carol@there.example"), event("displayed"))
    (notice,) = made.due(NOON)
    assert (notice.key, notice.title) == (OFFER, "Offer")
    assert notice.lines == ("bob@there.example: displayed", "carol@there.example: failed")


def test_what_comes_later_takes_the_place_of_what_was_shown() -> None:
    made = notices(6, None, event("delivered"))
    (first,) = made.due(NOON)
    made.add(event("displayed"))
    (second,) = made.due(NOON)
    assert (first.key, second.lines) == (second.key, ("bob@there.example: displayed",))


def test_after_a_person_has_dismissed_it_only_what_is_new_is_shown() -> None:
    made = notices(6, None, event("failed", "carol@there.example"))
    made.due(NOON)
    made.forget(OFFER)
    made.add(event("displayed"))
    (notice,) = made.due(NOON)
    assert (notice.lines, notice.stays) == (("bob@there.example: displayed",), False)


@pytest.mark.parametrize(
    ("what", "stays"), [("failed", True), ("complained", True), ("displayed", False), ("delayed", False)]
)
def test_a_failure_stays_until_it_is_dismissed(what: str, stays: bool) -> None:  # noqa: FBT001 - a column of the table
    (notice,) = notices(6, None, event(what)).due(NOON)
    assert notice.stays is stays


def test_of_many_recipients_the_latest_are_named_and_the_others_counted() -> None:
    events = [event(who=f"r{number}@there.example") for number in range(MAX_LINES + 3)]
    (notice,) = notices(6, None, *events).due(NOON)
    assert notice.lines[0] == f"r{MAX_LINES + 2}@there.example: displayed"
    assert notice.lines[-1] == "… and 3 more"
    assert len(notice.lines) == MAX_LINES + 1


def test_an_account_that_is_back_takes_the_place_of_the_one_that_was_away() -> None:
    down, up = ({"type": f"source.{what}", "data": {"source": "sales", "reason": "refused"}} for what in ("down", "up"))
    made = notices(6, None, down)
    (first,) = made.due(NOON)
    made.add(up)
    (second,) = made.due(NOON)
    assert (first.stays, first.lines) == (True, ("sales: down (refused)",))
    assert (second.key, second.stays, second.lines[0]) == (first.key, False, "sales: up (refused)")


def test_at_most_so_many_a_minute_and_the_rest_in_one_line_each_kind() -> None:
    events = [event(message_id=f"<{number}@mail.example>") for number in range(9)]
    made = notices(3, None, *events, event("failed", message_id="<bad@mail.example>"))
    shown = made.due(NOON)
    assert [notice.key for notice in shown] == ["<0@mail.example>", "<1@mail.example>", REST]
    assert (shown[2].title, shown[2].lines) == ("8 more messages", ("7 displayed", "1 failed"))
    assert shown[2].stays
    made.add(event(message_id="<later@mail.example>"))
    assert made.due(NOON + timedelta(seconds=59)) == []
    assert made.seconds_until_due(NOON + timedelta(seconds=59)) == pytest.approx(1)
    assert [notice.key for notice in made.due(NOON + timedelta(seconds=60))] == ["<later@mail.example>"]


def test_nothing_is_shown_in_quiet_hours_and_everything_after_them() -> None:
    made = notices(6, Quiet(time(22), time(7)), event())
    assert made.due(NOON.replace(hour=23)) == []
    assert made.due(NOON.replace(hour=3)) == []
    assert [notice.key for notice in made.due(NOON.replace(hour=7))] == [OFFER]


@pytest.mark.parametrize(("begin", "end", "quiet"), [(12, 14, [12, 13]), (22, 1, [22, 23, 0]), (8, 8, [])])
def test_quiet_hours_may_reach_over_midnight(begin: int, end: int, quiet: list[int]) -> None:
    hours = Quiet(time(begin), time(end))
    assert sorted(hour for hour in range(24) if hours.holds(time(hour))) == sorted(quiet)


def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    made = notices(1, None, event())
    made.due(NOON)
    made.add(event("delivered", "carol@there.example"))
    assert len(made.due(NOON - timedelta(days=1))) == 1


def test_a_year_of_messages_is_not_kept() -> None:
    made = notices(10_000)
    for number in range(3 * MAX_GROUPS):
        made.add(event(message_id=f"<{number}@mail.example>"))
        made.due(NOON)
    assert len(made._groups) <= MAX_GROUPS
