"""A batch of received messages becomes one transaction: evidence, states, events and checkpoint together."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from mdnwatch.mail import mime
from mdnwatch.mail.reader import read_message
from mdnwatch.mail.recognise import is_as2
from mdnwatch.mail.reply import read_reply
from mdnwatch.mail.sent import read_sent
from mdnwatch.mail.signed_receipt import NOT_VERIFIED
from mdnwatch.metrics import Metrics
from mdnwatch.model.answer import is_to_us
from mdnwatch.model.authenticity import Checks, Smime
from mdnwatch.model.event import Event
from mdnwatch.model.evidence import Evidence, Kind, extract
from mdnwatch.model.own_mail import is_about_own, is_own
from mdnwatch.model.received import Batch, Handled, Place, RawMessage, Role
from mdnwatch.model.report import Head, Malformed, Reply, Report, report_id
from mdnwatch.model.sent import SentMessage
from mdnwatch.model.stored import REPLY, StoredReport, stored
from mdnwatch.model.token import NO_KEYS, Keyring
from mdnwatch.placement import record_malformed, record_report, record_sent
from mdnwatch.store.later import Later
from mdnwatch.store.mark_queries import save_checkpoint
from mdnwatch.unit import Rules, Unit
from mdnwatch.verification.verifier import Verify, verify_nothing

T = TypeVar("T")

# A message up to this size is read in a fraction of the time that a thread hand-over and its cache misses cost.
READ_ON_LOOP_BYTES = 256 * 1024

# Of these nothing is logged and counted: a reply to other mail is nobody's business, and what was erased is not known.
UNKEPT = frozenset({"held", "erased"})

# The defect of a report of which not all was fetched (`max_message_size`).
CUT = "message-cut"

# Other tasks get their turn at least this often while a batch is read.
MAX_SECONDS_ON_LOOP = 0.01

NO_ADDRESSES: Mapping[str, Collection[str]] = MappingProxyType({})


class Writer(Protocol):
    """The part of the store that the pipeline needs."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do a unit of work in one transaction."""
        ...


class Log(Protocol):
    """The part of a structured logger that is needed here."""

    def info(self, event: str, **fields: Any) -> Any:  # noqa: ANN401 - structlog's own type
        """One line."""
        ...

    def warning(self, event: str, **fields: Any) -> Any:  # noqa: ANN401 - structlog's own type
        """One line that a person may have to look at."""
        ...


@dataclass(frozen=True, slots=True)
class ReadReport:
    """A report as read, before it is known whether it was seen before."""

    place: Place
    report: StoredReport
    evidence: tuple[Evidence, ...]
    sha256: str | None = None  # of the mail itself, where all of it was fetched


@dataclass(frozen=True, slots=True)
class ReadSent:
    """A sent copy as read."""

    place: Place
    sent: SentMessage
    follow: bool = True  # False for what was sent before it was watched


@dataclass(frozen=True, slots=True)
class Unusable:
    """A message that declares a report and holds none that can be used, or on which the reader failed."""

    place: Place
    report_id: str
    reason: str
    sha256: str | None = None


Item = ReadReport | ReadSent | Unusable


@dataclass(slots=True)
class Outcome:
    """What the transaction has made of one message; for its line in the log."""

    item: Item
    outcome: str
    events: Sequence[Event] = ()
    placed: Sequence[tuple[str, str]] = ()  # rung and grade of each piece of evidence that was matched


class Pipeline:
    """Takes batches of received messages, from any number of sources at once."""

    def __init__(  # noqa: PLR0913 - what the wiring hands over
        self,
        store: Writer,
        *,
        rules: Rules,
        enqueue: Callable[[sqlite3.Connection, Event, datetime], None],
        wake_outbox: Callable[[], None],
        now: Callable[[], datetime],
        log: Log,
        metrics: Metrics,
        verify: Verify = verify_nothing,
        token_keys: Callable[[], Keyring] = lambda: NO_KEYS,
    ) -> None:
        self._store = store
        self.rules = rules
        self._enqueue = enqueue
        self._wake_outbox = wake_outbox
        self._now = now
        self._log = log
        self._metrics = metrics
        self._verify = verify
        self._token_keys = token_keys

    async def handle(self, batch: Batch) -> Handled:
        """Read the messages of a batch and keep what they tell, with its checkpoint, in one transaction.

        Raises CommitFailed when nothing was kept: then the source must not advance.
        """
        items = await self._read_all(batch.messages)
        now, rules = self._now(), self.rules

        def work(db: sqlite3.Connection) -> list[Outcome]:
            outcomes = record(db, items, lambda: Unit(db, rules, now, self._enqueue))
            save_checkpoint(db, batch.checkpoint)
            return outcomes

        outcomes = await self._store.run(work)
        if any(outcome.events for outcome in outcomes):
            self._wake_outbox()
        for outcome in outcomes:
            if outcome.outcome not in UNKEPT:
                self._log_line(outcome)
                self._count(outcome)
        return _handled(outcomes)

    async def _read_all(self, messages: Sequence[RawMessage]) -> list[Item]:
        own, keys = self.rules.own_addresses, self._token_keys()
        items: list[Item] = []
        reports: list[tuple[int, RawMessage]] = []
        turn = time.monotonic()
        for message in messages:
            if len(message.data) > READ_ON_LOOP_BYTES:
                item = await asyncio.to_thread(read_item, message, own, keys)
            else:
                item = read_item(message, own, keys)
            if isinstance(item, ReadReport):
                reports.append((len(items), message))
            if item is not None:
                items.append(item)
            if time.monotonic() - turn > MAX_SECONDS_ON_LOOP:
                await asyncio.sleep(0)
                turn = time.monotonic()
        for (n, _), checks in zip(reports, await self._verify([message for _, message in reports]), strict=True):
            items[n] = _checked(items[n], checks)
        return items

    def _log_line(self, outcome: Outcome) -> None:
        """One line for one handled message; what a sent copy says is worth none of its own."""
        item = outcome.item
        fields: dict[str, Any] = {
            "account": item.place.account,
            "folder": item.place.folder,
            "uid": item.place.uid or item.place.name,
            "outcome": outcome.outcome,
            "events": [event.id for event in outcome.events],
        }
        if isinstance(item, ReadSent):
            if outcome.events:
                self._log.info("message handled", **fields, sent=item.sent.message_id)
        elif isinstance(item, Unusable):
            self._log.warning("message handled", **fields, report=item.report_id, reason=item.reason)
        else:
            fields["recipients"] = [(piece.original or piece.final or ("",))[0] for piece in item.evidence[:20]]
            self._log.info("message handled", **fields, report=item.report.id, kind=item.report.kind)

    def _count(self, outcome: Outcome) -> None:
        item = outcome.item
        self._metrics.handled(item.place.account, _kind(item))
        for rung, grade in outcome.placed:
            self._metrics.placed(rung, grade)
        # Older mail that is read at last did not wait for mdnwatch.
        if isinstance(item, ReadReport) and item.report.announce:
            self._metrics.committed(item.report.observed_at, self._now())


def _kind(item: Item) -> str:
    if isinstance(item, ReadReport):
        return item.report.kind
    return "sent" if isinstance(item, ReadSent) else "malformed"


def read_item(
    message: RawMessage, own: Mapping[str, Collection[str]] = NO_ADDRESSES, token_keys: Keyring = NO_KEYS
) -> Item | None:
    """What a received message is to us: a report, a sent copy, something unusable, or None (ordinary mail).

    `own` holds each account's own addresses, as `without_sub_address` writes them. Tokens are verified with
    `token_keys`.
    """
    try:
        if message.role is Role.SENT:
            sent = read_sent(message.data, message.place.account)
            return None if sent is None or is_own(sent.message_id) else ReadSent(message.place, sent, message.announce)
        return _report_item(message, _read(message.data), own.get(message.place.account, ()), token_keys)
    except Exception as error:  # noqa: BLE001 - one bad message must not stop the mailbox; it is told and kept
        return _failed_on(message.place, message.data, error)


def _read(data: bytes) -> Report | Malformed | None:
    message = mime.read(data)
    # RFC 4130: receipts of an AS2 exchange are left alone.
    return None if is_as2(message.header) else read_message(message) or read_reply(message)


def _report_item(
    message: RawMessage, report: Report | Malformed | None, own: Collection[str], token_keys: Keyring
) -> Item | None:
    if report is None or (isinstance(report, Reply) and not is_to_us(report, own)):
        return None
    identifier = report_id(report.head, report.report_part)
    if isinstance(report, Malformed):
        is_ours = is_about_own((), message.data)
        return None if is_ours else Unusable(message.place, identifier, report.reason, sha256_of(message))
    kept = stored(
        report,
        identifier,
        message.place.account,
        message.received_at,
        announce=message.announce,
        token_keys=token_keys,
    )
    if is_about_own(kept.keys, message.data):
        return None
    if isinstance(report, Reply):
        if not kept.keys:
            return None
    elif message.size > len(message.data):
        kept = replace(kept, defects=(*kept.defects, CUT))
    return ReadReport(message.place, kept, extract(report, identifier, message.received_at), sha256_of(message))


def sha256_of(message: RawMessage) -> str | None:
    """The SHA-256 of a mail as its server or file has it, in hexadecimal; None where not all of it was fetched."""
    return hashlib.sha256(message.data).hexdigest() if len(message.data) == message.size else None


def _checked(item: Item, checks: Checks) -> Item:
    """A report with what was found of its sender; of a reply no address is kept before it finds its message."""
    if not isinstance(item, ReadReport) or checks == Checks():
        return item
    if item.report.kind == REPLY:
        checks = replace(checks, smime_addresses=())
    defects = item.report.defects
    if checks.smime not in {Smime.NONE, Smime.NOT_VERIFIED}:
        defects = tuple(defect for defect in defects if defect != NOT_VERIFIED)
    provenance = replace(item.report.provenance, checks=checks)
    return replace(item, report=replace(item.report, provenance=provenance, defects=defects))


def _failed_on(place: Place, data: bytes, error: Exception) -> Unusable:
    reason = f"mdnwatch failed to read it ({type(error).__name__}): please report this with the message"
    return Unusable(place, report_id(Head(), data), reason)


def record(db: sqlite3.Connection, items: Sequence[Item], unit: Callable[[], Unit]) -> list[Outcome]:
    """Keep what the messages of a batch tell, each in a unit; what cannot be kept is quarantined, the others go on.

    SQLite copies each page that changes within a savepoint, for each savepoint: one for every message doubles the
    work. So they get one together, and are done again, one by one, in the rare case that one of them fails.
    """
    db.execute("SAVEPOINT batch")
    try:
        outcomes = _record_together(db, items, unit)
    except sqlite3.OperationalError:
        # A full disk or a locked file is no fault of a message: the whole batch is tried again.
        raise
    except Exception:  # noqa: BLE001 - which message it was, and why, is found out now
        db.execute("ROLLBACK TO batch")
        outcomes = [_record_alone(unit(), item) for item in items]
    db.execute("RELEASE batch")
    return outcomes


def _record_together(db: sqlite3.Connection, items: Sequence[Item], unit: Callable[[], Unit]) -> list[Outcome]:
    """The messages of a batch, their rows table by table as far as nothing reads them before."""
    later = Later()
    units = [unit() for _ in items]
    for one in units:
        one.later = later
    outcomes = [_record(one, item) for one, item in zip(units, items, strict=True)]
    later.write(db)
    for one in units:
        for event in one.events:
            one.enqueue(db, event, one.now)
    return outcomes


def _record_alone(unit: Unit, item: Item) -> Outcome:
    """One message in a savepoint of its own."""
    unit.db.execute("SAVEPOINT message")
    try:
        outcome = _record(unit, item)
    except sqlite3.OperationalError:
        raise
    except Exception as error:  # noqa: BLE001 - kept, told and logged as unusable
        unit.db.execute("ROLLBACK TO message")
        unit.events.clear()
        unit.placed.clear()
        identifier = item.report.id if isinstance(item, ReadReport) else report_id(Head(), repr(item.place).encode())
        reason = f"mdnwatch failed to keep it ({type(error).__name__}): please report this"
        bad = Unusable(item.place, identifier, reason)
        record_malformed(unit, identifier, item.place, reason)
        outcome = Outcome(bad, "quarantined", tuple(unit.events))
    unit.db.execute("RELEASE message")
    return outcome


def _record(unit: Unit, item: Item) -> Outcome:
    outcome = _record_item(unit, item)
    outcome.events, outcome.placed = tuple(unit.events), tuple(unit.placed)
    return outcome


def _record_item(unit: Unit, item: Item) -> Outcome:
    if isinstance(item, ReadSent):
        return Outcome(item, "sent" if record_sent(unit, item.sent, follow=item.follow) else "erased")
    if isinstance(item, Unusable):
        record_malformed(unit, item.report_id, item.place, item.reason, item.sha256)
        return Outcome(item, "malformed")
    return Outcome(item, record_report(unit, item.report, item.evidence, item.place, item.sha256))


def _came_at_once(outcome: Outcome) -> bool:
    """A responder answers within seconds, before the copy in Sent was seen; a person takes longer than that."""
    item = outcome.item
    if outcome.outcome != "held" or not isinstance(item, ReadReport):
        return False
    return item.evidence[0].kind is Kind.AUTO_REPLIED


def _handled(outcomes: Sequence[Outcome]) -> Handled:
    return Handled(
        reports=sum(isinstance(one.item, ReadReport) and one.outcome not in UNKEPT for one in outcomes),
        sent=sum(isinstance(one.item, ReadSent) for one in outcomes),
        unmatched=sum(one.outcome == "waiting" or _came_at_once(one) for one in outcomes),
        events=sum(len(one.events) for one in outcomes),
        failures=tuple(one.item.place for one in outcomes if isinstance(one.item, Unusable)),
    )
