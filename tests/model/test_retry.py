"""When what is tried again: the endpoint's back-off and the event's schedule, as tables and decisions."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from mdnwatch.model.notification import NotificationState, Outcome, Verdict
from mdnwatch.model.retry import (
    EVENT_DELAYS,
    LONGEST_DELAY,
    PROBE_DELAYS,
    Attempt,
    Endpoint,
    Moment,
    Step,
    asked_delay,
    endpoint_after,
    event_delay,
    probe_delay,
    renewed,
    step_after,
)

NOW = 1_800_000_000_000
SECOND, MINUTE, HOUR, DAY = 1000, 60_000, 3_600_000, 86_400_000
WEEK = 7 * DAY
UP = Endpoint("crm", "identity")
DELIVERED = Outcome(Verdict.DELIVERED, "HTTP 200 OK", 200)
REJECTED = Outcome(Verdict.REJECTED, "HTTP 500 Internal Server Error", 500)
UNAVAILABLE = Outcome(Verdict.UNAVAILABLE, "Connection refused")
GONE = Outcome(Verdict.GONE, "HTTP 410 Gone", 410)


def moment(now: int = NOW) -> Moment:
    return Moment(now, Random(1))  # noqa: S311 - the same in every run


def attempt(
    *, number: int = 1, rejections: int = 0, waited: int = 0, previous_at: int | None = None, epoch: int = 0
) -> Attempt:
    return Attempt(
        id=1,
        sink="crm",
        order_key="k",
        event_id="evt_1",
        event_type="recipient.failed",
        body="{}",
        number=number,
        rejections=rejections,
        waited=waited,
        previous_at=previous_at,
        was_due_at=NOW,
        due_at=NOW + 5 * SECOND,
        epoch=epoch,
    )


def after(endpoint: Endpoint, *outcomes: Outcome, now: int = NOW) -> Endpoint:
    """The endpoint after attempts that each began after the one before had ended."""
    for outcome in outcomes:
        endpoint = endpoint_after(endpoint, attempt(epoch=endpoint.epoch), outcome, moment(now))
    return endpoint


def step(of: Attempt, outcome: Outcome | None, endpoint: Endpoint = UP, give_up_after: int = WEEK) -> Step:
    return step_after(of, outcome, endpoint, give_up_after, moment())


def test_the_schedule_of_an_event_is_that_of_the_design() -> None:
    assert [delay // SECOND for delay in EVENT_DELAYS] == [
        5,
        5 * 60,
        30 * 60,
        2 * 3600,
        5 * 3600,
        10 * 3600,
        14 * 3600,
        20 * 3600,
        24 * 3600,
    ]
    for seed in range(50):
        for rejections in range(1, 20):
            delay = event_delay(rejections, Random(seed))  # noqa: S311 - the same in every run
            planned = EVENT_DELAYS[min(rejections, 9) - 1]
            assert 0.9 * planned <= delay <= 1.1 * planned
            assert delay <= LONGEST_DELAY
    assert len({event_delay(3, Random(seed)) for seed in range(50)}) > 40  # noqa: S311 - the same in every run


def test_probes_begin_quickly_and_are_at_most_15_minutes_apart() -> None:
    assert PROBE_DELAYS[0] <= SECOND
    assert list(PROBE_DELAYS) == sorted(PROBE_DELAYS)
    for seed in range(50):
        for failures in (1, 5, 11, 1000):
            assert 0 < probe_delay(failures, Random(seed)) <= 15 * MINUTE  # noqa: S311 - the same in every run


def test_an_outage_of_two_minutes_is_probed_at_least_every_minute() -> None:
    probes = [sum(PROBE_DELAYS[:count]) for count in range(1, len(PROBE_DELAYS))]
    assert sum(at <= 2 * MINUTE for at in probes) >= 6


def test_retry_after_is_capped_at_a_day_and_never_a_loop() -> None:
    assert asked_delay(90) == 90 * SECOND
    assert asked_delay(10.0**12) == DAY
    assert asked_delay(0) == SECOND


def test_a_failure_of_the_endpoint_takes_it_down_and_the_second_one_is_announced() -> None:
    once = after(UP, UNAVAILABLE)
    assert (once.down_since, once.failures, once.announced) == (NOW, 1, False)
    assert once.next_probe_at is not None
    assert NOW < once.next_probe_at <= NOW + SECOND
    twice = after(once, UNAVAILABLE, now=NOW + SECOND)
    assert (twice.down_since, twice.failures, twice.announced) == (NOW, 2, True)
    assert twice.reason == "Connection refused"


def test_attempts_that_fail_together_are_one_failure() -> None:
    down = after(UP, UNAVAILABLE)
    assert endpoint_after(down, attempt(epoch=UP.epoch), UNAVAILABLE, moment()) == down


def test_the_first_success_of_a_probe_ends_the_outage() -> None:
    back = after(after(UP, UNAVAILABLE, UNAVAILABLE, UNAVAILABLE), DELIVERED)
    assert back == UP
    assert back.epoch == 2


def test_a_success_that_began_before_the_outage_does_not_end_it() -> None:
    down = after(UP, replace(UNAVAILABLE, retry_after=60))
    assert endpoint_after(down, attempt(epoch=UP.epoch), DELIVERED, moment()) == down


def test_a_failure_that_began_before_the_recovery_is_old_news() -> None:
    back = after(UP, UNAVAILABLE, DELIVERED)
    assert endpoint_after(back, attempt(epoch=0), UNAVAILABLE, moment()) == back


def test_retry_after_wins_over_the_back_off_however_old_the_attempt() -> None:
    asked = replace(UNAVAILABLE, retry_after=3600)
    assert after(UP, asked).next_probe_at == NOW + HOUR
    down = after(UP, UNAVAILABLE)
    assert endpoint_after(down, attempt(epoch=0), asked, moment()).next_probe_at == NOW + HOUR
    back = after(UP, UNAVAILABLE, DELIVERED)
    assert endpoint_after(back, attempt(epoch=0), asked, moment()).next_probe_at == NOW + HOUR
    # A shorter wish of another attempt does not undo it.
    waiting = after(UP, asked)
    assert endpoint_after(waiting, attempt(epoch=0), replace(asked, retry_after=5), moment()) == waiting


def test_a_probe_that_is_rejected_does_not_lengthen_the_back_off() -> None:
    down = after(UP, UNAVAILABLE, UNAVAILABLE, UNAVAILABLE, UNAVAILABLE)
    answered = after(down, REJECTED)
    assert answered.failures == down.failures
    assert answered.next_probe_at == NOW + PROBE_DELAYS[0]
    assert answered.down_since == NOW


def test_a_rejection_says_nothing_against_an_endpoint_that_is_up() -> None:
    assert after(UP, REJECTED) == UP


def test_410_disables_until_the_configuration_changes() -> None:
    disabled = after(UP, GONE)
    assert (disabled.disabled_at, disabled.announced, disabled.reason) == (NOW, True, "HTTP 410 Gone")
    assert after(disabled, DELIVERED, UNAVAILABLE) == disabled
    again = renewed(disabled, "other", NOW + DAY)
    assert (again.identity, again.disabled_at, again.next_probe_at) == ("other", None, NOW + DAY)
    assert after(again, DELIVERED) == Endpoint("crm", "other")


def test_an_event_that_is_delivered_is_finished() -> None:
    assert step(attempt(), DELIVERED).state is NotificationState.DELIVERED


def test_a_rejected_event_follows_its_schedule() -> None:
    for rejections, planned in enumerate(EVENT_DELAYS):
        later = step(attempt(rejections=rejections), REJECTED)
        assert later.state is NotificationState.HEAD
        assert later.rejections == rejections + 1
        assert later.due_at - NOW == later.waited == pytest.approx(planned, rel=0.1)
        assert later.not_before == 0
        assert later.last_error == REJECTED.cause


def test_an_event_is_given_up_after_an_attempt_at_the_end_of_its_time() -> None:
    late = step(attempt(rejections=9, waited=WEEK - HOUR), REJECTED)
    assert (late.state, late.due_at, late.waited) == (NotificationState.HEAD, NOW + HOUR, WEEK)
    assert step(attempt(rejections=10, waited=WEEK), REJECTED).state is NotificationState.GIVEN_UP


def test_the_schedule_reaches_a_week_in_some_fifteen_attempts() -> None:
    current, made = attempt(), 0
    while (later := step(current, REJECTED)).state is NotificationState.HEAD:
        made += 1
        current = replace(current, number=made + 1, rejections=later.rejections, waited=later.waited)
    assert 12 <= made <= 16


def test_retry_after_wins_over_the_schedule_of_an_event() -> None:
    later = step(attempt(rejections=7), replace(REJECTED, retry_after=2))
    assert (later.due_at, later.not_before) == (NOW + 2 * SECOND, NOW + 2 * SECOND)
    assert step(attempt(), replace(REJECTED, retry_after=7 * 86400)).due_at == NOW + DAY


def test_an_outage_costs_an_event_nothing_of_its_time() -> None:
    waiting = step(attempt(number=40, rejections=2, waited=WEEK, previous_at=NOW - DAY), UNAVAILABLE)
    assert (waiting.state, waiting.rejections, waiting.waited) == (NotificationState.HEAD, 2, WEEK)
    assert waiting.due_at == NOW


def test_an_event_that_brings_a_working_endpoint_down_again_waits_for_itself() -> None:
    works = replace(UP, delivered_at=NOW - SECOND)
    blamed = step(attempt(number=5, previous_at=NOW - MINUTE), UNAVAILABLE, works)
    assert blamed.not_before == blamed.due_at > NOW + 10 * SECOND
    assert blamed.waited == blamed.due_at - NOW
    unlucky = step(attempt(number=5, previous_at=NOW), UNAVAILABLE, works)
    assert unlucky.not_before == 0
    assert step(attempt(number=99, previous_at=0, waited=WEEK), UNAVAILABLE, works).state is NotificationState.GIVEN_UP


def test_an_attempt_that_was_broken_off_is_due_when_it_said() -> None:
    later = step(attempt(), None)
    assert (later.state, later.due_at, later.rejections) == (NotificationState.HEAD, NOW + 5 * SECOND, 0)


def test_410_leaves_the_event_waiting() -> None:
    assert step(attempt(), GONE).state is NotificationState.HEAD
