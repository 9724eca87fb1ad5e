"""Mail addresses as reports write them: xtext (RFC 3461 §4), utf-8 addresses (RFC 6533 §3), and who is meant."""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from mdnwatch.model.report import Typed

# RFC 3461 §4: a hexchar is "+" and two upper-case hexadecimal digits.
_HEXCHARS = re.compile(r"(?:\+[0-9A-F]{2})+")
# RFC 6533 §3: EmbeddedUnicodeChar is "\x{" 2 to 6 upper-case hexadecimal digits "}".
_EMBEDDED_UNICODE = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_ANGLE_ADDRESS = re.compile(r"<([^<>]*)>\s*$")
# RFC 5322 §3.2.2; in an address that is not quoted there is no parenthesis.
_COMMENT_BEHIND = re.compile(r"[ \t]\([^()\"]*\)[ \t]*$")
_SURROGATES = range(0xD800, 0xE000)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)

# Of the characters that separate a sub-address, "+" is the only one that never stands in names by habit.
SUB_ADDRESS_SEPARATOR = "+"

# The addresses of one report are compared a dozen times.
CACHED = 256


def decode_xtext(text: str) -> str:
    """The text that an xtext stands for; a "+" that begins no hexchar is left as it is (RFC 3461 §4)."""
    return _HEXCHARS.sub(_decode_hexchars, text)


def _decode_hexchars(match: re.Match[str]) -> str:
    raw = bytes.fromhex(match[0].replace("+", ""))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return match[0]


def decode_embedded_unicode(text: str) -> str:
    r"""`\x{F8}` as the character it names; what names none is left as it is (RFC 6533 §3)."""
    return _EMBEDDED_UNICODE.sub(_decode_code_point, text)


def _decode_code_point(match: re.Match[str]) -> str:
    number = int(match[1], 16)
    # RFC 6533 §3: no surrogates, nothing above U+10FFFF.
    if number > sys.maxunicode or number in _SURROGATES:
        return match[0]
    return chr(number)


def forms(typed: Typed | None) -> tuple[str, ...]:
    """The plain addresses that a recipient field can mean, the likeliest first; () where it holds no address.

    An Original-Recipient "may still be xtext" (RFC 3461 §6.3(d)): both readings are given, since
    "joe+2Btag@example.org" is an address too.
    """
    if typed is None:
        return ()
    literal = plain(typed.value)
    if typed.value.isascii() and "+" not in typed.value and "\\" not in typed.value:
        # As nearly all are: written in one way only.
        return (literal,) if "@" in literal else ()
    decoded = plain(decode_xtext(typed.value))
    if typed.type == "utf-8":
        # RFC 6533 §3: addresses in xtext form SHOULD be shown as UTF-8.
        candidates = [decode_embedded_unicode(decoded), decode_embedded_unicode(literal), literal]
    else:
        candidates = [literal, decoded]
    return tuple(dict.fromkeys(form for form in candidates if "@" in form))


def plain(text: str) -> str:
    """The bare address of a field value: without display name, comment, angle brackets and blanks around it.

    Leniency: KMail writes `Final-Recipient: rfc822; KMail User <kmail@mail.example>` (kmail-KMman).
    """
    if "(" in text:
        text = _COMMENT_BEHIND.sub("", text)
    match = _ANGLE_ADDRESS.search(text) if "<" in text else None
    return (match[1] if match else text).strip()


def split(address: str) -> tuple[str, str]:
    """Local part (still quoted, where it was) and domain; the domain is "" where there is no "@"."""
    local, at, domain = address.rpartition("@")
    return (local, domain) if at else (address, "")


@lru_cache(maxsize=CACHED)
def canonical(address: str) -> str:
    """The form in which equal addresses are equal strings.

    The local part unquoted and in NFC, its case kept (RFC 8098 §2.1); the domain lower-case, as A-labels.
    """
    local, domain = split(address)
    if len(local) > 1 and local[0] == local[-1] == '"':
        local = _QUOTED_PAIR.sub(r"\1", local[1:-1])
    return f"{unicodedata.normalize('NFC', local)}@{canonical_domain(domain)}"


def canonical_domain(domain: str) -> str:
    """A domain in lower case, as A-labels where it can be written so (RFC 6533 §3, RFC 5891)."""
    domain = domain.strip().rstrip(".")
    if domain.isascii():
        return domain.lower()
    import idna  # noqa: PLC0415 - 10 ms of tables, needed for one message in thousands

    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return unicodedata.normalize("NFC", domain).lower()


def without_case(address: str) -> str:
    """The canonical form with the local part in one case."""
    return canonical(address).casefold()


@lru_cache(maxsize=CACHED)
def without_sub_address(address: str) -> str:
    """The canonical form in one case, the local part cut before "+"."""
    local, domain = split(without_case(address))
    return f"{local.split(SUB_ADDRESS_SEPARATOR, 1)[0] or local}@{domain}"


def find(address: str, candidates: Iterable[str]) -> str | None:
    """The candidate that is meant by the address: exactly, then without case, then without sub-address.

    A step on which several candidates agree finds none: nothing is attributed by guessing.
    """
    candidates = tuple(candidates)
    for form in (canonical, without_case, without_sub_address):
        wanted = form(address)
        found = [candidate for candidate in candidates if form(candidate) == wanted]
        if len(found) == 1:
            return found[0]
        if found:
            return None
    return None


def same_or_parent_domain(one: str, other: str) -> bool:
    """Whether the domains of two addresses are one, or one lies below the other (mx.example.org, example.org)."""
    a, b = canonical_domain(split(one)[1]), canonical_domain(split(other)[1])
    if not a or not b:
        return False
    shorter, longer = sorted((a, b), key=len)
    # A top-level domain is nobody's own.
    return a == b or ("." in shorter and longer.endswith("." + shorter))
