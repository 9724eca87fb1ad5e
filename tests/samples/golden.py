"""A report as readable JSON, every field of it, to be compared with what a person has read in the message."""

from __future__ import annotations

import dataclasses
import json
import sys
from datetime import datetime
from enum import Enum
from pathlib import Path

from mdnwatch.mail.reader import read
from mdnwatch.model.report import Dsn, Malformed, Mdn

REAL = Path(__file__).parent / "real"


def messages() -> list[Path]:
    return sorted(REAL.glob("*.eml"))


def as_json(message: bytes) -> str:
    """What the reader makes of a message, as JSON text; `null` for ordinary mail."""
    report = read(message)
    return json.dumps(plain(report), indent=1, ensure_ascii=False) + "\n"


def plain(value: object) -> object:
    if dataclasses.is_dataclass(value):
        found = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"report": type(value).__name__} | found if isinstance(value, Mdn | Dsn | Malformed) else found
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace").splitlines()
    return value


if __name__ == "__main__":
    # Only for messages named: a golden file is read beside its message before it is kept.
    for name in sys.argv[1:]:
        Path(name).with_suffix(".json").write_text(as_json(Path(name).read_bytes()), "utf-8")
