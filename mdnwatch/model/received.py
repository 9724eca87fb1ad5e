"""A message as a source hands it over, and the mark a source has reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum


class Role(StrEnum):
    """What a folder is watched for."""

    INBOX = "inbox"  # reports arrive here: INBOX, Junk and whatever else is named under `folders`
    SENT = "sent"  # copies of what was sent


class Wanted(Enum):
    """How much of a message is needed, as far as its header tells."""

    NOTHING = 0
    HEADER = 1  # an answer of a person: who answers what stands there
    WHOLE = 2


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message was seen: the key of a sighting.

    `uidvalidity` and `uid` are IMAP's (RFC 9051 §2.3.1.1), 0 for a Maildir; `name` is the unique part of a
    Maildir file name, "" for IMAP.
    """

    account: str
    folder: str
    uidvalidity: int = 0
    uid: int = 0
    name: str = ""


@dataclass(frozen=True, slots=True)
class RawMessage:
    """One message as fetched. `data` may be cut at `max_message_size` (then `size` is larger than its length).

    For Role.SENT, and where no more is wanted, `data` is the header alone. `received_at` is INTERNALDATE or the
    file's time, aware UTC.
    `announce` is False for backfilled mail: it builds states but tells nobody.
    """

    place: Place
    role: Role
    data: bytes
    size: int  # bytes, of the whole message
    received_at: datetime
    announce: bool = True


@dataclass(frozen=True, slots=True)
class Mark:
    """How far an IMAP folder has been handled.

    Live: every UID up to and including `live` is handled, or lies in the backfill interval, or is older than
    the watch. Backfill: UIDs in [`backfill_from`, `backfill_to`] are still to be handled, newest first, so
    `backfill_to` falls; (0, 0) means nothing is left.
    """

    uidvalidity: int
    live: int
    backfill_from: int = 0
    backfill_to: int = 0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a batch leaves behind for one folder, written in the same transaction as the batch itself.

    IMAP writes `mark`. A Maildir writes the unique names now handled (`names`, added to those stored) and those
    that left the folder (`gone`, removed); its `mark` is None.
    """

    account: str
    folder: str
    mark: Mark | None = None
    names: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Batch:
    """A unit of handling: messages of one folder, with the checkpoint that holds once they are stored."""

    messages: Sequence[RawMessage]
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of a batch. `unmatched` reports found no sent message: the source looks at Sent at once."""

    reports: int = 0
    sent: int = 0
    unmatched: int = 0
    events: int = 0
    failures: tuple[Place, ...] = field(default=())  # quarantined messages
