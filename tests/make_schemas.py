"""Write mdnwatch/schemas anew after a change of mdnwatch/model/event_body.py; run as it is, without arguments."""

from __future__ import annotations

from pathlib import Path

from mdnwatch import event_schema

DIRECTORY = Path(event_schema.__file__).parent / "schemas"


def main() -> None:
    for path in DIRECTORY.glob("*.json"):
        path.unlink()
    for event_type in event_schema.types():
        (DIRECTORY / f"{event_type}.json").write_text(event_schema.made(event_type), "utf-8")


if __name__ == "__main__":
    main()
