"""When a message's story is told: each of its recipients has said what it will say, or its watch is over."""

from __future__ import annotations

import sqlite3
from collections import Counter
from datetime import datetime

from mdnwatch.model.event import Event, settled_event, settled_event_id
from mdnwatch.store import event_queries, followup_queries, sent_queries
from mdnwatch.store.sent_queries import StoredMessage, StoredRecipient


def close(
    db: sqlite3.Connection, message: StoredMessage, recipient: StoredRecipient, now: datetime, *, expired: bool = False
) -> Event | None:
    """Look at a recipient no more; the event that its message is settled, where it was the last and none was told.

    `expired`: the watch ended in silence.
    """
    if not followup_queries.close(db, recipient):
        return None
    if event_queries.is_known(db, settled_event_id(message)):
        return None
    addressed = [one.state.summary for one in sent_queries.recipients_of(db, message.id) if one.addressed]
    return settled_event(message, Counter(addressed), now, expired=expired)
