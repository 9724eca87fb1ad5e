"""The schemas of events: shipped as the code makes them, one for every type that is told, and strict enough."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import schema_check
from facts import SENT_AT, head, mdn
from typer.testing import CliRunner

import mdnwatch.cli  # noqa: F401 - registers the commands
from mdnwatch import event_schema
from mdnwatch.commands.app import app
from mdnwatch.model.authenticity import Grade, Graded
from mdnwatch.model.event import MessageFacts, RecipientFacts, recipient_event
from mdnwatch.model.event_type import EventType
from mdnwatch.model.evidence import extract
from mdnwatch.model.sent import Requested
from mdnwatch.model.state import RecipientState, add

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
SCHEMAS = Path(event_schema.__file__).parent / "schemas"


def displayed() -> dict[str, Any]:
    piece = extract(mdn(head()), "r1", SENT_AT)[0]
    state = RecipientState()
    event = recipient_event(
        identifier="evt_1",
        sequence=1,
        message=MessageFacts("<offer@mail.example>", "alice@mail.example", "sales", "", None, Requested(), None),
        recipient=RecipientFacts("bob@there.example", addressed=True, before=state, after=add(state, piece)),
        piece=piece,
        graded=Graded(Grade.CONSISTENT),
        rung="original-message-id",
        now=datetime(2026, 11, 23, tzinfo=UTC),
    )
    made: dict[str, Any] = json.loads(event.body)
    return made


@pytest.mark.parametrize("event_type", event_schema.types())
def test_what_is_shipped_is_what_the_code_makes(event_type: str) -> None:
    way_out = "mdnwatch/model/event_body.py has changed: run .venv/bin/python tests/make_schemas.py"
    path = SCHEMAS / f"{event_type}.json"
    assert path.exists(), way_out
    assert path.read_text("utf-8") == event_schema.made(event_type), way_out


def test_nothing_else_is_shipped() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} == set(event_schema.types())


def test_every_type_that_the_readme_promises_has_a_schema() -> None:
    promised = {event.value for event in EventType if re.search(rf"`{re.escape(event.value)}`", README)}
    assert promised <= set(event_schema.types())


def put(*path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(event: dict[str, Any]) -> None:
        for step in path[:-1]:
            event = event[step]
        event[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (put("data", "evidence", "shoe_size", value=44), "$.data.evidence"),
        (put("data", "message", "sent_at", value="yesterday"), "$.data.message.sent_at"),
        (put("data", "authenticity", "grade", value="certain"), "$.data.authenticity.grade"),
        (put("data", "recipient", value={}), "$.data.recipient"),
        (put("timestamp", value=None), "$.timestamp"),
        (put("type", value="recipient.eaten"), "recipient.eaten: has no schema"),
    ],
)
def test_an_event_that_is_not_as_described_is_found(change: Callable[[dict[str, Any]], None], place: str) -> None:
    event = displayed()
    assert schema_check.faults(json.dumps(event)) == []
    change(event)
    faults = schema_check.faults(json.dumps(event))
    assert faults
    assert all(place in fault and "tests/make_schemas.py" in fault for fault in faults)


def test_a_receiver_puts_up_with_keys_that_it_does_not_know_yet() -> None:
    assert 'additionalProperties": false' not in event_schema.shipped("recipient.failed")


def test_the_command_prints_a_schema_and_names_all() -> None:
    run = CliRunner().invoke
    assert run(app, ["schema"]).output.split() == event_schema.types()
    assert json.loads(run(app, ["schema", "recipient.failed"]).output)["title"] == "recipient.failed"
    assert 'did you mean "recipient.failed"' in str(run(app, ["schema", "recipient.fail"]).exception)
