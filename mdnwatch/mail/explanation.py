"""What the text for people of a standard notification says of a recipient, where its fields leave that out."""

from __future__ import annotations

import dataclasses

from mdnwatch.mail.charset import decode
from mdnwatch.mail.mime import Part
from mdnwatch.mail.parameters import parameters
from mdnwatch.mail.parts import first_text
from mdnwatch.model.address import forms
from mdnwatch.model.report import Action, Dsn, RecipientBlock
from mdnwatch.model.text import clean

# The first screens: what follows is the same for every recipient, or the returned message.
MAX_EXPLANATION_TEXT = 8 * 1024  # bytes
# A notification about more recipients has its fields in order.
MAX_EXPLAINED = 50  # recipients
# The session's step at which the message was refused stands in the text only (Sendmail, Postfix).
_STEP = b"DATA"
# Whose blocks say why (`model.reason`).
_UNREACHED = frozenset({Action.FAILED, Action.DELAYED})


def explained(dsn: Dsn, container: Part) -> Dsn:
    """The notification with what its text says of recipients without a diagnostic code (OpenSMTPD writes none).

    Of a recipient whom the message has reached there is nothing to explain.
    """
    unreached = [block for block in dsn.recipients if block.action in _UNREACHED]
    if not unreached or len(dsn.recipients) > MAX_EXPLAINED:
        return dsn
    part = first_text(container)
    if part is None or part is container:
        return dsn
    missing = any(block.diagnostic_code is None for block in unreached)
    if not missing and part.data.find(_STEP, part.body, min(part.end, part.body + MAX_EXPLANATION_TEXT)) < 0:
        return dsn
    label = parameters(part.header().get("content-type") or "").get("charset")
    text = decode(part.content(MAX_EXPLANATION_TEXT), label)
    lines, lower = text.split("\n"), text.lower()
    found = [_line_of(block, lower) for block in dsn.recipients]
    starts = sorted({start for start in found if start is not None})
    recipients = (
        block if start is None or block.action not in _UNREACHED else _explained(block, lines, start, starts)
        for block, start in zip(dsn.recipients, found, strict=True)
    )
    return dataclasses.replace(dsn, recipients=tuple(recipients))


def _explained(block: RecipientBlock, lines: list[str], start: int, starts: list[int]) -> RecipientBlock:
    end = next((other for other in starts if other > start), len(lines))
    return dataclasses.replace(block, explanation=clean("\n".join(lines[start:end])) or None)


def _line_of(block: RecipientBlock, lower: str) -> int | None:
    """The first line of a text in lower case that names the recipient."""
    names = {form.lower() for form in (*forms(block.final_recipient), *forms(block.original_recipient))}
    places = [place for name in names if (place := lower.find(name)) >= 0]
    return lower.count("\n", 0, min(places)) if places else None
