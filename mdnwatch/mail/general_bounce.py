"""Bounces of unknown software: addresses beside words of failure, above a returned message.

No format claims them, so what is read is graded lower. The places where an address means a recipient are tried in
their order: labelled ("Recipient: ...") or at the beginning of a line, in a sentence about failure, after RCPT TO, in
X-Failed-Recipients.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mdnwatch.mail.bounce_gate import is_failure_subject, is_mail_system
from mdnwatch.mail.bounce_text import ADDRESS, MAX_SAID, Said, find_addresses, said_after
from mdnwatch.mail.bounce_words import is_failure
from mdnwatch.mail.head import return_path
from mdnwatch.mail.notice import Notice
from mdnwatch.mail.recognise import is_automatic
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
# What may stand before the address on its line: a list's mark, brackets, quotes.
_MARK = r"[ \t>*•·|-]{0,40}[<\"'(\[]{0,2}"
_ENTRY = re.compile(
    rf"^{_MARK}(?P<address>{ADDRESS})(?P<close>[>\"')\]]{{0,3}})(?:<mailto:[^>]{{0,300}}>)?"
    rf"(?P<words>(?::|[ \t]|\.\.\.|\.?$|,[ \t]).*+)"
)
_LABELLED = re.compile(
    rf"^(?P<label>[^@\n:=]{{0,100}}?(?:[:=][ \t]{{0,60}}|\bto[ \t]{{1,10}}|\bfor[ \t]{{1,10}}))"
    rf"[<\"'(\[]{{0,2}}(?:rfc822;[ \t]{{0,4}})?(?P<address>{ADDRESS})",
    re.IGNORECASE,
)
# `554 <user@example.org>... Host unknown` is Sendmail's last word on an address.
_VERDICT = re.compile(rf"^[45]\d\d[ -](?:\d\.\d{{1,3}}\.\d{{1,3}} )?<?(?P<address>{ADDRESS})>?\.\.\. ")
# The address that was written to, beside the one that failed (iPlanet Messaging Server).
_ORIGINAL = re.compile(r"[ \t(]{0,12}original(?:ly)?[ -](?:address(?:ed to)?|recipient)\b", re.IGNORECASE)
_RCPT = re.compile(rf"\brcpt[ _-]?to:[ \t]{{0,4}}<?(?P<address>{ADDRESS})>?(?P<words>.*+)", re.IGNORECASE)
_TO = re.compile(rf"^[ \t]{{0,12}}to:[ \t]{{0,12}}<?(?P<address>{ADDRESS})>?(?P<words>)", re.IGNORECASE | re.MULTILINE)
# A local part under which mail systems write. A display name of this kind is spam's as well.
_SYSTEM = re.compile(r"(?:mailer.?daemon|postmaster|post_master|mail.?daemon|mdaemon)", re.IGNORECASE)


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
    """By its sender; or, under another name, by a subject about failure and what it returns or says of itself."""
    header = notice.header
    if is_mail_system(header):
        return True
    return is_failure_subject(header) and (_returns(notice) or is_automatic(header))


def _speaks_of_failure(notice: Notice) -> bool:
    # RFC 3463 §2: a class 5 code says so without any words.
    code = enhanced_code(notice.text) or ""
    return is_failure(notice.text) or is_failure(notice.subject) or code.startswith("5")


def _returns(notice: Notice) -> bool:
    """Whether something is returned, or was, behind a line that announces it."""
    return notice.returned is not None or len(notice.text) < len(notice.whole)


def _is_proved(notice: Notice) -> bool:
    """Whether more than words shows a mail system: what it returns, its reply, its envelope, its address."""
    return (
        _returns(notice)
        or return_path(notice.header) == ""
        or "x-failed-recipients" in notice.header
        or enhanced_code(notice.text) is not None
        or reply_code(notice.text) is not None
        or _SYSTEM.match(notice.head.from_address or "") is not None
    )


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
        if "@" not in line:
            continue
        said = _verdict(line) or _entry(lines, number, follows=bool(starts)) or _labelled(line)
        if said is None:
            continue
        if starts and _ORIGINAL.match(line):
            starts[-1] = (starts[-1][0], starts[-1][1]._replace(original=said.address))
        else:
            starts.append((number, said))
    ends = [*(number for number, _ in starts[1:]), len(lines)]
    for (number, said), end in zip(starts, ends[: len(starts)], strict=True):
        below = lines[number + 1 : min(end, number + MAX_SAID)]
        yield said._replace(words="\n".join((said.words, *below)).strip())


def _verdict(line: str) -> Said | None:
    match = _VERDICT.match(line)
    return Said(match["address"], line) if match is not None else None


def _entry(lines: list[str], number: int, *, follows: bool) -> Said | None:
    match = _ENTRY.match(lines[number])
    if match is None:
        return None
    said = Said(match["address"].lstrip("'`"), match["words"].strip(" \t:"))
    if match["words"].startswith(":") and (match["close"] or not said.words):
        # `<user@example.org>: ...` or `user@example.org:` begins a paragraph about it in a dozen formats.
        return said
    if match["words"].startswith(":") and _is_announced(lines, number):
        return said
    if said.words:
        spoken = (
            _RECIPIENT.search(said.words) or is_failure(said.words) or said.words.startswith(("(", "[", "<", "on "))
        )
        return said if spoken or reply_code(said.words) else None
    return said if follows or _is_announced(lines, number) else None


def _is_announced(lines: list[str], number: int) -> bool:
    """Whether the nearest line above speaks of recipients, and not of somebody to be asked."""
    for above in reversed(lines[max(0, number - MAX_HEADING_DISTANCE) : number]):
        if above.strip():
            spoken = _RECIPIENT.search(above) or is_failure(above) or above.rstrip().endswith((":", "\uff1a"))
            return bool(spoken) and _OTHERS.search(above) is None
    return True


def _labelled(line: str) -> Said | None:
    match = _LABELLED.match(line)
    if match is None or _OTHERS.search(match["label"]) is not None or _RECIPIENT.search(match["label"]) is None:
        return None
    return Said(match["address"].lstrip("'`"), line.strip())


def _in_sentences(notice: Notice) -> Iterator[Said]:
    own = {address.lower() for address in (*notice.head.to_addresses, notice.head.from_address or "")}
    for line in (notice.subject, *notice.text.split("\n")):
        if "@" in line and _OTHERS.search(line) is None and (is_failure(line) or _RECIPIENT.search(line)):
            yield from (Said(address, notice.text) for address in find_addresses(line) if address.lower() not in own)


def _after_rcpt(notice: Notice) -> Iterator[Said]:
    return said_after(notice.text, _RCPT)
