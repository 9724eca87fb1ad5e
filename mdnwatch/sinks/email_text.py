"""The words of a notice by e-mail: of one event, or of many."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mdnwatch.event_words import words_of
from mdnwatch.model.notification import Outgoing
from mdnwatch.model.text import clean

# Characters: a subject is read in a list of many.
MAX_SUBJECT = 120


def subject_of(notifications: Sequence[Outgoing]) -> str:
    """One line for all of them."""
    if len(notifications) == 1:
        words = words_of(_event(notifications[0]))
        text = ": ".join(filter(None, (words.what, words.who))) + (f" ({words.subject})" if words.subject else "")
        return clean(text, MAX_SUBJECT)
    counted = Counter(words_of(_event(one)).what for one in notifications)
    kinds = ", ".join(f"{number} {what}" for what, number in counted.most_common())
    return clean(f"{len(notifications)} events: {kinds}", MAX_SUBJECT)


def text_of(notifications: Sequence[Outgoing]) -> str:
    """The text, of which every line is safe to show: foreign words are cleaned, and none is a link or a button."""
    parts = ["\n".join(_lines(_event(one))) for one in notifications]
    return "\n\n".join([*parts, f"-- \nmdnwatch; event {_ids(notifications)}"]) + "\n"


def _ids(notifications: Sequence[Outgoing]) -> str:
    first = notifications[0].event_id
    return first if len(notifications) == 1 else f"{first} and {len(notifications) - 1} more"


def _lines(event: Mapping[str, Any]) -> Iterator[str]:
    words = words_of(event)
    yield f"{words.who}: {words.what}" if words.who else words.what
    if words.why:
        yield f"  {words.why}"
    message = event["data"].get("message")
    if isinstance(message, Mapping):
        sent = f", sent {message['sent_at']}" if message.get("sent_at") else ""
        yield f"  about: {words.subject or '(no subject)'}{sent}, account {clean(str(message.get('account')))}"
        yield f"  {clean(str(message.get('message_id')))}"
    if words.grade:
        yield f"  trusted: {words.grade}"
    yield f"  told {clean(str(event.get('timestamp')))}, {clean(str(event.get('type')))}"


def _event(notification: Outgoing) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(notification.body)
    return event
