"""Holds events against the schemas that are shipped; here a key that no schema names is a fault, too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from mdnwatch import event_schema
from mdnwatch.model import event

WAY_OUT = (
    "describe the key in mdnwatch/model/event_body.py, then run .venv/bin/python tests/make_schemas.py "
    "(a new type of event also goes into DATA there)"
)

# What was found since a test last looked; any test that ends with some has failed.
FOUND: list[str] = []


def faults(body: bytes | str) -> list[str]:
    """What is wrong with an event, a line each; nothing for what is no event of ours, as outbox tests send."""
    try:
        told = json.loads(body)
    except ValueError:
        return []
    if not isinstance(told, dict) or not {"type", "timestamp", "data"} <= told.keys():
        return []
    kind = str(told["type"])
    if kind not in event_schema.types():
        return [f"{kind}: has no schema: {WAY_OUT}"]
    return [
        f"{kind}: {error.json_path}: {error.message[:300]}: {WAY_OUT}" for error in _validator(kind).iter_errors(told)
    ]


@cache
def _validator(kind: str) -> Draft202012Validator:
    schema = closed(json.loads(event_schema.shipped(kind)))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def closed(schema: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """The schema with every object whose keys it names closed against others."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    parts = {key: closed(part) for key, part in schema.items()}
    return {**parts, "additionalProperties": False} if "properties" in schema else parts


def watch_what_is_made() -> None:
    """Hold every event that is made in this process against its schema, too."""
    make = event._body

    def made(*arguments: Any) -> str:  # noqa: ANN401 - whatever it takes
        body = make(*arguments)
        FOUND.extend(faults(body))
        return body

    setattr(event, make.__name__, made)
