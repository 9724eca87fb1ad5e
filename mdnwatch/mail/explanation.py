"""What the text for people of a standard notification says of a recipient, where its fields leave that out."""

from __future__ import annotations

import dataclasses

from mdnwatch.mail.charset import decode
from mdnwatch.mail.mime import Part
from mdnwatch.mail.parameters import parameters
from mdnwatch.mail.parts import first_text
from mdnwatch.model.address import forms
from mdnwatch.model.report import Dsn, RecipientBlock
from mdnwatch.model.text import clean

# The first screens: what follows is the same for every recipient, or the returned message.
MAX_EXPLANATION_TEXT = 8 * 1024  # bytes
# A notification about more recipients has its fields in order.
MAX_EXPLAINED = 50  # recipients
# The session's step at which the message was refused stands in the text only (Sendmail, Postfix).
_STEP = b"DATA"


def explained(dsn: Dsn, container: Part) -> Dsn:
    """The notification with what its text says of recipients without a diagnostic code (OpenSMTPD writes none)."""
    part = first_text(container)
    if part is None or part is container:
        return dsn
    if len(dsn.recipients) > MAX_EXPLAINED:
        return dsn
    missing = any(block.diagnostic_code is None for block in dsn.recipients)
    if not missing and part.data.find(_STEP, part.body, min(part.end, part.body + MAX_EXPLANATION_TEXT)) < 0:
        return dsn
    label = parameters(part.header().get("content-type") or "").get("charset")
    lines = decode(part.content(MAX_EXPLANATION_TEXT), label).split("\n")
    lower = [line.lower() for line in lines]
    found = [_line_of(block, lower) for block in dsn.recipients]
    starts = sorted({start for start in found if start is not None})
    recipients = (
        block if start is None else _explained(block, lines, start, starts)
        for block, start in zip(dsn.recipients, found, strict=True)
    )
    return dataclasses.replace(dsn, recipients=tuple(recipients))


def _explained(block: RecipientBlock, lines: list[str], start: int, starts: list[int]) -> RecipientBlock:
    end = next((other for other in starts if other > start), len(lines))
    return dataclasses.replace(block, explanation=clean("\n".join(lines[start:end])) or None)


def _line_of(block: RecipientBlock, lower: list[str]) -> int | None:
    """The first line, in lower case, that names the recipient."""
    names = [form.lower() for form in (*forms(block.final_recipient), *forms(block.original_recipient))]
    return next((n for n, line in enumerate(lower) if any(name in line for name in names)), None)
