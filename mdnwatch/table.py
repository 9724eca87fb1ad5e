"""Tables for spreadsheets: a row for each recipient with its state, a page at a time from daemon or database."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime
from typing import Any, TextIO

from mdnwatch import local_api
from mdnwatch.config import Config
from mdnwatch.errors import MdnwatchError
from mdnwatch.explain import time_text
from mdnwatch.model.authenticity import Grade
from mdnwatch.model.evidence import Kind
from mdnwatch.model.state import RecipientState
from mdnwatch.model.stored import from_ms, state_from
from mdnwatch.problems import not_one_of
from mdnwatch.store import table_queries
from mdnwatch.store.sqlite import DATABASE_NAME, connect_for_reading
from mdnwatch.store.table_queries import START, Cursor, Row
from mdnwatch.visibility import ALL, Visible

# Of one answer of the daemon: some hundred KB.
MAX_ROWS = 500

# What each column holds; the README has the same table.
COLUMNS: Mapping[str, str] = {
    "message_id": "Message-ID, with angle brackets",
    "account": "the account, by its name",
    "from": "who sent it",
    "subject": "its subject",
    "reference": "your own word for it",
    "sent_at": "when it was sent",
    "mdn_requested": "yes where the copy shows that a receipt was asked for",
    "dsn_requested": "the NOTIFY values that are known, divided by blanks",
    "recipient": "the address",
    "addressed": "no where it reports without having been written to",
    "summary": "the state in one word",
    "delivery": "how far it has come",
    "reading": "what the recipient has done with it",
    "flags": "conflicting, partly_failed, auto_replied, complained, divided by blanks",
    "grade": "the best grade of the evidence that is not contradicted",
    "reasons": "why it failed, divided by blanks",
    "members_failed": "the addresses behind it that failed, divided by blanks",
    "handed_over_to": "the hosts that it was given to, divided by blanks",
    "return_date": "the day on which an absence ends",
    "failed_at": "when it failed first, as a report claims it, else as it was observed",
    "delivered_at": "when it was delivered first, likewise",
    "displayed_at": "when it was displayed first, likewise",
    "replied_at": "when it was answered first, likewise",
    "last_observed_at": "when the last report about it was taken in",
    "events": "how many events were told of it",
}

# OWASP, "CSV Injection": what a spreadsheet takes for a formula. Foreign text must not begin with one of these.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Facts = dict[str, Any]


def page(db: sqlite3.Connection, question: Mapping[str, Any], sees: Visible = ALL) -> Facts:
    """Rows after `after` of a question with `since` (ms UTC) and `account`: `{"rows", "after", "more"}`."""
    after = _cursor(question.get("after"))
    found = table_queries.page(db, after, MAX_ROWS, question.get("since"), question.get("account"))
    return {
        "rows": [_cells(row) for _, row in found if sees.account(row.account)],
        "after": found[-1][0] if found else after,
        "more": len(found) == MAX_ROWS,
    }


def _cursor(value: object) -> Cursor:
    """Where a question goes on. Raises MdnwatchError."""
    if value is None:
        return START
    if not isinstance(value, list | tuple) or len(value) != len(START):
        raise MdnwatchError("a question for rows goes on after a message, a mailbox and an address")
    message, mailbox, address = value
    return int(message), str(mailbox), str(address)


def pages(config: Config, since: int | None, account: str | None) -> Iterator[Facts]:
    """One page after the other, from the daemon, or from the database while none runs. Raises MdnwatchError."""
    after: Sequence[Any] | None = None
    while True:
        question = {"command": "table", "after": after, "since": since, "account": account}
        found = local_api.ask(config.socket, question)
        if found is None:
            with closing(connect_for_reading(config.state_dir / DATABASE_NAME)) as db:
                found = page(db, question)
        yield found
        if not found["more"]:
            return
        after = found["after"]


def write(found: Iterator[Facts], out: TextIO) -> int:
    """Write pages as CSV (RFC 4180: CRLF, quotes where needed, a line of names first); how many rows there were."""
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    count = 0
    for one in found:
        writer.writerows([harmless(cell) for cell in row] for row in one["rows"])
        count += len(one["rows"])
        out.flush()
    return count


def harmless(cell: str) -> str:
    """The text of a cell, behind an apostrophe where a spreadsheet would take it for a formula."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def account_of(config: Config, name: str | None) -> str | None:
    """The name of an account. Raises ValueError where the configuration has none of it."""
    names = [one.name for one in config.accounts]
    if name is not None and name not in names:
        raise ValueError(not_one_of(name, names))
    return name


def _cells(row: Row) -> list[str]:
    """The cells of a recipient, in the order of COLUMNS."""
    state, requested = state_from(row.state), json.loads(row.requested)
    return [
        row.message_id,
        row.account,
        row.from_address,
        row.subject,
        row.reference or "",
        time_text(from_ms(row.sent_at)) or "",
        _yes(requested["mdn"]),
        " ".join(requested["dsn"]),
        row.address,
        _yes(row.addressed),
        state.summary,
        state.delivery.name.lower(),
        state.reading.name.lower(),
        " ".join(state.flags),
        _best(row.grades),
        " ".join(state.reasons),
        " ".join(state.members),
        " ".join(state.handed_over_to),
        state.return_date.isoformat() if state.return_date else "",
        *(_first(state, kind) for kind in (Kind.FAILED, Kind.DELIVERED, Kind.DISPLAYED, Kind.REPLIED)),
        time_text(max((times.last_observed for times in state.times.values()), default=None)) or "",
        str(row.sequence),
    ]


def _yes(value: object) -> str:
    return "yes" if value else "no"


def _best(grades: str | None) -> str:
    known = set((grades or "").split(","))
    return next((grade.value for grade in Grade if grade is not Grade.CONTRADICTED and grade.value in known), "")


def _first(state: RecipientState, kind: Kind) -> str:
    times = state.times.get(kind)
    at: datetime | None = None if times is None else times.first_claimed or times.first_observed
    return time_text(at) or ""
