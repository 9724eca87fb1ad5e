"""The faults of a configuration in words for people: the place, what is wrong, the way out."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

Place = tuple[str | int, ...]

# pydantic's type of error -> what to say. What stands in the file is not repeated: it may be a secret.
_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "string_type": "must be a string, in quotes",
        "path_type": "must be a path, in quotes",
        "int_type": "must be a whole number",
        "int_parsing": "must be a whole number",
        "int_from_float": "must be a whole number",
        "bool_type": "must be true or false",
        "bool_parsing": "must be true or false",
        "tuple_type": "must be a list, in [ ]",
        "list_type": "must be a list, in [ ]",
        "model_type": "must be a table, in { } or under a [header] of its own",
        "model_attributes_type": "must be a table, in { } or under a [header] of its own",
        "dict_type": "must be a table, in { } or under a [header] of its own",
        "too_short": "must not be empty",
        "string_too_short": "must not be empty",
    }
)

_BOUNDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "greater_than": ("gt", "must be more than"),
        "greater_than_equal": ("ge", "must be at least"),
        "less_than": ("lt", "must be less than"),
        "less_than_equal": ("le", "must be at most"),
        "string_pattern_mismatch": ("pattern", "must match"),
    }
)

_QUOTED = re.compile(r"'([^']*)'")


def written(place: Place) -> str:
    """A place as people write it: `accounts[0].folders[1]`."""
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """A hint in brackets with a blank before it, or nothing where no known word resembles this one."""
    close = difflib.get_close_matches(str(word), list(known), n=1)
    return f' (did you mean "{close[0]}"?)' if close else ""


def not_one_of(word: object, known: Iterable[str]) -> str:
    """What is wrong with a word outside a small vocabulary."""
    words = list(known)
    return f"{quoted(word)} is not one of {', '.join(words)}{did_you_mean(word, words)}"


def quoted(value: object) -> str:
    """A value as it stands in TOML, near enough."""
    return json.dumps(value, ensure_ascii=False, default=str)


def described(error: ValidationError, model: type[BaseModel], place: Place = ()) -> list[str]:
    """A line for each fault that pydantic found in the table `model` at `place`.

    A validator of a whole table names the key it means first: "url: must begin with https://".
    """
    return [_line(fault, model, place) for fault in error.errors(include_url=False)]


def _line(fault: ErrorDetails, model: type[BaseModel], place: Place) -> str:
    wrong = _wrong(fault, model)
    table = _table_at(model, fault["loc"])
    key, colon, rest = wrong.partition(": ")
    if fault["type"] == "value_error" and table and colon and key in table.model_fields:
        return f"{written((*place, *fault['loc'], key))}: {rest}"
    return f"{written((*place, *fault['loc']))}: {wrong}"


def _wrong(fault: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    key = str(fault["loc"][-1]) if fault["loc"] else ""
    table = _table_at(model, fault["loc"][:-1])
    if kind == "missing":
        return _missing(key, table)
    if kind == "extra_forbidden":
        known = list(table.model_fields) if table else []
        return f"unknown key{did_you_mean(key, known) or '; known here: ' + ', '.join(known)}"
    if kind in ("literal_error", "enum"):
        return not_one_of(fault["input"], _QUOTED.findall(str(context["expected"])))
    if kind in _BOUNDS:
        bound, words = _BOUNDS[kind]
        return f"{words} {_bound(table, key, bound) or context[bound]}"
    if kind == "value_error":
        return str(context["error"])
    return _WORDS.get(kind, fault["msg"])


def _missing(key: str, table: type[BaseModel] | None) -> str:
    field = table.model_fields.get(key) if table else None
    if field is None or not field.description:
        return f"is missing: add {key} = …"
    example = f" = {quoted(field.examples[0])}" if field.examples else " = …"
    return f"is missing: add {key}{example} ({field.description.rstrip('.')})"


def _bound(table: type[BaseModel] | None, key: str, bound: str) -> str:
    """A bound of a key as people write it (pydantic tells a duration by its repr); "" where it is not the key's own."""
    field = table.model_fields.get(key) if table else None
    for constraint in field.metadata if field else ():
        if (value := getattr(constraint, bound, None)) is not None:
            return duration(value) if isinstance(value, timedelta) else str(value)
    return ""


def duration(value: timedelta) -> str:
    """A duration as it stands in the configuration: `"29min"`."""
    seconds = value.total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds and seconds % length == 0:
            return f'"{seconds / length:g}{unit}"'
    return f'"{seconds:g}s"'


def _table_at(model: type[BaseModel], place: Place) -> type[BaseModel] | None:
    """The model of the table that stands at `place` in `model`."""
    found: type[BaseModel] | None = model
    names_follow = False
    for step in place:
        if names_follow:  # within a table whose keys people choose
            names_follow = False
        elif isinstance(step, str) and found is not None:
            field = found.model_fields.get(step)
            found = _model_in(field.annotation) if field else None
            names_follow = field is not None and get_origin(field.annotation) is dict
    return found


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - any annotation there is
    """The one model within an annotation such as `tuple[Secret, ...]` or `Secret | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part))), None)
