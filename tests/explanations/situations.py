"""Situations in which somebody has a doubt, and what is explained of each; the golden texts beside are read by people.

Run with names as arguments it writes their texts anew, "all" for every one: read them before they are kept.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from facts import OURS, SENT_AT, block, dsn, head, mdn, reply, rfc822, sent_message

from mdnwatch import explain, explain_file
from mdnwatch.config import Config, build
from mdnwatch.explanation import show, whole
from mdnwatch.explanation.say import Clock
from mdnwatch.followups import Followups
from mdnwatch.model.authenticity import Checks, Dmarc
from mdnwatch.model.evidence import extract
from mdnwatch.model.followup import Watch
from mdnwatch.model.received import Place
from mdnwatch.model.report import Action, DispositionType, FeedbackReport, Report, Typed, report_id
from mdnwatch.model.sent import Requested, SentMessage
from mdnwatch.model.stored import stored
from mdnwatch.placement import record_malformed, record_report, record_sent
from mdnwatch.store.migrate import migrate
from mdnwatch.unit import Unit, rules_of
from mdnwatch.visibility import ALL, Visible

HERE = Path(__file__).parent
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WIDTH = 100

BOB = "bob@there.example"
CAROL = "carol@there.example"
OFFER = "<offer@mail.example>"


NOT_CHECKED = Checks()


@dataclass(frozen=True, slots=True)
class Sighted:
    """A report with what was found of its sender, where it was not seen as others are."""

    report: Report
    checks: Checks = NOT_CHECKED


Fact = Report | SentMessage | Sighted | str  # a str: why a report is malformed


@dataclass(frozen=True, slots=True)
class Situation:
    """What happened, and what is asked about it; `mail` is a file that is shown."""

    facts: Sequence[Fact]
    query: str = BOB
    mail: bytes | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    after: timedelta = DAY
    extra: Mapping[str, Any] = field(default_factory=dict)
    silence_told: bool = False
    later: Sequence[Fact] = ()


def config_of(settings: Mapping[str, Any]) -> Config:
    account = {"name": "sales", "host": "imap.example", "username": OURS, "password": {"file": "/none"}}
    return build({"state_dir": "/nowhere", "accounts": [{**account, "addresses": [OURS]}], **settings}, {})


def record(db: sqlite3.Connection, config: Config, facts: Iterable[Fact], now: datetime) -> None:
    unit = Unit(db, rules_of(config), now, lambda _db, _event, _now: None)
    for uid, fact in enumerate(facts, start=1):
        place = Place("sales", "INBOX", 1, uid)
        if isinstance(fact, SentMessage):
            record_sent(unit, fact)
        elif isinstance(fact, str):
            record_malformed(unit, f"{uid:064x}", place, fact)
        else:
            sighted = fact if isinstance(fact, Sighted) else Sighted(fact)
            report = sighted.report
            identifier = report_id(report.head, report.report_part)
            taken_in = (report.head.date or SENT_AT) + timedelta(seconds=5)
            kept = stored(report, identifier, "sales", taken_in, announce=True)
            kept = replace(kept, provenance=replace(kept.provenance, checks=sighted.checks))
            sha256 = hashlib.sha256(identifier.encode()).hexdigest()
            record_report(unit, kept, extract(report, identifier, taken_in), place, sha256)


def tell_silence(db: sqlite3.Connection, config: Config, now: datetime) -> None:
    """What the sweep of the daemon does."""

    def nothing(*_: object) -> None:
        return

    log = cast("Any", None)
    sweep = Followups(log, dict, dict, nothing, nothing, lambda: now, log)  # type: ignore[arg-type] # only `_look` is used
    watch = Watch(config.overdue_after, config.overdue_of == "all", config.watch_for)
    sweep._look(db, watch, {"sales": now}, now)


def facts_of(situation: Situation, sees: Visible = ALL) -> dict[str, Any]:
    """The facts that the database gives."""
    now, config = SENT_AT + situation.after, config_of(situation.config)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db, Path(":memory:"))
        record(db, config, situation.facts, now)
        if situation.silence_told:
            tell_silence(db, config, now)
        record(db, config, situation.later, now)
        asker = explain.Asker(config, now, sees)
        if situation.mail is None:
            return {**explain.answer(db, {"query": situation.query}, asker), **situation.extra}
        mail = explain_file.read(situation.mail, {OURS}, now)
        found = explain.answer(db, mail.question, asker)
        return {**found, "file": "mail.eml", "read": mail.facts, "now": explain.time_text(now), **situation.extra}


def text_of(situation: Situation) -> str:
    """The explanation as it is printed."""
    sections = whole.explain(facts_of(situation), Clock(SENT_AT + situation.after))
    return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in show.lines(sections, WIDTH))


def habits(domain: str, answered: int, asked: int) -> list[Fact]:
    """Earlier messages to a domain that asked for a receipt, some of which were answered."""
    found: list[Fact] = []
    for n in range(asked):
        sent = sent_message(f"<earlier{n}@mail.example>", [f"p{n}@{domain}"], mdn=True, date=SENT_AT - 30 * DAY)
        found.append(sent)
        if n < answered:
            told = head(f"<r{n}@{domain}>", from_address=f"p{n}@{domain}", date=SENT_AT - 29 * DAY)
            found.append(mdn(told, original_message_id=sent.message_id, final=f"p{n}@{domain}"))
    return found


SIEVE = head("<sieve@there.example>", from_address="postmaster@there.example", auto_submitted_comment="rejected")
NO_USER = replace(
    block(BOB, Action.FAILED, status="5.1.1"), diagnostic_code=Typed("smtp", "550 5.1.1 No such user here")
)
RECEIPT_FILE = b"""From: Bob <bob@there.example>
To: alice@mail.example
Date: Mon, 23 Nov 2026 10:00:00 +0000
Message-ID: <r@there.example>
Subject: Read: Offer
MIME-Version: 1.0
Content-Type: multipart/report; report-type=disposition-notification; boundary=b

--b
Content-Type: text/plain

It was displayed.
--b
Content-Type: message/disposition-notification

Reporting-UA: pc.there.example; Thunderbird 128
Final-Recipient: rfc822; bob@there.example
Original-Message-ID: <offer@mail.example>
Disposition: manual-action/MDN-sent-manually; displayed

--b--
"""
ORDINARY_FILE = b"""From: Carol <carol@there.example>
To: alice@mail.example
Date: Mon, 23 Nov 2026 10:00:00 +0000
Message-ID: <lunch@there.example>
Subject: Lunch
Content-Type: text/html

<p>Tomorrow?</p>
"""
MALFORMED_FILE = RECEIPT_FILE.replace(b"Disposition: manual-action/MDN-sent-manually; displayed\n", b"")
ANSWER_FILE = ORDINARY_FILE.replace(b"Subject: Lunch", b"Subject: Re: Offer\nIn-Reply-To: <offer@mail.example>")

SITUATIONS: Mapping[str, Situation] = {
    "displayed": Situation(
        [sent_message(mdn=True), mdn(head(), reporting_ua="pc.there.example; Thunderbird 128")], OFFER
    ),
    "displayed-and-proved": Situation([sent_message(mdn=True), Sighted(mdn(head()), Checks(dmarc=Dmarc.PASS))]),
    "failed": Situation([sent_message(), dsn(head("<d@x>"), [NO_USER])]),
    "refused-by-sieve": Situation(
        [
            sent_message(),
            mdn(
                SIEVE,
                disposition_type=DispositionType.DELETED,
                action_mode="automatic-action",
                reporting_ua="there.example; Dovecot Mail Delivery Agent",
            ),
        ]
    ),
    "deleted-unread-by-exchange": Situation(
        [
            sent_message(mdn=True),
            mdn(head(), disposition_type=DispositionType.DELETED, action_mode="automatic-action"),
        ]
    ),
    "declined": Situation([sent_message(mdn=True), mdn(head(), disposition_type=DispositionType.DENIED)]),
    "delayed": Situation(
        [
            sent_message(),
            dsn(head("<d@x>"), [block(BOB, Action.DELAYED, status="4.4.1", retry_until=SENT_AT + 5 * DAY)]),
        ]
    ),
    "handed-over-by-exim": Situation(
        [sent_message(), dsn(head("<d@x>"), [block(BOB, Action.DELIVERED, remote_mta="relay.there.example")])]
    ),
    "relayed-and-nothing-more": Situation(
        [sent_message(mdn=True), dsn(head("<d@x>"), [block(BOB, Action.RELAYED)])], after=10 * DAY
    ),
    "conflicting": Situation(
        [
            sent_message(mdn=True),
            dsn(head("<d@x>"), [NO_USER]),
            mdn(head(date=SENT_AT + 5 * HOUR), reporting_ua="Thunderbird"),
        ]
    ),
    "list-with-a-failing-member": Situation(
        [
            sent_message(recipients=["team@there.example"]),
            dsn(head("<d1@x>"), [block("team@there.example", Action.EXPANDED)]),
            dsn(
                head("<d2@x>", date=SENT_AT + 2 * HOUR),
                [block("dave@else.example", original="team@there.example", status="5.2.2")],
            ),
        ],
        "team@there.example",
    ),
    "answered": Situation(
        [
            sent_message(),
            reply(head("<re@there.example>", in_reply_to=[OFFER])),
        ]
    ),
    "away": Situation(
        [
            sent_message(mdn=True),
            reply(head("<away@there.example>", in_reply_to=[OFFER]), by_machine=True, return_date=date(2026, 12, 1)),
        ]
    ),
    "complained": Situation(
        [
            sent_message(),
            FeedbackReport(
                head=head("<arf@provider.example>", from_address="fbl@provider.example"),
                format="rfc5965",
                report_part=b"abuse",
                feedback_type="abuse",
                original_rcpt_to=(BOB,),
                original_message_id=OFFER,
            ),
        ]
    ),
    "silence-where-a-receipt-was-asked": Situation(
        [*habits("there.example", 2, 9), sent_message(mdn=True)], after=5 * DAY
    ),
    "silence-that-is-overdue": Situation([sent_message(mdn=True)], after=4 * DAY, silence_told=True),
    "displayed-after-it-was-overdue": Situation(
        [sent_message(mdn=True)], after=4 * DAY, silence_told=True, later=[mdn(head(date=SENT_AT + 4 * DAY))]
    ),
    "silence-to-the-end": Situation([sent_message(mdn=True)], OFFER, after=100 * DAY, silence_told=True),
    "silence-where-nothing-was-asked": Situation([sent_message()], after=5 * DAY),
    "silence-of-a-domain-that-answers": Situation(
        [*habits("there.example", 7, 8), sent_message(mdn=True)], after=3 * HOUR
    ),
    "silence-where-delivery-was-asked": Situation(
        [replace(sent_message(), requested=Requested(dsn=("failure", "success")))], after=5 * DAY
    ),
    "forged-receipt": Situation([sent_message(mdn=True), mdn(head(date=SENT_AT - 14 * DAY))]),
    "stranger-with-a-wrong-date": Situation(
        [
            sent_message(mdn=True),
            mdn(head(from_address="eve@evil.example", date=SENT_AT - 14 * DAY), final="eve@evil.example"),
        ],
        OFFER,
    ),
    "doubtful-sender": Situation([sent_message(), mdn(head(from_address="x@elsewhere.example"))]),
    "below-min-grade": Situation(
        [sent_message(mdn=True), mdn(head(from_address="x@elsewhere.example"))], config={"min_grade": "consistent"}
    ),
    "never-addressed": Situation(
        [sent_message(mdn=True), mdn(head(from_address="dave@else.example"), final="dave@else.example")], OFFER
    ),
    "waiting-for-the-copy": Situation([mdn(head())], OFFER),
    "ambiguous": Situation(
        [
            sent_message(),
            sent_message("<second@mail.example>", [BOB]),
            mdn(head(), returned="<second@mail.example>"),
        ],
        OFFER,
    ),
    "several-recipients": Situation(
        [
            sent_message(recipients=[BOB, CAROL, "dave@else.example"], mdn=True),
            mdn(head()),
            dsn(head("<d@x>"), [replace(NO_USER, final_recipient=rfc822(CAROL))]),
        ],
        OFFER,
    ),
    "address-with-earlier-mail": Situation(
        [
            *(sent_message(f"<{n}@mail.example>", date=SENT_AT - n * DAY) for n in range(6, 0, -1)),
            mdn(head(date=SENT_AT - HOUR), original_message_id="<1@mail.example>"),
        ]
    ),
    "nothing-known": Situation([], "nobody@nowhere.example"),
    "account-down": Situation(
        [sent_message(mdn=True)],
        extra={
            "accounts": [
                {"name": "sales", "state": "down", "since": "2026-11-23T12:00:00Z", "cause": "the password was refused"}
            ]
        },
    ),
    "file-of-a-receipt": Situation([sent_message(mdn=True)], mail=RECEIPT_FILE),
    "file-unknown-message": Situation([], mail=RECEIPT_FILE),
    "file-ordinary-mail": Situation([], mail=ORDINARY_FILE),
    "file-malformed": Situation([], mail=MALFORMED_FILE),
    "file-answer": Situation([sent_message(recipients=[CAROL])], mail=ANSWER_FILE),
    "file-answer-of-somebody-else": Situation([sent_message()], mail=ANSWER_FILE),
    "file-of-ones-own": Situation(
        [sent_message("<lunch@there.example>", [BOB])], mail=ORDINARY_FILE.replace(b"carol@there", b"alice@mail")
    ),
}


def write(names: Iterable[str]) -> None:
    for name in names:
        (HERE / f"{name}.txt").write_text(text_of(SITUATIONS[name]), "utf-8")


if __name__ == "__main__":
    os.environ["TZ"] = "UTC"
    time.tzset()
    write(SITUATIONS if sys.argv[1:] == ["all"] else sys.argv[1:])
