"""A case file of one message: a page for people that prints well, and the same as JSON beside it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2

from mdnwatch import __version__, explain, private_file
from mdnwatch.errors import MdnwatchError
from mdnwatch.explanation import details, whole
from mdnwatch.explanation.say import Clock, Facts, Say, on
from mdnwatch.model.text import clean

# A statement has a server's words of a KiB in it.
LONGEST_TEXT = 8 * 1024  # bytes

# Of the JSON; a later one that says something else has another number.
VERSION = 1

LIMITS = (
    Say(
        "no-non-repudiation",
        "Receipts and delivery reports are no proof that the recipient cannot deny. A receipt gives the sender none"
        " for a message that was displayed, and its absence none that it was not.",
        "RFC 8098 §6.3",
    ),
    Say(
        "can-be-forged",
        "Any of these reports can be forged as easily as other mail. The grade of each says what was checked: plausible"
        " means only that nothing speaks against it.",
        "RFC 8098 §6.1",
    ),
    Say(
        "displayed-is-not-read",
        "Displayed means that a mail program showed the message, by its own account; not who saw it, nor that"
        " anybody read or"
        " understood it. Delivered means that it was put into a mailbox; not that anybody looked.",
        "RFC 8098 §3.2.6.2",
    ),
    Say("silence", "Silence proves nothing: a request for a receipt may be ignored.", "RFC 8098 §2.1"),
    Say(
        "clocks",
        "A claimed time is what the report says, an observed one what your mail server noted when it took the report"
        " in. Either clock may be wrong.",
    ),
    Say(
        "hashes",
        "A SHA-256 shows that a mail is the one that was read then; not that what it says is true. This file is not"
        " signed:"
        " keep the mails themselves.",
    ),
)


@dataclass(frozen=True, slots=True)
class Case:
    """A case file before it is written: both its texts, and the paths beside each other."""

    page: Path
    html: str
    data: Path
    json: str

    def write(self, *, force: bool) -> None:
        """Write both, readable for their owner alone. Raises MdnwatchError."""
        there = [str(path) for path in (self.page, self.data) if path.exists()]
        if there and not force:
            raise MdnwatchError(f"{', '.join(there)}: is there already: name another file, or say --force")
        try:
            private_file.write(self.data, self.json)
            private_file.write(self.page, self.html)
        except OSError as error:
            raise MdnwatchError(f"{error.filename or self.page}: {error.strerror}") from None


def made(facts: Facts, page: Path, now: datetime) -> Case:
    """The case file from the facts of a message, with `page` as its path; `now` is aware UTC.

    Raises MdnwatchError where the message is not known.
    """
    if facts["subject"] != "message" or not facts["messages"]:
        raise MdnwatchError(f"{facts['query']}: no message with this Message-ID is known; mdnwatch explain says more")
    clock, data = Clock(now, kept=True), page.with_name(page.name + ".json")
    text = json.dumps(_for_programs(facts, clock), ensure_ascii=False, indent=1) + "\n"
    text = text.encode("utf-8", "replace").decode("utf-8")
    html = _template().render(
        message_id=facts["messages"][0]["message_id"],
        made_at=on(explain.time_text(now), clock),
        made_by=f"mdnwatch {__version__}",
        json_name=data.name,
        json_sha256=hashlib.sha256(text.encode("utf-8")).hexdigest(),
        verdicts=list(whole.verdicts(facts, clock)),
        limits=LIMITS,
        reports=list(whole.details_of(facts, clock)),
        mails=list(_mails(facts)),
        events=list(_events(facts, clock)),
    )
    return Case(page, html, data, text)


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mdnwatch"), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["shown"] = lambda text: clean(str(text), LONGEST_TEXT)
    return environment.get_template("case.html")


def _for_programs(facts: Facts, clock: Clock) -> dict[str, Any]:
    says = whole.for_programs(facts, clock)["says"]
    return {
        "case_file": VERSION,
        "made_at": explain.time_text(clock.now),
        "made_by": f"mdnwatch {__version__}",
        "message_id": facts["messages"][0]["message_id"],
        "does_not_prove": [say._asdict() for say in LIMITS],
        "says": says,
        "messages": facts["messages"],
        "other_reports": facts["other_reports"],
    }


def _reports(facts: Facts) -> Iterator[Facts]:
    """Each report of the case once."""
    found = [
        piece["report"]
        for message in facts["messages"]
        for recipient in message["recipients"]
        for piece in recipient["evidence"]
    ]
    yield from {report["report_id"]: report for report in (*found, *facts["other_reports"])}.values()


def _mails(facts: Facts) -> Iterator[dict[str, Any]]:
    for report in _reports(facts):
        for place in report["seen_in"]:
            yield {"report_id": report["report_id"], "place": details.place_of(place), "sha256": place["sha256"]}


def _events(facts: Facts, clock: Clock) -> Iterator[dict[str, Any]]:
    for message in facts["messages"]:
        told = [(recipient["address"], event) for recipient in message["recipients"] for event in recipient["told"]]
        told += [("the message", event) for event in message["events"]]
        for about, event in sorted(told, key=lambda one: str(one[1]["at"])):
            yield {**event, "about": about, "at": on(event["at"], clock)}
