from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mdnwatch.errors import Cause
from mdnwatch.model.outage import STEADY, WAY_OUT, Outage, Trouble, failed, is_due, is_over, next_look

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
GRACE = timedelta(seconds=60)
LOST = Trouble(Cause.CONNECTION_LOST, "the connection was lost")
REFUSED = Trouble(Cause.PASSWORD_REFUSED, "the server refused the password", lasting=True)


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("trouble", "seconds", "due"),
    [(LOST, 0, False), (LOST, 59, False), (LOST, 60, True), (REFUSED, 0, True)],
)
def test_an_outage_is_told_after_the_grace_or_at_once_if_it_cannot_end_by_itself(
    trouble: Trouble, seconds: float, *, due: bool
) -> None:
    outage = failed(None, "sales", trouble, NOON)
    assert is_due(outage, GRACE, after(seconds)) is due


def test_an_outage_keeps_its_beginning_and_takes_the_latest_reason() -> None:
    outage = failed(failed(None, "sales", LOST, NOON), "sales", REFUSED, after(5))
    assert (outage.since, outage.trouble) == (NOON, REFUSED)


def test_a_server_that_lets_in_and_drops_again_and_again_is_one_outage() -> None:
    outage = failed(None, "sales", LOST, NOON)
    for second in range(2, 60, 2):
        back = Outage("sales", outage.since, outage.trouble, back_since=after(second))
        assert not is_over(back, GRACE, after(second + 1))
        outage = failed(back, "sales", LOST, after(second + 1))
    assert is_due(outage, GRACE, after(60))


def test_an_account_is_back_when_it_was_read_for_a_while() -> None:
    back = Outage("sales", NOON, LOST, announced=True, back_since=after(100))
    assert not is_over(back, GRACE, after(101))
    assert is_over(back, GRACE, after(100) + STEADY)


def test_while_an_account_is_back_nothing_is_told_of_its_outage() -> None:
    assert not is_due(Outage("sales", NOON, LOST, back_since=after(59)), GRACE, after(61))


@pytest.mark.parametrize(
    ("outage", "look"),
    [
        (Outage("sales", NOON, LOST), after(60)),
        (Outage("sales", NOON, REFUSED), NOON),
        (Outage("sales", NOON, LOST, announced=True), None),
        (Outage("sales", NOON, LOST, announced=True, back_since=after(90)), after(90) + STEADY),
    ],
)
def test_the_next_look_is_when_something_may_have_to_be_told(outage: Outage, look: datetime | None) -> None:
    assert next_look(outage, GRACE) == look


def test_every_cause_about_which_a_person_can_do_something_says_what() -> None:
    passing = {Cause.CONNECTION_LOST, Cause.UNAVAILABLE, Cause.OTHER}
    assert set(WAY_OUT) == set(Cause) - passing
