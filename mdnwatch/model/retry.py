"""When a notification is tried again: the back-off of an endpoint, the schedule of an event. Times in ms UTC."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random

from mdnwatch.model.notification import NotificationState, Outcome, Verdict

_SECOND = 1000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE

# After the n-th rejection of an event; the last one repeats. Quick for a deployment that goes wrong for a
# moment, then rare enough for people to mend the receiver (the schedule of Standard Webhooks, with 24 h added).
EVENT_DELAYS = (
    5 * _SECOND,
    5 * _MINUTE,
    30 * _MINUTE,
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)

# After the n-th failure in a row of an endpoint. The first are quick, so that a restarted receiver hardly
# waits; the last one repeats, since DESIGN.md allows at most 15 minutes between two probes.
PROBE_DELAYS = (
    1 * _SECOND,
    2 * _SECOND,
    5 * _SECOND,
    10 * _SECOND,
    20 * _SECOND,
    30 * _SECOND,
    1 * _MINUTE,
    2 * _MINUTE,
    5 * _MINUTE,
    10 * _MINUTE,
    15 * _MINUTE,
)

# An endpoint that asks to be left alone for longer is asked again after a day: it may have miscounted.
LONGEST_ASKED_DELAY = 24 * _HOUR
# "Retry-After: 0" on every answer would make a loop without a pause.
SHORTEST_ASKED_DELAY = 1 * _SECOND

# Schedules are stretched or shrunk by up to a tenth, and probes shrunk by up to a fifth, so that many
# events, or many installations of one receiver, do not come back at the same moment.
_EVENT_JITTER = 0.1
_PROBE_JITTER = 0.2

# No delay of ours is longer; a due time beyond it was written by a clock that was wrong.
LONGEST_DELAY = round(24 * _HOUR * (1 + _EVENT_JITTER))

# Failures in a row after which an outage is told to others: a single dropped connection is no outage.
ANNOUNCED_FAILURES = 2


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The far end of a sink. `identity` changes when the configuration of where and how to send changes.

    Up: `down_since` is None. Down: probes go out one at a time, from `next_probe_at` on. Disabled (410 Gone):
    nothing goes out until the identity changes. `epoch` counts changes between up and down while the process
    runs; an attempt of an older epoch says nothing about the endpoint of now.
    """

    sink: str
    identity: str
    failures: int = 0  # in a row
    down_since: int | None = None
    next_probe_at: int | None = None
    announced: bool = False
    disabled_at: int | None = None
    reason: str = ""
    epoch: int = field(default=0, compare=False)
    delivered_at: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A leased notification. The counters are those from before this attempt, but `number`, which is 1 at first.

    `waited` is the sum of the delays that its own failures have cost. It was due at `was_due_at`, and is again at
    `due_at` if no outcome is ever known.
    """

    id: int
    sink: str
    order_key: str
    event_id: str
    event_type: str
    body: str
    number: int
    rejections: int
    waited: int
    previous_at: int | None
    was_due_at: int
    due_at: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Step:
    """What a notification becomes after an attempt; while `not_before` lies ahead nothing makes it due earlier."""

    state: NotificationState
    due_at: int
    rejections: int
    waited: int
    not_before: int = 0
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """What a decision depends on beside its facts: the time (ms UTC), and chance."""

    now: int
    random: Random


def event_delay(rejections: int, random: Random) -> int:
    """Milliseconds until the next attempt after the n-th rejection (from 1)."""
    delay = EVENT_DELAYS[min(rejections, len(EVENT_DELAYS)) - 1]
    return round(delay * random.uniform(1 - _EVENT_JITTER, 1 + _EVENT_JITTER))


def probe_delay(failures: int, random: Random) -> int:
    """Milliseconds until the next probe after the n-th failure in a row (from 1)."""
    return round(PROBE_DELAYS[min(failures, len(PROBE_DELAYS)) - 1] * random.uniform(1 - _PROBE_JITTER, 1))


def asked_delay(retry_after: float) -> int:
    """Milliseconds to leave the endpoint alone when it asked for so many seconds."""
    return round(min(max(retry_after * _SECOND, SHORTEST_ASKED_DELAY), LONGEST_ASKED_DELAY))


def renewed(endpoint: Endpoint, identity: str, now: int) -> Endpoint:
    """An endpoint whose configuration has changed is asked at once; an outage that was announced is still one."""
    if endpoint.down_since is None:
        return replace(endpoint, identity=identity)
    return replace(endpoint, identity=identity, failures=0, next_probe_at=now, disabled_at=None)


def endpoint_after(endpoint: Endpoint, attempt: Attempt, outcome: Outcome, moment: Moment) -> Endpoint:
    """What an attempt shows about its endpoint."""
    if endpoint.disabled_at is not None:
        return endpoint
    is_current = attempt.epoch == endpoint.epoch
    match outcome.verdict:
        case Verdict.DELIVERED:
            return _delivered(endpoint, moment.now, ends_outage=is_current and endpoint.down_since is not None)
        case Verdict.GONE:
            return _disabled(endpoint, outcome, moment.now)
        case Verdict.UNAVAILABLE:
            return _unavailable(endpoint, outcome, moment, is_current=is_current)
        case Verdict.REJECTED if is_current and endpoint.down_since is not None:
            # It answers, but does not take this event: another one may show that it is back.
            return replace(endpoint, next_probe_at=moment.now + PROBE_DELAYS[0])
    return endpoint


def _delivered(endpoint: Endpoint, now: int, *, ends_outage: bool) -> Endpoint:
    if ends_outage:
        return Endpoint(endpoint.sink, endpoint.identity, epoch=endpoint.epoch + 1, delivered_at=now)
    return endpoint if endpoint.delivered_at == now else replace(endpoint, delivered_at=now)


def _disabled(endpoint: Endpoint, outcome: Outcome, now: int) -> Endpoint:
    return replace(
        endpoint,
        failures=endpoint.failures + 1,
        down_since=now if endpoint.down_since is None else endpoint.down_since,
        next_probe_at=None,
        announced=True,
        disabled_at=now,
        reason=outcome.cause,
        epoch=endpoint.epoch + 1,
    )


def _unavailable(endpoint: Endpoint, outcome: Outcome, moment: Moment, *, is_current: bool) -> Endpoint:
    # Retry-After speaks of the time from now on, however old the attempt is.
    if is_current or (outcome.retry_after is not None and endpoint.down_since is None):
        return _backed_off(endpoint, outcome, moment)
    if outcome.retry_after is None or endpoint.next_probe_at is None:
        return endpoint
    return replace(endpoint, next_probe_at=max(endpoint.next_probe_at, moment.now + asked_delay(outcome.retry_after)))


def _backed_off(endpoint: Endpoint, outcome: Outcome, moment: Moment) -> Endpoint:
    failures = endpoint.failures + 1
    asked = outcome.retry_after
    return replace(
        endpoint,
        failures=failures,
        down_since=moment.now if endpoint.down_since is None else endpoint.down_since,
        next_probe_at=moment.now + (probe_delay(failures, moment.random) if asked is None else asked_delay(asked)),
        announced=endpoint.announced or failures >= ANNOUNCED_FAILURES,
        reason=outcome.cause,
        epoch=endpoint.epoch + 1 if endpoint.down_since is None else endpoint.epoch,
    )


def step_after(
    attempt: Attempt, outcome: Outcome | None, endpoint: Endpoint, give_up_after: int, moment: Moment
) -> Step:
    """What becomes of the notification; `outcome` is None where the attempt was broken off by our own stop.

    `endpoint` is as it was before this attempt was judged; `give_up_after` is in milliseconds.
    """
    if outcome is not None and outcome.verdict is Verdict.DELIVERED:
        return Step(NotificationState.DELIVERED, attempt.due_at, attempt.rejections, attempt.waited)
    cause = "broken off when mdnwatch was stopped" if outcome is None else outcome.cause
    failed = Step(NotificationState.HEAD, attempt.due_at, attempt.rejections, attempt.waited, last_error=cause)
    if outcome is None:
        return failed
    if outcome.verdict is Verdict.REJECTED:
        failed = replace(failed, rejections=attempt.rejections + 1)
        return _later(failed, _own_delay(failed, outcome, give_up_after, moment), give_up_after, moment.now)
    if outcome.verdict is Verdict.UNAVAILABLE and _is_to_blame(attempt, endpoint):
        delay = probe_delay(attempt.number - attempt.rejections, moment.random)
        return _later(failed, _Delay(delay, is_firm=True), give_up_after, moment.now)
    # Behind the others: the next probe is made with another event, in case this one is what brings it down.
    return replace(failed, due_at=moment.now)


@dataclass(frozen=True, slots=True)
class _Delay:
    ms: int
    is_firm: bool  # an endpoint that comes back does not end it


def _own_delay(step: Step, outcome: Outcome, give_up_after: int, moment: Moment) -> _Delay:
    if outcome.retry_after is not None:
        return _Delay(asked_delay(outcome.retry_after), is_firm=True)
    # The last attempt is made when the time is up, not before.
    return _Delay(min(event_delay(step.rejections, moment.random), give_up_after - step.waited), is_firm=False)


def _is_to_blame(attempt: Attempt, endpoint: Endpoint) -> bool:
    """Whether others were taken since this event last failed: then it may itself be what the endpoint chokes on.

    Such an event would bring the endpoint down again after each recovery; it waits for itself instead.
    """
    return (
        attempt.previous_at is not None
        and endpoint.delivered_at is not None
        and endpoint.delivered_at >= attempt.previous_at
    )


def _later(step: Step, delay: _Delay, give_up_after: int, now: int) -> Step:
    """What was waited is summed up, rather than the clock read: a clock that is set must not give events up."""
    if step.waited >= give_up_after:
        return replace(step, state=NotificationState.GIVEN_UP)
    due_at = now + delay.ms
    not_before = due_at if delay.is_firm else 0
    return replace(step, due_at=due_at, not_before=not_before, waited=step.waited + delay.ms)
