"""What silence means: what was asked, what is owed, and how often that domain answers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from mdnwatch.event_words import how_long
from mdnwatch.explanation.say import Clock, Facts, Say, counted, on, time_of

# Fewer requests than this tell nothing of a habit.
FEW = 5

# Before this a person has hardly had the time to answer.
EARLY = timedelta(hours=24)


def silence(recipient: Facts, message: Facts, clock: Clock) -> Iterator[Say]:
    """What it means that no receipt, or nothing at all, has come from a recipient."""
    who, requested = recipient["address"], message["requested"]
    if recipient["summary"] == "unknown":
        yield Say(
            "silence", f"Nothing was heard of what became of it at {who}: no report that counts and no answer has come."
        )
    yield _receipt(asked=requested["mdn"])
    if recipient["delivery"] in {"unknown", "submitted"}:
        yield _delivery_report([one.lower() for one in requested["dsn"]])
    if requested["mdn"]:
        yield _habit(recipient["domain"], message)
    sent_at = time_of(message["sent_at"])
    if sent_at is not None and timedelta(0) <= clock.now - sent_at < EARLY:
        yield Say("early", "It was sent less than a day ago: it is early to expect anything.")


def _receipt(*, asked: bool) -> Say:
    if asked:
        text = (
            "A read receipt was asked for, and none has come. That is no sign that the message was not read: the"
            " request is only a wish; most mail programs ask their user first, and many never send a receipt."
        )
        return Say("receipt-asked", text, "RFC 8098 §2.1")
    text = (
        "The copy of the message shows no request for a read receipt, so none is to be expected and its absence means"
        " nothing. (Some mail programs leave the request out of the copy.)"
    )
    return Say("receipt-not-asked", text, "RFC 8098 §2.1")


def _delivery_report(notify: list[str]) -> Say:
    if "never" in notify:
        text = "The mail servers were asked never to report about this message, failures included (NOTIFY=NEVER)."
        return Say("dsn-never", text, "RFC 3461 §4.1")
    if "success" in notify:
        text = (
            "A report of the delivery was asked for (NOTIFY=SUCCESS), and none has come. Mail servers that do not know"
            " such requests pass the message on without a word."
        )
        return Say("dsn-asked", text, "RFC 3461 §5.2.2")
    text = (
        "No report of a successful delivery is known to have been asked for. Mail servers report failures by"
        " themselves, mostly within five days, and none has come: a hint that it arrived, and no proof."
    )
    return Say("dsn-not-asked", text, "RFC 5321 §6.1")


def _habit(domain: str, message: Facts) -> Say:
    habit = message["domains"][domain]
    asked = habit["asked"]
    if asked == 0:
        text = (
            f"No other message of yours asked anybody at {domain} for a receipt: how that domain answers is not known."
        )
        return Say("habit-unknown", text)
    answered = habit["answered"]
    text = (
        f"How {domain} answers: of {counted(asked, 'other request')} for a receipt that went there,"
        f" {answered or 'none'} {'was' if answered == 1 else 'were'} answered with one"
    )
    if asked < FEW:
        return Say("habit", f"{text}; that is too few to tell a habit.")
    rate = round(100 * answered / asked)
    verdict = "receipts are the rule there" if rate >= 50 else "silence is the rule there"  # noqa: PLR2004 - a half
    return Say("habit", f"{text} ({rate} %): {verdict}.")


def waiting(recipient: Facts, clock: Clock) -> Iterator[Say]:
    """What was told of a recipient's silence."""
    overdue = [event for event in recipient["told"] if event["type"] == "recipient.overdue"]
    if overdue:
        last = overdue[-1]
        after = f", {how_long(last['after_seconds'])} after it was sent" if "after_seconds" in last else ""
        is_or_was = "is" if recipient["reading"] == "none" and recipient["delivery"] != "failed" else "was"
        text = f"It {is_or_was} overdue: that nothing was heard was told on {on(last['at'], clock)}{after}."
        yield Say("overdue", text)


def settled(message: Facts, clock: Clock) -> Say | None:
    """That nothing more is awaited of the whole message, and why."""
    if not message["settled"]:
        return None
    events = [event for event in message["events"] if event["type"] == "message.settled"]
    told = f" (told on {on(events[0]['at'], clock)})" if events and events[0]["told"] else ""
    if any(event["expired"] for event in events):
        text = f"The message is settled{told}: its watch is over. A report that still comes is told all the same."
    else:
        text = f"The message is settled{told}: every recipient has said what it will say, or cannot be reached."
    return Say("settled", text)
