"""A configuration as TOML text (toml.io v1.0.0), as far as configurations need it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def toml_text(document: Mapping[str, Any]) -> str:
    """The text of a document of strings, paths, numbers, booleans, lists, and lists of tables at the top."""
    return "\n".join(_lines(document)) + "\n"


def _lines(document: Mapping[str, Any]) -> Iterator[str]:
    tables = {key: value for key, value in document.items() if _is_tables(value)}
    yield from (f"{key} = {_value(value)}" for key, value in document.items() if key not in tables)
    for name, entries in tables.items():
        for table in entries:
            yield ""
            yield f"[[{name}]]"
            yield from (f"{key} = {_value(value)}" for key, value in table.items())


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, Mapping) for entry in value)


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_value(inner)}" for key, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    # A basic string escapes as JSON does; the one control character that JSON leaves alone is DEL.
    text = json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
    return text.replace("\x7f", "\\u007f")
