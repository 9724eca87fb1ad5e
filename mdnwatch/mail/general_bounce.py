"""Bounces of unknown software: addresses beside words of failure, above a returned message.

No format claims them, so what is read is graded lower. The places where an address means a recipient are tried in
their order: labelled ("Recipient: ...") or at the beginning of a line, in a sentence about failure, after RCPT TO, in
X-Failed-Recipients.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mdnwatch.mail.bounce_gate import is_failure_subject
from mdnwatch.mail.bounce_text import ADDRESS, MAX_SAID, Said, bare, find_addresses, said_after
from mdnwatch.mail.bounce_words import is_delay, is_failure
from mdnwatch.mail.head import return_path
from mdnwatch.mail.notice import Notice
from mdnwatch.mail.recognise import is_automatic, is_named_as_system
from mdnwatch.model.smtp_reply import enhanced_code, reply_code

# A heading ("The following recipients failed:") stands this near above its addresses.
MAX_HEADING_DISTANCE = 6  # lines

# Who is to be asked, who sent it, where it was said: no recipients.
_OTHERS = re.compile(
    r"\b(?:contact|assistance|help|support|please|postmaster|abuse|sender|from|originator|reply[- ]?to|return-path"
    r"|message-id|cc|bcc|sent by|x-[a-z]|kontakt|administrat\w*|helpdesk|mailto|references|list-\w+|errors-to)\b",
    re.IGNORECASE,
)
_RECIPIENT = re.compile(
    r"\b(?:(?:message|mail|sent) to\b|recipients?|address(?:es|\(es\)|ed|ee|ees)?|users?|userid|rcpt|mailbox|account"
    r"|destinat\w+|empf\w+nger|errors?[ -]for|fail\w*|undeliver\w*|(?:not|non)[ -]deliver\w*|deliver\w*|unable|rejected"
    r"|unknown|invalid|groups|reach|bounced)\b|адрес|получател|宛先|送信先|アドレス|收件人",
    re.IGNORECASE,
)
# What may stand before the address on its line: a list's mark or number, "SMTP" (Netscape), brackets, quotes.
_MARK = r"[ \t>*•·|-]{0,40}(?:\d{1,3}[.)][ \t]{1,4}|SMTP[: ]{1,4})?[<\"'(\[]{0,2}"
_ENTRY = re.compile(
    rf"^{_MARK}(?P<address>{ADDRESS})(?P<close>[>\"')\]]{{0,3}})(?:<mailto:[^>]{{0,300}}>)?"
    rf"(?P<words>(?:[:;]|[ \t]|\.\.\.|\.?$|,[ \t]).*+)"
)
# What is said of an address behind it: in brackets, after Sendmail's dots, or the time at which it failed (Exchange, in
# its languages).
_SAID_OF = re.compile(r"[(\[<;]|\.\.\.|[^\W\d]{1,3}[ \t](?:[^\W\d]{2,12}\.?,?[ \t]){0,2}\d{1,4}[-./ ]\d?")
# A mailing list's or a company's words below the message.
_FOOTER = re.compile(r"_{20,}[ \t]*$")
# amavis names the sender before that: a message "from" somebody "to:" the recipients below.
_TO_WHOM = re.compile(r"\bto[ \t]*:[ \t]*$", re.IGNORECASE)
_LABELLED = re.compile(
    rf"^(?P<label>[^@\n:=\uff1a]{{0,100}}?(?:[:=\uff1a][ \t]{{0,60}}|\bto[ \t]{{1,10}}|\bfor[ \t]{{1,10}}))"
    rf"[<\"'(\[]{{0,2}}(?:rfc822;[ \t]{{0,4}})?(?P<address>{ADDRESS})",
    re.IGNORECASE,
)
# `554 <user@example.org>... Host unknown` is Sendmail's last word on an address.
_VERDICT = re.compile(rf"^[45]\d\d[ -](?:\d\.\d{{1,3}}\.\d{{1,3}} )?<?(?P<address>{ADDRESS})>?\.\.\. ")
# The address that was written to, beside the one that failed (iPlanet Messaging Server).
_ORIGINAL = re.compile(r"[ \t(]{0,12}original(?:ly)?[ -](?:address(?:ed to)?|recipient)\b", re.IGNORECASE)
_RCPT = re.compile(rf"\brcpt[ _-]?to:[ \t]{{0,4}}<?(?P<address>{ADDRESS})>?(?P<words>.*+)", re.IGNORECASE)
_TO = re.compile(rf"^[ \t]{{0,12}}to:[ \t]{{0,12}}<?(?P<address>{ADDRESS})>?(?P<words>)", re.IGNORECASE | re.MULTILINE)
# Fields of mailing lists and newsletters, which write about bounces and unsubscribe who bounced.
_LIST_FIELDS = ("list-id", "list-unsubscribe")


def read_general(notice: Notice, *, declared: bool = False) -> tuple[Said, ...]:
    """The recipients that the words name, one without address where they name none; () where it is no bounce.

    `declared`: the message calls itself a delivery report, and needs no other sign.
    """
    if not _speaks_of_failure(notice):
        return ()
    if not declared and not _is_sent_by_a_mail_system(notice):
        return ()
    found = _recipients(notice)
    if len(found) == 1 and enhanced_code(found[0].words) is None:
        # What is said of the only recipient may stand above it.
        found = (found[0]._replace(words=f"{found[0].words}\n{notice.text}"),)
    if not _is_proved(notice):
        # Spam dressed as a bounce names its victim's own mailbox, and proves nothing.
        own = {address.lower() for address in notice.head.to_addresses}
        return tuple(said for said in found if said.address.lower() not in own)
    if found or notice.returned is None or notice.returned.message_id is None:
        return found
    return (Said("", notice.text),)


def _is_sent_by_a_mail_system(notice: Notice) -> bool:
    """By the name of its sender; or by the null sender, which responders and list managers have, too, and more."""
    header = notice.header
    if is_named_as_system(header) or "x-failed-recipients" in header:
        return True
    if any(name in header for name in _LIST_FIELDS):
        return False
    own = "\n".join(line for line in notice.text.split("\n") if not line.startswith("> "))
    coded = enhanced_code(own) is not None or reply_code(own) is not None
    if return_path(header) == "":
        return is_failure_subject(header) or _returns(notice) or coded
    return is_failure_subject(header) and (_returns(notice) or (is_automatic(header) and coded))


def _speaks_of_failure(notice: Notice) -> bool:
    # RFC 3463 §2: a class 5 code says so without any words.
    code = enhanced_code(notice.text) or ""
    texts = (notice.text, notice.subject)
    return any(is_failure(text) or is_delay(text) for text in texts) or code.startswith("5")


def _returns(notice: Notice) -> bool:
    """Whether something is returned, or was, behind a line that announces it."""
    return len(notice.text) < len(notice.whole) or notice.returned is not None


def _is_proved(notice: Notice) -> bool:
    """Whether more than words shows a mail system: what it returns, or its own field."""
    return _returns(notice) or "x-failed-recipients" in notice.header


def _recipients(notice: Notice) -> tuple[Said, ...]:
    for find in (_listed, _in_sentences, _after_rcpt):
        found = tuple(find(notice))
        if found:
            return found
    failed = tuple(Said(address, notice.text) for address in notice.failed_recipients())
    return failed or tuple(said_after(notice.text, _TO))


def _listed(notice: Notice) -> Iterator[Said]:
    """The addresses with a label, or at the beginning of a line where they are announced or spoken of."""
    lines = notice.text.split("\n")
    starts: list[tuple[int, Said]] = []
    for number, line in enumerate(lines):
        if starts and _FOOTER.match(line):
            break
        if "@" not in line:
            continue
        said = _verdict(line) or _entry(lines, number, follows=bool(starts))
        found = (said,) if said is not None else _labelled(line, follows=bool(starts))
        if starts and found and _ORIGINAL.match(line):
            starts[-1] = (starts[-1][0], starts[-1][1]._replace(original=found[0].address))
        else:
            starts.extend((number, one) for one in found)
    numbers = sorted({number for number, _ in starts})
    ends = dict(zip(numbers, [*numbers[1:], len(lines)][: len(numbers)], strict=True))
    for number, said in starts:
        end = ends[number]
        below = lines[number + 1 : min(end, number + MAX_SAID)]
        yield said._replace(words="\n".join((said.words, *below)).strip())


def _verdict(line: str) -> Said | None:
    match = _VERDICT.match(line)
    return Said(match["address"], line) if match is not None else None


def _entry(lines: list[str], number: int, *, follows: bool) -> Said | None:
    match = _ENTRY.match(lines[number])
    if match is None:
        return None
    said = Said(bare(match["address"]), match["words"].strip(" \t:"))
    if match["words"].startswith(":") and (match["close"] or not said.words):
        # `<user@example.org>: ...` or `user@example.org:` begins a paragraph about it in a dozen formats.
        return said
    if match["words"].startswith(":") and _is_announced(lines, number):
        return said
    if said.words:
        spoken = _RECIPIENT.search(said.words) or is_failure(said.words) or _SAID_OF.match(said.words)
        return said if spoken or reply_code(said.words) else None
    # EYOU writes `<user@example.org>` alone on its line, whatever stands above.
    return said if follows or _is_announced(lines, number, bracketed=match["close"].startswith(">")) else None


def _is_announced(lines: list[str], number: int, *, bracketed: bool = False) -> bool:
    """Whether the nearest line above speaks of recipients, and not of somebody to be asked."""
    for above in reversed(lines[max(0, number - MAX_HEADING_DISTANCE) : number]):
        if above.strip():
            spoken = _RECIPIENT.search(above) or is_failure(above) or above.rstrip().endswith((":", "\uff1a"))
            return bool(spoken or bracketed) and (_OTHERS.search(above) is None or _TO_WHOM.search(above) is not None)
    return True


def _labelled(line: str, *, follows: bool) -> tuple[Said, ...]:
    """The addresses behind a label: one, or a list of them."""
    match = _LABELLED.match(line)
    if match is None or _OTHERS.search(match["label"]) is not None or _RECIPIENT.search(match["label"]) is None:
        return ()
    if follows and reply_code(line) is not None:
        # What a server said of the recipient above: `550-Verification failed for <sender@example.org>` (Exim).
        return ()
    rest = line[match.end() :].lstrip(">\"')] \t")
    more = find_addresses(rest) if rest.startswith((",", ";", "\uff0c", "\u3001")) else ()
    return tuple(Said(address, line.strip()) for address in (bare(match["address"]), *more))


def _in_sentences(notice: Notice) -> Iterator[Said]:
    own = {address.lower() for address in (*notice.head.to_addresses, notice.head.from_address or "")}
    for line in (notice.subject, *notice.text.split("\n")):
        if "@" in line and _OTHERS.search(line) is None and (is_failure(line) or _RECIPIENT.search(line)):
            yield from (Said(address, notice.text) for address in find_addresses(line) if address.lower() not in own)


def _after_rcpt(notice: Notice) -> Iterator[Said]:
    return said_after(notice.text, _RCPT)
