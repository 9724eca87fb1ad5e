"""One file for each format of bounces that follow no standard, named for its software and found by its name.

A format is a module with

- `FORMAT`, its name in reports;
- `claims(notice)`, whether the message is of this format, by a few cheap signs that no other format has;
- `read(notice)`, its recipients; none where the message turns out to be something else.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from typing import Protocol, cast

from mdnwatch.mail.bounce_text import Reading
from mdnwatch.mail.notice import Notice


class Format(Protocol):
    """What a module of this package is."""

    FORMAT: str

    def claims(self, notice: Notice) -> bool:
        """Whether the message is of this format."""

    def read(self, notice: Notice) -> Reading:
        """What the message says of its recipients."""


@functools.cache
def formats() -> tuple[Format, ...]:
    """All formats, imported at the first message that could be a bounce."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(cast("Format", importlib.import_module(f"{__name__}.{name}")) for name in names)
