"""What stands around the fields of a report: its head, its report part, the returned original, its text."""

from __future__ import annotations

from typing import NamedTuple

from mdnwatch.mail.message_ids import MAX_INLINE_TEXT, inline_message_ids
from mdnwatch.mail.mime import Part, walk
from mdnwatch.model.report import Head, Returned


class Parts(NamedTuple):
    """`report_part` is decoded; `container` is the multipart in which it stands, or the message itself."""

    head: Head
    report_part: bytes
    returned: Returned | None
    container: Part

    def inline_message_ids(self) -> tuple[str, ...]:
        """The ids that the text for people names, where the returned part names none."""
        if self.returned is not None and self.returned.message_id is not None:
            return ()
        part = first_text(self.container)
        return () if part is None else inline_message_ids(part.content(MAX_INLINE_TEXT))


def first_text(container: Part) -> Part | None:
    """The first text part for people; the container itself where it fell into no parts."""
    if not container.parts:
        return container
    return next((part for part in walk(container) if part.media_type == "text/plain"), None)
