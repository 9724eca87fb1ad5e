"""Every sink's table says which events it wants, and mistakes in it are told with the way out."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from mdnwatch.model.event_facts import EventFacts
from mdnwatch.problems import described
from mdnwatch.sinks.base import SinkSettings


def problems(**table: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        SinkSettings.model_validate({"name": "crm", "kind": "any", **table})
    return described(caught.value, SinkSettings, ("sinks", 0))


def settings(**table: object) -> SinkSettings:
    return SinkSettings.model_validate({"name": "crm", "kind": "any", **table})


def about(event_type: str, **data: object) -> EventFacts:
    return EventFacts(event_type, json.dumps({"type": event_type, "data": {"id": "evt_1", **data}}))


DEAL = {"message_id": "<m@x>", "account": "sales", "reference": "deal-7"}
FAILED = about(
    "recipient.failed",
    message=DEAL,
    recipient={"address": "bob@BÜCHER.example"},
    authenticity={"grade": "consistent", "reasons": []},
)
SUSPICIOUS = about("report.suspicious", account="app", recipient="eve@evil.example")
SOURCE = about("source.down", source="sales")
SINK = about("sink.down", sink="other")
ALL = (FAILED, SUSPICIOUS, SOURCE, SINK)


def test_without_a_choice_every_event_is_wanted() -> None:
    assert all(settings().wants(event) for event in ALL)


@pytest.mark.parametrize(
    ("table", "wanted"),
    [
        ({"events": ["recipient.*", "sink.down"]}, (FAILED, SINK)),
        ({"accounts": ["sales"]}, (FAILED, SOURCE, SINK)),
        ({"accounts": ["app", "other"]}, (SUSPICIOUS, SINK)),
        ({"references": ["deal-*", "x"]}, ALL),
        ({"references": ["DEAL-*"]}, (SUSPICIOUS, SOURCE, SINK)),
        ({"domains": ["bücher.example"]}, (FAILED, SOURCE, SINK)),
        ({"domains": ["xn--BCHER-kva.example."]}, (FAILED, SOURCE, SINK)),
        ({"domains": ["*.example"]}, ALL),
        ({"domains": ["example", "*.bücher.example"]}, (SOURCE, SINK)),
        ({"min_grade": "consistent"}, ALL),
        ({"min_grade": "authenticated"}, (SUSPICIOUS, SOURCE, SINK)),
        ({"events": ["recipient.*"], "accounts": ["app"]}, ()),
    ],
)
def test_each_choice_keeps_out_what_has_something_else(
    table: dict[str, object], wanted: tuple[EventFacts, ...]
) -> None:
    chosen = settings(**table)
    assert tuple(event for event in ALL if chosen.wants(event)) == wanted


def test_a_message_without_a_reference_has_none_of_those_that_are_wanted() -> None:
    settled = about("message.settled", message={**DEAL, "reference": None})
    assert not settings(references=["*"]).wants(settled)
    assert settings(domains=["here.example"]).wants(settled)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"domains": ["bob@there.example"]}, 'sinks[0].domains: "bob@there.example" is no domain: write'),
        ({"domains": ["*"]}, 'sinks[0].domains: "*" is no domain'),
        ({"references": [""]}, "sinks[0].references: an empty reference matches none"),
        ({"min_grade": "contradicted"}, 'sinks[0].min_grade: "contradicted" is not one of'),
    ],
)
def test_a_choice_that_can_choose_nothing_is_told(table: dict[str, object], told: str) -> None:
    (problem,) = problems(**table)
    assert problem.startswith(told)


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
