from __future__ import annotations

from datetime import timedelta

import pytest
from facts import SENT_AT

from mdnwatch.model.evidence import Evidence, Kind
from mdnwatch.model.state import MAX_MEMBERS, RecipientState, add, derive
from mdnwatch.model.stored import state_content, state_from

D, F, X = Kind.DELIVERED, Kind.FAILED, Kind.EXPANDED


def piece(kind: Kind, *, member: str | None = None, hours: int = 1) -> Evidence:
    at = SENT_AT + timedelta(hours=hours)
    return Evidence(f"{kind}{member}{hours}", 0, kind, (), ("bob@x.example",), at, at, member=member)


def told(*pieces: Evidence) -> tuple[str, str, str, tuple[str, ...]]:
    state = derive(pieces)
    return state.summary, state.delivery.name.lower(), state.reading.name.lower(), state.flags


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ((), ("unknown", "unknown", "none", ())),
        ((Kind.SUBMITTED,), ("submitted", "submitted", "none", ())),
        ((Kind.DELAYED, D), ("delivered", "delivered", "none", ())),
        ((Kind.DELAYED, F), ("failed", "failed", "none", ())),
        ((Kind.RELAYED,), ("relayed", "relayed", "none", ())),
        ((X,), ("expanded", "expanded", "none", ())),
        # Any sign of life of the recipient is at least a delivery.
        ((Kind.DISPLAYED,), ("displayed", "delivered", "displayed", ())),
        ((Kind.AUTO_REPLIED,), ("delivered", "delivered", "none", ("auto_replied",))),
        ((Kind.COMPLAINED,), ("delivered", "delivered", "none", ("complained",))),
        ((Kind.WARNING,), ("delivered", "delivered", "none", ())),
        # conformance 12: deleted, and read all the same
        ((Kind.DELETED, Kind.DISPLAYED), ("displayed", "delivered", "displayed", ())),
        # conformance 13: neither is a sign of display
        ((Kind.PROCESSED, Kind.DISPATCHED), ("dispatched", "delivered", "dispatched", ())),
        ((Kind.DECLINED,), ("declined", "delivered", "declined", ())),
        # conformance 50: both are kept; `failed` is final, and the display is told first
        ((F, D), ("failed", "failed", "none", ("conflicting",))),
        ((F, Kind.DISPLAYED), ("displayed", "failed", "displayed", ("conflicting",))),
        ((F, Kind.RELAYED), ("failed", "failed", "none", ())),
        ((Kind.REPLIED, F), ("replied", "failed", "replied", ("conflicting",))),
    ],
)
def test_the_set_of_evidence_gives_the_state(kinds: tuple[Kind, ...], expected: tuple[object, ...]) -> None:
    assert told(*map(piece, kinds)) == expected
    assert told(*map(piece, reversed(kinds))) == expected


def test_a_members_failure_alone_is_the_recipients() -> None:
    assert told(piece(F, member="m@y.example")) == ("failed", "failed", "none", ())


@pytest.mark.parametrize("positive", [X, Kind.RELAYED, D, Kind.DISPLAYED, Kind.AUTO_REPLIED])
def test_beside_positive_evidence_a_members_failure_is_partial(positive: Kind) -> None:
    state = derive([piece(F, member="m@y.example"), piece(positive)])
    assert (state.flags[-1], state.delivery.name) == ("partly_failed", derive([piece(positive)]).delivery.name)


def test_a_delay_is_no_positive_evidence() -> None:
    assert told(piece(F, member="m@y.example"), piece(Kind.DELAYED))[1] == "failed"


def test_first_and_last_times_are_kept_as_claimed_and_observed() -> None:
    times = derive([piece(D, hours=3), piece(D, hours=1), piece(D, hours=2)]).times[D]
    assert (times.first_claimed, times.last_observed) == (SENT_AT + timedelta(hours=1), SENT_AT + timedelta(hours=3))


def test_adding_again_changes_nothing() -> None:
    state = derive([piece(F, member="m@y.example"), piece(X)])
    assert add(state, piece(X)) == state


def test_a_state_names_a_bounded_number_of_members_whatever_their_order() -> None:
    failures = [piece(F, member=f"m{n:03}@y.example") for n in range(3 * MAX_MEMBERS)]
    assert derive(failures) == derive(reversed(failures))
    assert len(derive(failures).members) == MAX_MEMBERS


def test_a_state_survives_its_form_on_disk() -> None:
    state = derive([piece(F, member="m@y.example"), piece(F), piece(X), piece(Kind.DISPLAYED, hours=4)])
    assert state_from(state_content(state)) == state
    assert state_from(None) == RecipientState()
