"""What stands in the JSON of each event: the one description of it, from which types are checked and schemas made.

A new key is one line here, with what it tells; then tests/make_schemas.py writes the schemas anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NotRequired

# Pydantic, which makes the schemas, cannot read that of `typing` before Python 3.12.
from typing_extensions import TypedDict

from mdnwatch.errors import Cause
from mdnwatch.model.authenticity import Grade
from mdnwatch.model.correlation import Rung
from mdnwatch.model.event_type import EventType
from mdnwatch.model.evidence import Kind


@dataclass(frozen=True, slots=True)
class Told:
    """What a key tells; `form` is a format of JSON Schema (2020-12, validation §7)."""

    text: str
    form: str | None = None

    def __get_pydantic_json_schema__(self, schema: Any, handler: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:  # noqa: ANN401 - pydantic's protocol
        """The key's own schema with what is said here."""
        form = {} if self.form is None else {"format": self.form}
        return {**handler(schema), **form, "description": self.text}


Identifier = Annotated[str, Told("The event's id, the same at every attempt and as the webhook-id; no full stop in it")]
MessageId = Annotated[str, Told("Message-ID of the sent message, with angle brackets")]
MaybeTime = Annotated[str | None, Told("UTC, to the millisecond; null where it is not known", "date-time")]
Account = Annotated[str, Told("The account, by its name in the configuration")]
ReportId = Annotated[str, Told("Hash of the report, the same wherever and however often it is seen")]


class Requested(TypedDict):
    """What the sender is seen to have asked for; what is not seen may have been asked for all the same."""

    mdn: Annotated[bool, Told("A request for a read receipt stands in the copy of the message")]
    dsn: Annotated[list[str], Told("NOTIFY values of a submission by mdnwatch (RFC 3461 §4.1)")]


# In this form, since "from" is a word of Python.
Message = TypedDict(
    "Message",
    {
        "message_id": MessageId,
        "account": Account,
        "from": Annotated[str, Told("Who sent it")],
        "subject": Annotated[str, Told("Its subject, without control characters, on one line")],
        "sent_at": MaybeTime,
        "reference": Annotated[str | None, Told("Your own word for it, where you gave one")],
        "metadata": Annotated[Any, Told("Your own data about it, as you gave it; null where you gave none")],
        "requested": Requested,
    },
)


class State(TypedDict):
    """A state in words."""

    summary: Annotated[str, Told("The one word for it, as displayed, delivered or failed")]
    delivery: Annotated[str, Told("unknown, submitted, delayed, expanded, relayed, delivered or failed")]
    reading: Annotated[str, Told("none, processed, dispatched, deleted, declined, displayed or replied")]
    flags: Annotated[list[str], Told("auto_replied, complained, partly_failed, conflicting")]
    return_date: NotRequired[Annotated[str, Told("The day of return that an automatic reply names", "date")]]


class Times(TypedDict):
    """When it was first and last, as the reports claim and as the mail servers observed."""

    first_claimed: MaybeTime
    last_claimed: MaybeTime
    first_observed: MaybeTime
    last_observed: MaybeTime


class Recipient(State):
    """Of whom the event tells, with the state after it and before it."""

    address: Annotated[str, Told("The address, as written in the message or as reported")]
    addressed: Annotated[bool, Told("Whether the message was addressed to it")]
    times: Annotated[dict[str, Times], Told("For each kind of evidence, as displayed, its first and last time")]
    before: State
    probable_recipient: NotRequired[
        Annotated[str | None, Told("Who of the addressed this may be, where the address was never addressed")]
    ]


class Evidence(TypedDict):
    """What the event rests on. Keys that would be empty are left out."""

    report_id: ReportId
    block: Annotated[int, Told("Which of the report's blocks, from 0")]
    kind: Annotated[Kind, Told("What it is evidence of")]
    claimed_at: NotRequired[Annotated[str, Told("When it happened, as the report says; UTC", "date-time")]]
    observed_at: Annotated[str, Told("When the mail server took the report in; UTC", "date-time")]
    reason: NotRequired[Annotated[str, Told("Why it failed, in one word; several reports may give different ones")]]
    member: NotRequired[Annotated[str, Told("The address behind the recipient's that failed: an alias, a list")]]
    handed_over_to: NotRequired[Annotated[str, Told("The host that it was given to, and that will report no more")]]
    warnings: NotRequired[Annotated[list[str], Told("What the receipt says went wrong beside it")]]
    return_date: NotRequired[Annotated[str, Told("The day of return that an automatic reply names", "date")]]
    fields: NotRequired[
        Annotated[dict[str, Any], Told("Fields of the report; those of an MDN under the names of RFC 9007")]
    ]


class Correlation(TypedDict):
    """How the report was matched with the message."""

    rung: Annotated[Rung, Told("What the match rests on")]


class Reason(TypedDict):
    """What speaks for or against a report."""

    code: Annotated[str, Told("For programs")]
    text: Annotated[str, Told("For people")]


class Authenticity(TypedDict):
    """How far the report can be trusted."""

    grade: Grade
    reasons: list[Reason]
    by: NotRequired[
        Annotated[str, Told("What vouches for it: dmarc, dkim, smime or token; of an authenticated one only")]
    ]


class OfRecipient(TypedDict):
    """Data of the events of a recipient."""

    id: Identifier
    sequence: Annotated[int, Told("Number of the event among those of this recipient of this message, from 1")]
    message: Message
    recipient: Recipient
    evidence: Evidence
    correlation: Correlation
    authenticity: Authenticity


class Silence(TypedDict):
    """How long nothing was heard."""

    after_seconds: Annotated[int, Told("The step of the configuration that is over, in seconds after sending")]


class Overdue(TypedDict):
    """Data of recipient.overdue."""

    id: Identifier
    sequence: Annotated[int, Told("Number of the event among those of this recipient of this message, from 1")]
    message: Message
    recipient: Recipient
    overdue: Silence


class Settled(TypedDict):
    """Data of message.settled."""

    id: Identifier
    message: Message
    expired: Annotated[bool, Told("Whether its watch is over, rather than the last recipient settled")]
    recipients: Annotated[dict[str, int], Told("How many recipients it has (total), and how many of each summary")]


class OfReport(TypedDict):
    """What all data of the events of a report begin with."""

    id: Identifier
    report_id: ReportId
    account: Account


Candidate = TypedDict("Candidate", {"message_id": MessageId, "from": Annotated[str, Told("Who sent it")]})


class Ambiguous(OfReport):
    """Data of report.ambiguous."""

    kind: Annotated[str, Told("mdn, dsn, …")]
    candidates: Annotated[list[Candidate], Told("The messages that the report may be about, 20 at most")]


class Unmatched(OfReport):
    """Data of report.unmatched."""

    kind: Annotated[str, Told("mdn, dsn, …")]
    first_seen: Annotated[str, Told("When it was seen first; UTC", "date-time")]
    message_ids: Annotated[list[str], Told("What it calls the message that it is about, 20 at most")]
    recipients: Annotated[list[str], Told("The recipients that it tells of, 20 at most")]
    perhaps_cut: Annotated[list[Candidate], Told("Sent messages whose Message-ID begins like the one it names")]


class Suspicious(OfReport):
    """Data of report.suspicious."""

    kind: Annotated[str, Told("mdn, dsn, …")]
    message_id: MessageId
    recipient: Annotated[str, Told("The recipient's address")]
    authenticity: Authenticity


class Malformed(OfReport):
    """Data of report.malformed."""

    folder: Annotated[str, Told("Where it was seen")]
    reason: Annotated[str, Told("What is wrong with it, for people")]


class Flood(TypedDict):
    """Said once an hour of an account, or once of a message or recipient, in place of events that would be too many."""

    id: Identifier
    account: Account
    summary: Annotated[str, Told("For people")]


class OfSink(TypedDict):
    """Data of sink.down and sink.up."""

    id: Identifier
    sink: Annotated[str, Told("The sink, by its name in the configuration")]
    since: Annotated[str, Told("The start of the outage; UTC", "date-time")]
    reason: Annotated[str, Told("For people")]


class OfSource(TypedDict):
    """Data of source.down and source.up."""

    id: Identifier
    source: Annotated[str, Told("The account, by its name in the configuration")]
    since: Annotated[str, Told("The start of the outage; UTC", "date-time")]
    cause: Annotated[Cause, Told("What keeps it from being read, or kept")]
    reason: Annotated[str, Told("For people")]
    way_out: NotRequired[Annotated[str, Told("What somebody can do about it, where that is known; source.down only")]]
    back_since: NotRequired[Annotated[str, Told("The end of the outage; UTC; source.up only", "date-time")]]


class OfTest(TypedDict):
    """Data of the event that `mdnwatch sinks test` sends."""

    id: Identifier
    sink: Annotated[str, Told("The sink, by its name in the configuration")]
    test: Annotated[bool, Told("Always true")]
    text: Annotated[str, Told("For people")]


# Sent on demand to one sink, and never otherwise; so it is none of the events that a sink may ask for.
TEST_TYPE = "test.ping"

# Type of event -> its data.
DATA: Mapping[str, Any] = {
    **{kind.value: OfRecipient for kind in EventType if kind.value.startswith("recipient.")},
    EventType.RECIPIENT_OVERDUE.value: Overdue,
    EventType.MESSAGE_SETTLED.value: Settled,
    EventType.REPORT_AMBIGUOUS.value: Ambiguous | Flood,
    EventType.REPORT_UNMATCHED.value: Unmatched | Flood,
    EventType.REPORT_SUSPICIOUS.value: Suspicious | Flood,
    EventType.REPORT_MALFORMED.value: Malformed | Flood,
    EventType.SINK_DOWN.value: OfSink,
    EventType.SINK_UP.value: OfSink,
    EventType.SOURCE_DOWN.value: OfSource,
    EventType.SOURCE_UP.value: OfSource,
    TEST_TYPE: OfTest,
}
