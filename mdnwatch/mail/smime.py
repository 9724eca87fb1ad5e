"""S/MIME signatures over a report (RFC 8551 §3.5, RFC 2634 §2): what was signed, and the signature."""

from __future__ import annotations

from dataclasses import dataclass

from mdnwatch.mail.mime import Message, Part, walk
from mdnwatch.mail.recognise import find_report
from mdnwatch.mail.signed_receipt import MAX_RECEIPT, is_signed_receipt

_SIGNATURES = frozenset({"application/pkcs7-signature", "application/x-pkcs7-signature"})
# With a chain of certificates, as encoded.
MAX_SIGNATURE = 256 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature as DER (CMS SignedData, RFC 5652 §5), and what it covers; None where it holds that itself."""

    signature: bytes
    content: bytes | None = None


def find_signed(message: Message) -> Signed | None:
    """The signature over the report that a message is; None where it bears none.

    A report that stands beside a signed part, and not in it, is not signed.
    """
    if is_signed_receipt(message):
        return Signed(message.root.content(MAX_RECEIPT))
    found = find_report(message)
    report = None if found is None else found.part or found.container
    for part in walk(message.root):
        # What is a report without a report part is one as a whole.
        covers = part is message.root if report is None else bool(part.parts) and _holds(part.parts[0], report)
        if covers and _is_signed(part):
            content = part.data[part.parts[0].start : part.parts[0].end]
            # RFC 8551 §3.1.1: what is signed has lines that end in CRLF; here they end in LF.
            return Signed(part.parts[1].content(MAX_SIGNATURE), content.replace(b"\n", b"\r\n"))
    return None


def _is_signed(part: Part) -> bool:
    # RFC 1847 §2.1: what is signed, then the signature, and nothing else.
    if part.media_type != "multipart/signed":
        return False
    return [one.media_type in _SIGNATURES for one in part.parts] == [False, True]


def _holds(part: Part, report: Part) -> bool:
    return part.start <= report.start and report.end <= part.end
