"""What is made of silence: when a recipient is overdue, and when the watch over a recipient ends."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from mdnwatch.model.evidence import Kind
from mdnwatch.model.sent import Requested
from mdnwatch.model.state import Delivery, Reading, RecipientState

# With these a recipient has said what it will say; and so has one whose own address failed. None of them is taken
# back by what comes later, so that the order of reports does not decide what is settled.
SETTLING = frozenset({Reading.DECLINED, Reading.DISPLAYED, Reading.REPLIED})


@dataclass(frozen=True, slots=True)
class Watch:
    """What the configuration asks for: the times after sending at which silence is told, rising, and the end.

    `of_all`: also of recipients of whom nothing was asked.
    """

    overdue_after: tuple[timedelta, ...]
    of_all: bool
    watch_for: timedelta


class Look(NamedTuple):
    """What a look at a recipient comes to: the step whose time is over in silence, and when to look again.

    `next_look` is aware UTC; None where the watch is over.
    """

    overdue: timedelta | None
    next_look: datetime | None


def is_settled(state: RecipientState) -> bool:
    """Whether the recipient's story is told: failed, declined, displayed or replied."""
    return state.failed or state.reading in SETTLING


def is_awaited(state: RecipientState, requested: Requested, *, of_all: bool) -> bool:
    """Whether the recipient owes an answer to what was asked, and has given none.

    An automatic reply is no answer (RFC 3834): it shows delivery. Where a delivery report alone was asked for, it is
    the answer; `relayed` and `expanded` are all that will ever come of some hosts (RFC 3461 §5.2.2).
    """
    if state.delivery is Delivery.FAILED or state.reading is not Reading.NONE or Kind.COMPLAINED in state.times:
        return False
    if requested.mdn or of_all:
        return True
    return "SUCCESS" in requested.dsn and state.delivery < Delivery.EXPANDED


def look(state: RecipientState, requested: Requested, sent_at: datetime, watch: Watch, now: datetime) -> Look:
    """What is to be told of a recipient's silence at `now`; times are aware UTC.

    Of several steps that are over the last one counts: the others would tell what is known with it.
    """
    end = sent_at + watch.watch_for
    if is_settled(state) or now >= end:
        return Look(None, None)
    if not is_awaited(state, requested, of_all=watch.of_all):
        return Look(None, end)
    # RFC 3464 §2.3.9: as long as a host still tries, the recipient has nothing that could be answered.
    tried_until = state.retry_until if state.delivery is Delivery.DELAYED else None
    times = {step: max(sent_at + step, tried_until or sent_at) for step in watch.overdue_after}
    over = [step for step, at in times.items() if at <= now]
    return Look(max(over, default=None), min([end, *(at for at in times.values() if at > now)]))
