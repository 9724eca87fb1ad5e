"""The grammar of Exim's bounces, which Mail.Ru shares."""

from __future__ import annotations

import re

from mdnwatch.mail.bounce_text import ADDRESS, Reading, Said, blocks, find_addresses, said_after
from mdnwatch.mail.bounce_words import is_failure
from mdnwatch.mail.notice import Notice

# An address that failed is indented by two blanks, what is said of it by four. An old Exim puts a colon behind it, some
# hosts cut off the domain, a malformed one stands there as it was written (exim-1, exim-3, mail-ru-1).
_ENTRY = re.compile(
    rf"^ {{2}}(?P<address>(?:[^\s@]{{1,60}}@[^\s:]{{1,255}}[ \t]+)?<?{ADDRESS}>?|[^\s:@]{{1,64}}"
    rf"|an undisclosed address)(?P<words>(?::.*+)?)$",
    re.MULTILINE,
)
# The address that the message was written to, where an alias or a list led to another one.
_GENERATED_FROM = re.compile(rf"\((?:generated|ultimately generated) from (?P<address>{ADDRESS})\)")
# Below the list stands what happens next.
_END = re.compile(r"^(?:No action is required|This address has been ignored|[-*_]{10}|\S)", re.MULTILINE)


def read_exim(notice: Notice) -> Reading:
    """The addresses of the list; of X-Failed-Recipients or of a sentence where there is no list."""
    full = {address.partition("@")[0]: address for address in notice.failed_recipients()}
    found: list[Said] = []
    for said in said_after(notice.text, _ENTRY, _END):
        generated = _GENERATED_FROM.search(said.words)
        original = generated["address"] if generated else None
        if "@" in said.address:
            found.append(said._replace(original=original))
        elif said.address in full:
            found.append(said._replace(address=full[said.address], original=original))
        elif original:
            found.append(said._replace(address=original))
    if not found:
        found = [Said(address, notice.text) for address in full.values()] or _in_sentences(notice)
    return Reading(blocks(found, notice.text))


def _in_sentences(notice: Notice) -> list[Said]:
    lines = (line for line in notice.text.split("\n") if is_failure(line))
    return [Said(address, line) for line in lines for address in find_addresses(line)]
