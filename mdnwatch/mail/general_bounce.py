"""Bounces of unknown software: addresses beside words of failure, above a returned message.

No format claims them, so what is read is graded lower. The places where an address means a recipient are tried in
their order: labelled ("Recipient: ..."), at the beginning of a line, in a sentence about failure, after RCPT TO, in
X-Failed-Recipients.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from mdnwatch.mail.bounce_text import ADDRESS, Said, find_addresses, said_after
from mdnwatch.mail.bounce_words import is_failure
from mdnwatch.mail.notice import Notice

# A heading ("The following recipients failed:") stands this near above its addresses.
MAX_HEADING_DISTANCE = 6  # lines

# Who is to be asked, who sent it, where it was said: no recipients.
_OTHERS = re.compile(
    r"\b(?:contact|assistance|help|support|please|postmaster|abuse|sender|from|originator|reply[- ]?to|return-path"
    r"|message-id|cc|bcc|sent by|x-[a-z]|kontakt|administrat\w*|helpdesk|mailto|references|mail from)\b(?!.{0,3}recipient)",
    re.IGNORECASE,
)
_RECIPIENT = re.compile(
    r"\b(?:recipients?|address(?:es|\(es\)|ed|ee|ees)?|user|userid|rcpt|to|mailbox|account|destinat\w+|empf\w+nger"
    r"|fail\w*|undeliver\w*|deliver\w*|unable|rejected|unknown|invalid|users|groups)\b|адрес|получател|宛先|送信先|アドレス|收件人",
    re.IGNORECASE,
)
# What may stand before the address on its line: a list's mark, brackets, quotes.
_MARK = r"[ \t>*•·|-]{0,40}[<\"'(\[]{0,2}"
_ENTRY = re.compile(
    rf"^{_MARK}(?P<address>{ADDRESS})[>\"')\]]{{0,3}}(?P<words>(?::|[ \t]|\.\.\.|$|,[ \t]).*+)", re.MULTILINE
)
_LABELLED = re.compile(
    rf"^(?P<label>[^@\n:=]{{0,100}}?(?:[:=][ \t]{{0,60}}|\bto[ \t]{{1,10}}|\bfor[ \t]{{1,10}}))"
    rf"[<\"'(\[]{{0,2}}(?:rfc822;[ \t]{{0,4}})?(?P<address>{ADDRESS})[>\"')\]]{{0,3}}(?P<words>.*+)",
    re.MULTILINE | re.IGNORECASE,
)
_RCPT = re.compile(rf"\brcpt[ _-]?to:[ \t]{{0,4}}<?(?P<address>{ADDRESS})>?(?P<words>.*+)", re.IGNORECASE)


def read_general(notice: Notice) -> tuple[Said, ...]:
    """The recipients that the text names, with the words about each; () where it names none."""
    text = notice.text
    for find in (_listed, _in_sentences, _after_rcpt):
        found = tuple(find(notice, text))
        if found:
            return found
    return tuple(Said(address, text) for address in notice.failed_recipients())


def _listed(notice: Notice, text: str) -> Iterator[Said]:
    """The addresses with a label, or at the beginning of a line below a heading that announces them."""
    lines = text.split("\n")
    accepted: list[tuple[int, Said]] = []
    for number, line in enumerate(lines):
        if "@" not in line:
            continue
        said = _entry(lines, number, bool(accepted)) or _labelled(line)
        if said is not None:
            accepted.append((number, said))
    _ = notice
    ends = [*(number for number, _ in accepted[1:]), len(lines)]
    for (number, said), end in zip(accepted, ends[: len(accepted)], strict=True):
        yield said._replace(words="\n".join((said.words, *lines[number + 1 : min(end, number + 30)])).strip())


def _entry(lines: list[str], number: int, follows: bool) -> Said | None:  # noqa: FBT001
    match = _ENTRY.match(lines[number])
    if match is None:
        return None
    words = match["words"].strip(" \t:")
    if words and _RECIPIENT.search(words) is None and not is_failure(words) and not words.startswith(("(", "[", "on ")):
        return None
    if not words and not follows and not _announced(lines, number):
        return None
    return Said(match["address"], words)


def _announced(lines: list[str], number: int) -> bool:
    for above in reversed(lines[max(0, number - MAX_HEADING_DISTANCE) : number]):
        if above.strip():
            return _RECIPIENT.search(above) is not None and _OTHERS.search(above) is None
    return True


def _labelled(line: str) -> Said | None:
    match = _LABELLED.match(line)
    if match is None or _OTHERS.search(match["label"]) or not _RECIPIENT.search(match["label"]):
        return None
    return Said(match["address"], f"{match['label']}{match['words']}")


def _in_sentences(notice: Notice, text: str) -> Iterator[Said]:
    own = {address.lower() for address in (*notice.head.to_addresses, notice.head.from_address or "")}
    for line in (notice.subject, *text.split("\n")):
        if "@" in line and _OTHERS.search(line) is None and (is_failure(line) or _RECIPIENT.search(line)):
            yield from (Said(address, text) for address in find_addresses(line) if address.lower() not in own)


def _after_rcpt(notice: Notice, text: str) -> Iterable[Said]:
    _ = notice
    return said_after(text, _RCPT)
