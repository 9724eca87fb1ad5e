"""The whole explanation: first what is known in a few sentences, then how it is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mdnwatch.explanation import details, of_file, verdict
from mdnwatch.explanation.say import Clock, Facts, Say, Section, counted, on, one_word
from mdnwatch.explanation.silence import settled
from mdnwatch.model.text import clean

NO_COPY = Say(
    "copy-unknown",
    "No copy of this message was found in a Sent folder, and nobody has registered it, so nothing can be said of its"
    " recipients. `mdnwatch sent add` makes it known.",
)
NOTHING = (
    Say(
        "why-nothing",
        "mdnwatch learns what was sent from the Sent folders of its accounts, 30 days back at its first run. So this is"
        " either written differently there, or was sent from an account that is not watched, or earlier, or no copy was"
        " kept.",
    ),
    Say(
        "what-to-do",
        "`mdnwatch status` shows which accounts are watched and how far; `mdnwatch sent add` makes known what no Sent"
        " folder holds; of a report as a file tells `mdnwatch explain FILE`.",
    ),
)


def explain(facts: Facts, clock: Clock) -> Iterator[Section]:
    """The sections of an explanation, in order."""
    yield from verdicts(facts, clock)
    yield from _mind(facts, clock)
    known = list(details_of(facts, clock))
    if known:
        yield Section("How this is known", style="bold underline")
        yield from known


def for_programs(facts: Facts, clock: Clock) -> dict[str, Any]:
    """The facts with what was said of them: `says` has each statement's code, text and source, under its heading."""
    says = [
        {"about": section.heading, "code": say.code, "text": say.text, "source": say.source or None}
        for section in explain(facts, clock)
        for say in section.says
    ]
    return {**facts, "says": says}


def verdicts(facts: Facts, clock: Clock) -> Iterator[Section]:
    """What is known, in a few sentences for each recipient."""
    subject = facts["subject"]
    if subject == "file":
        yield from of_file.verdicts(facts, clock)
    elif subject == "report":
        yield from of_file.known(facts["known"], clock)
    elif subject == "nothing":
        name = clean(facts["query"])
        text = f"Nothing is known of {name}: no message with this Message-ID, and none to this address."
        yield Section("", (Say("nothing", text), *NOTHING))
    else:
        if subject == "address":
            yield _to_address(facts)
        for message in facts["messages"]:
            yield from of_message(message, clock)
        if facts.get("others"):
            yield Section("Earlier messages to this address", labelled=tuple(_earlier(facts["others"], clock)))
        if facts.get("other_reports"):
            says = [of_file.unplaced(report, clock) for report in facts["other_reports"]]
            none = () if facts["messages"] else (NO_COPY,)
            yield Section("Reports that name it and were not counted", (*none, *says))


def details_of(facts: Facts, clock: Clock) -> Iterator[Section]:
    """How it is known: a section for each report about each recipient."""
    if facts["subject"] == "file":
        yield from of_file.detailed(facts, clock)
    known = facts.get("known") or {}
    for message in (*facts.get("messages", ()), *facts.get("own", ()), *filter(None, [known.get("message")])):
        for recipient in message["recipients"]:
            yield from details.of_recipient(recipient, clock)
    yield from details.others([*facts.get("other_reports", ()), *([known] if "report_id" in known else [])])


def of_message(message: Facts, clock: Clock) -> Iterator[Section]:
    """What is known of each recipient of a message, under the message's own line."""
    title = f'Message "{clean(message["subject"])}"' if message["subject"] else "A message without a subject"
    yield Section(title, tuple(_about(message, clock)), style="bold")
    for recipient in message["recipients"]:
        yield verdict.section(recipient, message, clock)
    if message["left_out"]:
        text = f"And {counted(message['left_out'], 'other recipient')}: `mdnwatch explain ADDRESS` tells of one."
        yield Section("", (Say("left-out", text),))
    if (said := settled(message, clock)) is not None:
        yield Section("", (said,))


def _about(message: Facts, clock: Clock) -> Iterator[Say]:
    asked = ["a read receipt"] if message["requested"]["mdn"] else []
    if message["requested"]["dsn"]:
        asked.append(f"delivery reports ({', '.join(message['requested']['dsn'])})")
    sent = f"sent {on(message['sent_at'], clock)} by {message['from']} (account {message['account']})"
    text = (
        f"{message['message_id']}, {sent}. It asked for {' and '.join(asked) or 'nothing, as far as its copy shows'}."
    )
    if message["reference"]:
        text += f" Your reference: {message['reference']}."
    yield Say("message", text)
    total = sum(message["summaries"].values())
    if total > 1:
        yield Say("recipients", f"It went to {total:,} recipients: {summed(message['summaries'])}.")


def summed(summaries: Mapping[str, int]) -> str:
    """How many of each summary, the most first."""
    in_order = sorted(summaries.items(), key=lambda one: (-one[1], one[0]))
    return ", ".join(f"{count:,} {'without evidence' if word == 'unknown' else word}" for word, count in in_order)


def _to_address(facts: Facts) -> Section:
    total = sum(facts["summaries"].values())
    if total == 1:
        text = f"One message of yours went to {facts['query']}."
    else:
        at_most = f" (the last {facts['most']} are looked at)" if total >= facts["most"] else ""
        text = f"{total} messages of yours went to {facts['query']}{at_most}: {summed(facts['summaries'])}."
    if facts["others"]:
        text += f" The last {len(facts['messages'])} are explained here."
    return Section(f"Mail to {clean(facts['query'])}", (Say("address", text),), style="bold")


def _earlier(others: Sequence[Facts], clock: Clock) -> Iterator[tuple[str, str]]:
    for one in others:
        yield "", f"{on(one['sent_at'], clock)}: {one_word(one['summary'])}, {one['message_id']}"


def _mind(facts: Facts, clock: Clock) -> Iterator[Section]:
    """What keeps the answer from being up to date."""
    says = []
    if facts.get("running") is False:
        text = "mdnwatch is not running: whatever arrived since it stopped is not known."
        says.append(Say("not-running", text))
    for account in facts.get("accounts", ()):
        if account["state"] != "up":
            cause = f": {account['cause']}" if account["cause"] else ""
            since = f" since {on(account['since'], clock)}" if account["since"] else ""
            text = (
                f"Account {account['name']} is {account['state']}{since}{cause}. What arrives there is not known now."
            )
            says.append(Say("account-down", text))
    if says:
        yield Section("Mind", tuple(says), style="bold yellow")
