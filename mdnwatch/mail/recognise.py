"""Whether a message is a report, and where the report stands in it (RFC 6522; RFC 8098 §3, RFC 3464 §2, RFC 5965)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from mdnwatch.mail.addresses import first_address
from mdnwatch.mail.head import return_path
from mdnwatch.mail.header import MAX_HEADER, Header
from mdnwatch.mail.mime import Message, Part, read_header
from mdnwatch.mail.parameters import media_type
from mdnwatch.mail.transfer import with_lf
from mdnwatch.mail.words import decode_words
from mdnwatch.model.phrases import Phrases

MDN = "disposition-notification"
DSN = "delivery-status"
ARF = "feedback-report"

# RFC 6533 §4.4: the global types are equivalent to the others.
_REPORT_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "message/disposition-notification": MDN,
        "message/global-disposition-notification": MDN,
        "message/delivery-status": DSN,
        "message/global-delivery-status": DSN,
        "message/feedback-report": ARF,
    }
)
_DECLARED: Mapping[str, str] = MappingProxyType({kind.partition("/")[2]: name for kind, name in _REPORT_TYPES.items()})

# RFC 4130 §6.2
_AS2 = frozenset({"as2-from", "as2-version", "as2-to"})
# Local parts and names under which mail systems, not people, write: daemons, InterScan's imss@, Exchange's "System
# Administrator" and its senders of internal notifications, NDR services, and old gateways.
_MAIL_SYSTEM = Phrases(
    r"""
    mail(?:er)?[-_. ]?d(?:a)?emon|post[-_ ]?master|mail[-_ ]?admin|mail delivery|delivery (?:sub)?system|mdaemon
    \bmail[-_. ]?(?:system|server|service|router|gateway|agent|master|sweeper|marshal)|(?:\b|_)smtp(?:\b|_|\d)
    \bndr\b|\bimss\b|\b(?:mmdf|pmdf|uucp)\b|system ?administrator|administra\w{3,5} (?:del? |di )?sist
    administrateur syst|microsoft ?exchange|microsoft outlook
    """
)


class Found(NamedTuple):
    """A report in a message. `declared` is its report type; `part` is None where the report part is missing.

    `container` is the multipart that holds it, or the message itself.
    """

    declared: str
    container: Part
    part: Part | None


def find_report(message: Message) -> Found | None:
    """The first report of a message; None where it is none, or a report of another kind.

    RFC 6522 §1: a report may have been wrapped on its way, by a signer or by a gateway, and is then still one.
    What stands in a returned or forwarded message (message/rfc822) is about somebody else's mail.
    """
    root = message.root
    if root.media_type in _REPORT_TYPES:
        # Leniency: the report part alone, without the multipart around it.
        return Found(_REPORT_TYPES[root.media_type], root, root)
    declared: Found | None = None
    pending = [root]
    while pending:
        container = pending.pop()
        found = _in(container, message.header)
        if found is not None and found.part is not None:
            return found
        declared = declared or found
        pending.extend(part for part in reversed(container.parts) if part.media_type.startswith("multipart/"))
    return declared


def _in(container: Part, header: Header) -> Found | None:
    report_type = container.parameters.get("report-type", "").lower()
    wanted = _DECLARED.get(report_type)
    held = [part for part in container.parts if part.media_type in _REPORT_TYPES]
    if not held:
        return Found(wanted, container, None) if wanted else None
    # RFC 6522 §3: report-type equals the subtype of the second part; where it does not, the part is trusted.
    part = next((part for part in held if _REPORT_TYPES[part.media_type] == wanted), held[0])
    # Leniency: OpenSMTPD and GNU mailutils send multipart/mixed (opensmtpd-OSdrej). From a person, that is a report
    # which somebody attached.
    if container.media_type == "multipart/report" or wanted or is_automatic(header):
        return Found(_REPORT_TYPES[part.media_type], container, part)
    return None


def is_as2(header: Header) -> bool:
    """Whether the message belongs to an exchange of business data (RFC 4130 §6.2), whose receipts are not ours."""
    return header.has_any(_AS2)


def is_automatic(header: Header) -> bool:
    """Whether a mail system rather than a person sent the message, as far as its header tells."""
    if return_path(header) == "" or "x-failed-recipients" in header:
        return True
    # GNU mailutils sends its refusals without From.
    return is_auto_submitted(header) or "from" not in header or is_named_as_system(header)


def is_auto_submitted(header: Header) -> bool:
    """Whether the message says itself that a machine sent it (RFC 3834 §5); "no" is a person."""
    automatic = header.get("auto-submitted") or "no"
    return not automatic.lower().startswith("no")


def is_named_as_system(header: Header) -> bool:
    """Whether From bears the name of a mail system, or no address, which is a daemon's way."""
    sender = header.get("from")
    return sender is not None and (first_address(sender) is None or _MAIL_SYSTEM.within(decode_words(sender).lower()))


# Types of which a report may be made as a whole, or in which one is found wrapped.
_CANDIDATE_TYPES = frozenset(
    {
        "multipart/report",
        "multipart/signed",
        "multipart/parallel",
        "application/ms-tnef",
        "application/vnd.ms-tnef",
        "application/pkcs7-mime",
        "application/x-pkcs7-mime",
    }
)
_CANDIDATE_FIELDS = frozenset(
    {
        "disposition",
        "final-recipient",
        "original-message-id",
        "original-recipient",
        "x-autoreply",
        "x-autorespond",
        "x-bluebottle-request",
        "x-amz-sns-message-id",
        "x-failed-recipients",
        "x-mlserver",
        "x-ricevuta",
    }
)
# Words with which receipts begin their subjects, in the languages they were seen in.
RECEIPT_WORDS = (
    r"(?:read|not read|opened|displayed|received|deleted|processed|gelesen|ungelesen|nicht gelesen|ge[oö]ffnet"
    r"|lu|non lu|letto|non letto|le[ií]do|no le[ií]do|lida?|n[aã]o lida?|gelezen|niet gelezen|l[aä]st|ol[aä]st|l[æe]st"
    r"|ul[æe]st|luettu|przeczytano|przeczytane|p[rř]e[cč]teno|olvasva|okundu|прочитано|прочтено|已读|已讀|開封済み|읽음)"
)
# Words of receipts, bounces and automatic replies. An ordinary message fetched for nothing costs milliseconds, a
# report that is not fetched costs its news.
_CANDIDATE_SUBJECT = re.compile(
    rf"^\W*{RECEIPT_WORDS}\s*[:\uff1a]"
    r"|receipt|lesebest[aä]tigung|empfangsbest[aä]tigung|accus[eé]|conferma di |confirmaci[oó]n|confirma[cç][aã]o"
    r"|disposition|開封|表示済|leesbevestiging|potwierdzenie|уведомление"
    r"|deliver|undeliver|zugestellt|zustell|non[- ]?remis|bounce|fail(?:ed|ure|ing)?\b|returned|mail status|mail system"
    r"|status notif|could not|cannot be|unable to|unknown user|user unknown|rejected|refused|delayed|not sent"
    r"|warning|quota|over limit|mailbox|不達|配信|送信|エラー|недоставлен|не доставлен|退信"
    r"|auto(?:matic)?[- ]?(?:reply|response|antwort)|automat[iy]|complaint"
    r"|out of (?:the )?office|abwesen|absen[ct]|vacation"
    r"|chat: message opened",
    re.IGNORECASE,
)
_CANDIDATE_STRUCTURE = re.compile(
    rb'"(?:global-)?(?:delivery-status|disposition-notification)"|"(?:feedback-)?report"|"(?:vnd\.)?ms-tnef"',
    re.IGNORECASE,
)


def wants_body(header: bytes, structure: bytes = b"") -> bool:
    """Whether the rest of a message is worth fetching, since it may be a report, a bounce or an automatic reply.

    Generous on purpose; judged by the header alone, or by it and `structure`: the server's BODYSTRUCTURE
    (RFC 9051 §7.5.2) as sent, in which a report that a gateway wrapped shows.
    """
    if _CANDIDATE_STRUCTURE.search(structure):
        return True
    # Line ends of two bytes become one.
    data = with_lf(header[: 2 * MAX_HEADER])
    fields = read_header(data, 0, len(data))
    content_type = fields.get("content-type") or ""
    media = media_type(content_type)
    return (
        media in _CANDIDATE_TYPES
        or media.startswith("message/")
        or "report-type" in content_type.lower()
        or fields.has_any(_CANDIDATE_FIELDS)
        or is_automatic(fields)
        or _CANDIDATE_SUBJECT.search(decode_words(fields.get("subject") or "")) is not None
    )
