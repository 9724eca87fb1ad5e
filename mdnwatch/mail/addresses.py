"""Addresses out of header fields (RFC 5322 §3.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mdnwatch.mail.comments import strip_comments

# What a comma does not separate at once: quoted strings, comments, groups, routes, domain literals.
_SPECIAL = re.compile(r'["(\\:;\[]')
# One address, with or without a plain display name: what most fields hold.
_SINGLE = re.compile(r'(?:[^"(),:;<>@\[\]\\]*<)?([^\s"(),:;<>@\[\]\\]+@[^\s"(),:;<>@\[\]\\]+)>?')
_TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*+"|<[^<>"]*(?:"(?:[^"\\]|\\.)*+"[^<>"]*)?>|\[[^\[\]]*\]|\\.|[,:;]|[^"<,:;\\\[]++|.', re.DOTALL
)
_BLANKS_AROUND_SIGN = re.compile(r"\s*([@.])\s*")
_NO_ADDRESS = re.compile(r'[\s<>",;:()]')


def addresses(text: str | None) -> tuple[str, ...]:
    """The plain addresses of an address list, groups included, in their order; display names are dropped.

    A local part stays quoted where it was. What holds no "@" is no address.
    """
    if not text or "@" not in text:
        return ()
    single = _SINGLE.fullmatch(text)
    if single is not None:
        return (single[1],)
    mailboxes = text.split(",") if _SPECIAL.search(text) is None else _mailboxes(strip_comments(text))
    return tuple(address for address in map(_plain, mailboxes) if "@" in address)


def first_address(text: str | None) -> str | None:
    """The first plain address of a field.

    Leniency: Sendmail and Haraka give From as a bare `MAILER-DAEMON` (haraka-HKmix), which is returned as it is.
    """
    found = addresses(text)
    if found:
        return found[0]
    return text if text and _NO_ADDRESS.search(text) is None else None


def _plain(mailbox: str) -> str:
    start, end = mailbox.find("<"), mailbox.rfind(">")
    if 0 <= start < end:
        mailbox = mailbox[start + 1 : end]
        if mailbox.startswith("@"):
            # RFC 5322 §4.4: an obsolete route before the address is ignored.
            mailbox = mailbox.partition(":")[2]
    address = mailbox.strip()
    if '"' in address or (" " not in address and "\t" not in address):
        return address
    # RFC 5322 §4.4 allows blanks around "@" and "."; a display name without brackets stands before the address.
    return _BLANKS_AROUND_SIGN.sub(r"\1", address).split()[-1]


def _mailboxes(text: str) -> Iterator[str]:
    """The mailboxes of a list without comments: split at commas, the names of groups taken out."""
    current: list[str] = []
    for match in _TOKEN.finditer(text):
        piece = match[0]
        if piece in {",", ";"}:
            yield _joined(current)
            current.clear()
        elif piece == ":":
            # RFC 5322 §3.4: what stands before is the name of a group.
            current.clear()
        else:
            current.append(piece)
    yield _joined(current)


def _joined(pieces: list[str]) -> str:
    """The mailbox of some pieces: the angle address where there is one, else all of them."""
    for piece in pieces:
        if piece.startswith("<") and piece.endswith(">"):
            return piece
    return "".join(pieces)
