"""The types of event, as they stand in webhooks and in `events = [...]`."""

from __future__ import annotations

from enum import StrEnum


class EventType(StrEnum):
    """All types of event that mdnwatch tells."""

    RECIPIENT_SUBMITTED = "recipient.submitted"
    RECIPIENT_DELAYED = "recipient.delayed"
    RECIPIENT_RELAYED = "recipient.relayed"
    RECIPIENT_EXPANDED = "recipient.expanded"
    RECIPIENT_DELIVERED = "recipient.delivered"
    RECIPIENT_FAILED = "recipient.failed"
    RECIPIENT_DISPLAYED = "recipient.displayed"
    RECIPIENT_DELETED = "recipient.deleted"
    RECIPIENT_DECLINED = "recipient.declined"
    RECIPIENT_DISPATCHED = "recipient.dispatched"
    RECIPIENT_PROCESSED = "recipient.processed"
    RECIPIENT_REPLIED = "recipient.replied"
    RECIPIENT_AUTO_REPLIED = "recipient.auto_replied"
    RECIPIENT_COMPLAINED = "recipient.complained"
    RECIPIENT_OVERDUE = "recipient.overdue"
    MESSAGE_SETTLED = "message.settled"
    REPORT_UNMATCHED = "report.unmatched"
    REPORT_AMBIGUOUS = "report.ambiguous"
    REPORT_SUSPICIOUS = "report.suspicious"
    REPORT_MALFORMED = "report.malformed"
    SOURCE_DOWN = "source.down"
    SOURCE_UP = "source.up"
    SINK_DOWN = "sink.down"
    SINK_UP = "sink.up"
