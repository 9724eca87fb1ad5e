"""The JSON Schema of each type of event: as made from the code, and as shipped in `mdnwatch/schemas`."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

from mdnwatch.errors import MdnwatchError
from mdnwatch.model.event_body import DATA
from mdnwatch.problems import not_one_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"

# Goes up when a receiver that was written for the schemas before may not understand an event any more: a key that
# is gone, or means something else. New keys do not count, so receivers have to put up with keys they do not know.
VERSION = 1


def types() -> list[str]:
    """The types of event that have a schema."""
    return list(DATA)


def shipped(event_type: str) -> str:
    """The schema of a type of event, as text. Raises MdnwatchError for a type that there is not."""
    if event_type not in DATA:
        raise MdnwatchError(not_one_of(event_type, types()))
    return resources.files("mdnwatch.schemas").joinpath(f"{event_type}.json").read_text("utf-8")


def made(event_type: str) -> str:
    """The same as the code has it now."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - takes long to load, and what is shipped needs none of it
    from pydantic.json_schema import GenerateJsonSchema  # noqa: PLC0415 - the same

    class Untitled(GenerateJsonSchema):
        """Without titles that only repeat the keys."""

        def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401, ARG002 - pydantic's
            return False

    data = TypeAdapter(DATA[event_type]).json_schema(schema_generator=Untitled)
    definitions = data.pop("$defs", {})
    schema: dict[str, Any] = {
        "$schema": DIALECT,
        "$id": f"urn:mdnwatch:event:{VERSION}:{event_type}",
        "title": event_type,
        "type": "object",
        "properties": {
            "type": {"const": event_type},
            "timestamp": {"type": "string", "format": "date-time", "description": "When it was told first; UTC"},
            "data": data,
        },
        "required": ["type", "timestamp", "data"],
        "$defs": definitions,
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
