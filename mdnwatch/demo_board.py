"""The board of the demo: each recipient with its state, why, and the webhook that told it; as a table or as lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from mdnwatch.event_words import STYLES, words_of

NO_EVIDENCE = "no evidence"
WAITING = "waiting"

# Characters. A narrower terminal has no room for a column of webhooks.
WIDE = 110
# As wide as what comes, so that nothing jumps.
_STATE, _WEBHOOK = 13, 21

SUSPICIOUS = "report.suspicious"
CONTRADICTED = "receipt older than its message"


@dataclass(frozen=True, slots=True)
class Row:
    """One recipient of one message. `trust` says how the report was matched, and the grade."""

    message_id: str
    address: str
    subject: str
    state: str = NO_EVIDENCE
    why: str = ""
    trust: str = ""
    webhook: str = ""
    before: str = ""


@dataclass(slots=True)
class Board:
    """The rows by Message-ID and address, in the order in which they were put up; `received` webhooks."""

    rows: dict[tuple[str, str], Row] = field(default_factory=dict)
    received: list[Mapping[str, Any]] = field(default_factory=list)

    def put(self, row: Row) -> None:
        """Put up a row, or write it anew."""
        self.rows[row.message_id, row.address] = row

    def take(self, event: Mapping[str, Any]) -> None:
        """Write what a webhook told into the row that it is about."""
        self.received.append(event)
        data = event["data"]
        message_id = data.get("message_id") or data["message"]["message_id"]
        recipient = data["recipient"]
        address = recipient if isinstance(recipient, str) else recipient["address"]
        old = self.rows.get((message_id, address)) or Row(message_id, address, "")
        if event["type"] == SUSPICIOUS:
            self.put(replace(old, why=CONTRADICTED, trust="contradicted: it changes nothing", webhook=event["type"]))
            return
        words = words_of(event)
        trust = f"{data['correlation']['rung']}, {words.grade}"
        self.put(
            Row(message_id, address, words.subject, words.what, words.why, trust, event["type"], before=old.webhook)
        )


@dataclass(frozen=True, slots=True)
class View:
    """The whole board for rich, two lines for each recipient; `caption` says what happens now."""

    board: Board
    caption: str
    busy: bool = False

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """As wide as the terminal."""
        is_wide = options.max_width >= WIDE
        grid = Table(box=box.ROUNDED, border_style="dim", header_style="bold", expand=True)
        grid.add_column("Recipient", no_wrap=True)
        grid.add_column("State", no_wrap=True, min_width=_STATE)
        grid.add_column("Why, how matched, how far trusted", ratio=1, no_wrap=True)
        if is_wide:
            grid.add_column("Signed webhook", no_wrap=True, min_width=_WEBHOOK)
        for row in self.board.rows.values():
            grid.add_row(*(_wide_cells(row) if is_wide else _narrow_cells(row)))
        yield grid
        text = Text(self.caption, style="italic")
        yield Spinner("dots", text=text) if self.busy else text


def _wide_cells(row: Row) -> tuple[Text, ...]:
    after = f"  after {row.before.rpartition('.')[2]}" if row.before else ""
    webhook = _two(f"✓ {row.webhook}" if row.webhook else "", after, "green", "dim")
    return _recipient(row), _state(row), _two(row.why, row.trust, "", "dim"), webhook


def _narrow_cells(row: Row) -> tuple[Text, ...]:
    webhooks = "✓ 2 webhooks" if row.before else "✓ webhook" if row.webhook else ""
    state = Text.assemble(_state(row), "\n", (webhooks, "green"))
    return _recipient(row), state, _two(row.why, row.trust, "", "dim")


def _recipient(row: Row) -> Text:
    return _two(row.address, row.subject or "its copy is not in Sent", "bold", "dim italic")


def _state(row: Row) -> Text:
    style = STYLES.get(row.state, "dim")
    mark = "○" if row.state in (NO_EVIDENCE, WAITING) else "●"
    return Text(f"{mark} {row.state}", style)


def _two(first: str, second: str, first_style: str, second_style: str) -> Text:
    return Text.assemble((first, first_style), "\n", (second, second_style))


def event_line(event: Mapping[str, Any]) -> str:
    """A webhook in one line."""
    data, words = event["data"], words_of(event)
    if event["type"] == SUSPICIOUS:
        return f"webhook {event['type']}: {words.who}: {CONTRADICTED}, and changes nothing"
    trust = f"matched by {data['correlation']['rung']}, {words.grade}"
    return f"webhook {event['type']}: {words.who} is now {words.what} ({words.why}; {trust})"


def state_lines(board: Board) -> Iterator[str]:
    """Each message with its recipients and their states, a line each."""
    subject = None
    for row in board.rows.values():
        if row.subject != subject:
            yield row.subject
        subject = row.subject
        yield f"  {row.address}: {row.state}" + (" (which is not “unread”)" if row.state == NO_EVIDENCE else "")
