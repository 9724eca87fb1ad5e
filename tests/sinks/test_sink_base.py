"""Every sink's table says which events it wants, and mistakes in it are told with the way out."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from mdnwatch.model.event_type import EventType
from mdnwatch.problems import described
from mdnwatch.sinks.base import SinkSettings


def problems(**table: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        SinkSettings.model_validate({"name": "crm", "kind": "any", **table})
    return described(caught.value, SinkSettings, ("sinks", 0))


def settings(*events: str) -> SinkSettings:
    return SinkSettings.model_validate({"name": "crm", "kind": "any", "events": events})


def test_without_a_choice_every_event_is_wanted() -> None:
    everything = SinkSettings.model_validate({"name": "crm", "kind": "any"})
    assert all(everything.wants(event_type) for event_type in EventType)


def test_patterns_choose_events() -> None:
    chosen = settings("recipient.*", "sink.down")
    assert chosen.wants("recipient.failed")
    assert chosen.wants("sink.down")
    assert not chosen.wants("sink.up")
    assert not chosen.wants("report.malformed")


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("recipent.*", '(did you mean "recipient.*"?)'),
        ("recipient.display", '(did you mean "recipient.displayed"?)'),
        ("Recipient.failed", '(did you mean "recipient.failed"?)'),
    ],
)
def test_a_pattern_that_matches_nothing_is_an_error_with_a_hint(pattern: str, hint: str) -> None:
    assert problems(events=["sink.*", pattern]) == [f'sinks[0].events: "{pattern}" matches no event {hint}']


def test_an_empty_list_of_events_is_an_error() -> None:
    assert problems(events=[]) == ["sinks[0].events: must not be empty"]


def test_every_fault_is_told() -> None:
    told = problems(concurrency=0, timeout="20", give_up_after="0s", evnts=["*"])
    assert [line.split(":")[0] for line in told] == [
        "sinks[0].timeout",
        "sinks[0].concurrency",
        "sinks[0].give_up_after",
        "sinks[0].evnts",
    ]


@pytest.mark.parametrize("name", ["", "a b", "-x", "x" * 65, "crm\n"])
def test_names_that_would_not_stand_in_a_log_or_command_are_refused(name: str) -> None:
    assert problems(name=name)[0].startswith("sinks[0].name: ")
