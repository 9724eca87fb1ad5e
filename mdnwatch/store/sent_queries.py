"""Sent messages and their recipients in the database; plain functions over a connection, called in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import orjson

from mdnwatch.model.address import canonical, find, split, without_sub_address
from mdnwatch.model.correlation import keys_of_sent, message_id_key
from mdnwatch.model.event import MessageFacts
from mdnwatch.model.sent import Requested, SentMessage
from mdnwatch.model.state import RecipientState
from mdnwatch.model.stored import dump, from_ms, state_content, state_from, to_ms
from mdnwatch.model.token import token_key

# A hint by domain is worth a look at this many recipients, and not at the ten thousand of a newsletter.
MAX_RECIPIENTS_FOR_HINT = 100

# Of the addresses that report about a message without having been addressed, so many are kept and told: those behind
# a list and some forwarders. Whoever forges receipts can make up any number.
MAX_UNADDRESSED = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredMessage(MessageFacts):
    """A row of sent_message: what events tell of it, and the number of the row."""

    id: int
    envelope_id: str | None


@dataclass(frozen=True, slots=True)
class StoredRecipient:
    """A row of recipient. `sequence` counts its events so far."""

    message: int
    address: str
    addressed: bool
    sequence: int
    state: RecipientState


_MESSAGE_COLUMNS = (
    "id, message_id, from_address, account, subject, sent_at, requested, envelope_id, reference, metadata"
)
# Most addresses are their own mailbox (lower-case, without sub-address), and are kept once: see `kept`.
_ADDRESS = "iif(address = '', mailbox, address)"
_RECIPIENT_COLUMNS = f"message, {_ADDRESS}, addressed, sequence, state"


# ALL: what is found twice is not sorted out by SQLite, which builds a table of its own for that.
_FIND = "SELECT id FROM sent_message WHERE message_id = ? UNION ALL SELECT message FROM sent_key WHERE key = ?"


def save_sent(db: sqlite3.Connection, sent: SentMessage, look_at: datetime | None = None) -> tuple[int, bool]:
    """Keep a copy: its message's row number, and whether this told anything that was not known.

    Copies with the same Message-ID and From are one message, their recipients united. `look_at` is when the silence
    of recipients that are new is looked at first, aware UTC; None: never.
    """
    message_id, sender = message_id_key(sent.message_id)[2:], canonical(sent.from_address)
    sql = f"SELECT {_MESSAGE_COLUMNS} FROM sent_message WHERE message_id = ? AND from_address = ?"  # noqa: S608 - constants
    row = db.execute(sql, (message_id, sender)).fetchone()
    known = _message(row) if row else None
    message = known.id if known else _insert_message(db, sent, message_id, sender)
    changed = known is None or _unite(db, known, sent)
    changed |= _add_keys(db, message, sent)
    if known is not None and known.sent_at is None and look_at is not None:
        # Registered without a time, from which nobody's silence could be reckoned.
        db.execute("UPDATE recipient SET due_at = ? WHERE message = ? AND addressed = 1", (to_ms(look_at), message))
    for address in sent.recipients:
        changed |= _add_addressed(db, message, address, to_ms(look_at))
    return message, changed


def _insert_message(db: sqlite3.Connection, sent: SentMessage, message_id: str, sender: str) -> int:
    cursor = db.execute(
        "INSERT INTO sent_message (message_id, from_address, account, subject, sent_at, requested, envelope_id,"
        " reference, metadata) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            message_id,
            sender,
            sent.account,
            sent.subject,
            to_ms(sent.date),
            _requested_content(sent.requested),
            sent.envelope_id,
            sent.reference,
            sent.metadata,
        ),
    )
    return int(cursor.lastrowid or 0)


def _unite(db: sqlite3.Connection, known: StoredMessage, sent: SentMessage) -> bool:
    dates = [date for date in (known.sent_at, sent.date) if date is not None]
    united = (
        to_ms(min(dates, default=None)),
        _requested_content(
            Requested(
                mdn=known.requested.mdn or sent.requested.mdn,
                dsn=tuple(sorted({*known.requested.dsn, *sent.requested.dsn})),
            )
        ),
        known.envelope_id or sent.envelope_id,
        # The caller's own words: the last ones hold, and a copy in a Sent folder has none.
        sent.reference or known.reference,
        sent.metadata or known.metadata,
    )
    requested = _requested_content(known.requested)
    before = (to_ms(known.sent_at), requested, known.envelope_id, known.reference, known.metadata)
    if united == before:
        return False
    db.execute(
        "UPDATE sent_message SET sent_at = ?, requested = ?, envelope_id = ?, reference = ?, metadata = ? WHERE id = ?",
        (*united, known.id),
    )
    return True


def _add_keys(db: sqlite3.Connection, message: int, sent: SentMessage) -> bool:
    made_for = {token_key(identity): recipient for identity, recipient in sent.tokens}
    sql = "INSERT INTO sent_key (key, message, recipient) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
    return sum(db.execute(sql, (key, message, made_for.get(key))).rowcount for key in keys_of_sent(sent)[1:]) > 0


def _requested_content(requested: Requested) -> str:
    return dump({"mdn": requested.mdn, "dsn": list(requested.dsn)})


def _add_addressed(db: sqlite3.Connection, message: int, address: str, look_at: int | None) -> bool:
    wanted = canonical(address)
    for known in _same_mailbox(db, message, address):
        if canonical(known.address) == wanted:
            if known.addressed:
                return False
            db.execute(
                "UPDATE recipient SET addressed = 1, due_at = ? WHERE message = ? AND mailbox = ? AND address = ?",
                (look_at, message, *kept(known.address)),
            )
            return True
    db.execute(
        "INSERT INTO recipient (message, mailbox, address, addressed, due_at) VALUES (?, ?, ?, 1, ?)",
        (message, *kept(address), look_at),
    )
    return True


def kept(address: str) -> tuple[str, str]:
    """The columns `mailbox` and `address` of an address."""
    mailbox = without_sub_address(address)
    return mailbox, "" if address == mailbox else address


def find_by_keys(db: sqlite3.Connection, keys: Iterable[str]) -> dict[str, frozenset[int]]:
    """The row numbers of the sent messages that bear each key of model.correlation; unknown keys are left out."""
    found: dict[str, frozenset[int]] = {}
    for key in dict.fromkeys(keys):
        rows = db.execute(_FIND, (key[2:] if key.startswith("m:") else None, key)).fetchall()
        if rows:
            found[key] = frozenset(number for (number,) in rows)
    return found


def keys_of(db: sqlite3.Connection, message: int) -> list[str]:
    """All keys under which a message is found, as model.correlation writes them; that of its Message-ID first."""
    (message_id,) = db.execute("SELECT message_id FROM sent_message WHERE id = ?", (message,)).fetchone()
    others = db.execute("SELECT key FROM sent_key WHERE message = ? ORDER BY key", (message,))
    return [message_id_key(message_id), *(key for (key,) in others)]


def made_for(db: sqlite3.Connection, message: int, token_keys: Iterable[str]) -> frozenset[str | None]:
    """For whom the tokens of these keys were made; None stands for all recipients of the message."""
    sql = "SELECT recipient FROM sent_key WHERE key = ? AND message = ?"
    found = (db.execute(sql, (key, message)).fetchone() for key in token_keys)
    return frozenset(row[0] for row in found if row is not None)


def is_there(db: sqlite3.Connection, message: int) -> bool:
    """Whether there is a message of this row number."""
    return db.execute("SELECT 1 FROM sent_message WHERE id = ?", (message,)).fetchone() is not None


def load_message(db: sqlite3.Connection, message: int) -> StoredMessage:
    """The message of a row number that is known to exist."""
    sql = f"SELECT {_MESSAGE_COLUMNS} FROM sent_message WHERE id = ?"  # noqa: S608 - constants
    return _message(db.execute(sql, (message,)).fetchone())


def _message(row: tuple[int, str, str, str, str, int | None, str, str | None, str | None, str | None]) -> StoredMessage:
    return StoredMessage(
        id=row[0],
        message_id=row[1],
        from_address=row[2],
        account=row[3],
        subject=row[4],
        sent_at=from_ms(row[5]),
        requested=_requested(row[6]),
        envelope_id=row[7],
        reference=row[8],
        metadata=row[9],
    )


# Messages differ in it hardly ever.
@lru_cache(maxsize=16)
def _requested(content: str) -> Requested:
    data = orjson.loads(content)
    return Requested(mdn=data["mdn"], dsn=tuple(data["dsn"]))


def _recipient(row: tuple[int, str, int, int, str | None]) -> StoredRecipient:
    return StoredRecipient(row[0], row[1], bool(row[2]), row[3], state_from(row[4]))


def _same_mailbox(db: sqlite3.Connection, message: int, address: str) -> list[StoredRecipient]:
    """The recipients whose address is equal but for case and sub-address: few, however many the message has."""
    sql = f"SELECT {_RECIPIENT_COLUMNS} FROM recipient WHERE message = ? AND mailbox = ?"  # noqa: S608 - constants
    return [_recipient(row) for row in db.execute(sql, (message, without_sub_address(address)))]


def find_recipient(db: sqlite3.Connection, message: int, addresses: Iterable[str]) -> StoredRecipient | None:
    """The addressed recipient that one of the addresses means (in their order); None where there is none."""
    for address in addresses:
        candidates = {one.address: one for one in _same_mailbox(db, message, address) if one.addressed}
        found = find(address, candidates)
        if found is not None:
            return candidates[found]
    return None


def only_recipient(db: sqlite3.Connection, message: int) -> StoredRecipient | None:
    """The addressed recipient of a message that has exactly one."""
    sql = f"SELECT {_RECIPIENT_COLUMNS} FROM recipient WHERE message = ? AND addressed = 1 LIMIT 2"  # noqa: S608 - constants
    rows = db.execute(sql, (message,)).fetchall()
    return _recipient(rows[0]) if len(rows) == 1 and not _is_incomplete(db, message) else None


def mark_incomplete(db: sqlite3.Connection, message: int) -> None:
    """Keep that a message has had recipients who were erased."""
    db.execute("UPDATE sent_message SET incomplete = 1 WHERE id = ?", (message,))


def _is_incomplete(db: sqlite3.Connection, message: int) -> bool:
    return bool(db.execute("SELECT incomplete FROM sent_message WHERE id = ?", (message,)).fetchone()[0])


def unaddressed_recipient(db: sqlite3.Connection, message: int, address: str) -> StoredRecipient:
    """The recipient that reports without having been addressed, kept or not."""
    wanted = canonical(address)
    for known in _same_mailbox(db, message, address):
        if canonical(known.address) == wanted:
            return known
    return StoredRecipient(message, address, addressed=False, sequence=0, state=RecipientState())


def is_crowded(db: sqlite3.Connection, recipient: StoredRecipient) -> bool:
    """Whether a recipient was never addressed, is not kept, and comes after as many of its kind as are kept."""
    if recipient.addressed or load_recipient(db, recipient.message, recipient.address) is not None:
        return False
    sql = "SELECT count(*) FROM recipient WHERE message = ? AND addressed = 0"
    return int(db.execute(sql, (recipient.message,)).fetchone()[0]) >= MAX_UNADDRESSED


def keep_recipient(db: sqlite3.Connection, recipient: StoredRecipient) -> None:
    """Keep a recipient that was never addressed, if it is not kept already."""
    db.execute(
        "INSERT INTO recipient (message, mailbox, address, addressed) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (recipient.message, *kept(recipient.address), int(recipient.addressed)),
    )


def load_recipient(db: sqlite3.Connection, message: int, address: str) -> StoredRecipient | None:
    """The recipient of a row; the address exactly as kept."""
    sql = f"SELECT {_RECIPIENT_COLUMNS} FROM recipient WHERE message = ? AND mailbox = ? AND address = ?"  # noqa: S608 - constants
    row = db.execute(sql, (message, *kept(address))).fetchone()
    return _recipient(row) if row else None


def recipients_of(db: sqlite3.Connection, message: int) -> list[StoredRecipient]:
    """All recipients of a message, in order of their addresses."""
    sql = f"SELECT {_RECIPIENT_COLUMNS} FROM recipient WHERE message = ? ORDER BY {_ADDRESS}"  # noqa: S608 - constants
    return [_recipient(row) for row in db.execute(sql, (message,))]


def recipients_with_mailbox(db: sqlite3.Connection, address: str, limit: int) -> list[StoredRecipient]:
    """Recipients of any message whose address is equal but for case and sub-address, the latest messages first."""
    sql = f"SELECT {_RECIPIENT_COLUMNS} FROM recipient WHERE mailbox = ? ORDER BY message DESC LIMIT ?"  # noqa: S608 - constants
    return [_recipient(row) for row in db.execute(sql, (without_sub_address(address), limit))]


def probable_recipient(db: sqlite3.Connection, message: int, address: str) -> str | None:
    """Who may stand behind an address that was not written to: the sole recipient, or the only one of its domain."""
    sql = f"SELECT {_ADDRESS} FROM recipient WHERE message = ? AND addressed = 1 LIMIT ?"  # noqa: S608 - constants
    rows = [row[0] for row in db.execute(sql, (message, MAX_RECIPIENTS_FOR_HINT + 1))]
    if len(rows) > MAX_RECIPIENTS_FOR_HINT or _is_incomplete(db, message):
        return None
    if len(rows) == 1:
        return str(rows[0])
    domain = split(canonical(address))[1]
    same = [one for one in rows if split(canonical(one))[1] == domain]
    return str(same[0]) if len(same) == 1 else None


def save_state(db: sqlite3.Connection, recipient: StoredRecipient) -> None:
    """Keep the recipient's state and the number of its events."""
    content = state_content(recipient.state)
    db.execute(
        "UPDATE recipient SET state = ?, sequence = ? WHERE message = ? AND mailbox = ? AND address = ?",
        (
            None if content == "{}" else content,
            recipient.sequence,
            recipient.message,
            *kept(recipient.address),
        ),
    )


def forget_if_empty(db: sqlite3.Connection, recipient: StoredRecipient) -> None:
    """Drop a recipient that was never addressed, about whom nothing is claimed any more and nothing was told."""
    if not recipient.addressed and not recipient.state.times and recipient.sequence == 0:
        db.execute(
            "DELETE FROM recipient WHERE message = ? AND mailbox = ? AND address = ?",
            (recipient.message, *kept(recipient.address)),
        )


def forget_states(db: sqlite3.Connection) -> None:
    """Forget every state; the evidence for them is kept elsewhere."""
    db.execute("UPDATE recipient SET state = NULL WHERE state IS NOT NULL")


def forget_empty(db: sqlite3.Connection) -> None:
    """Drop every recipient that was never addressed, about whom nothing is claimed and nothing was told."""
    db.execute("DELETE FROM recipient WHERE addressed = 0 AND state IS NULL AND sequence = 0")
