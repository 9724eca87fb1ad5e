"""Whether a message may be a bounce of any format, by its header alone: ordinary mail must cost microseconds."""

from __future__ import annotations

import re

from mdnwatch.mail.addresses import first_address
from mdnwatch.mail.head import return_path
from mdnwatch.mail.header import Header
from mdnwatch.mail.recognise import is_automatic
from mdnwatch.mail.words import decode_words

# A mail system says it at once.
MAX_SUBJECT = 500  # characters
# Senders that show nothing automatic write these (fml, Amazon's notification service).
_FIELDS = ("x-amz-sns-message-id", "x-mlserver")
# In lower case; most bounces of people's names come with one of these (imss@, ndr@, System Administrator).
_SUBJECT = (
    "deliver", "returned mail", "returned message", "returning to sender", "returned to sender", "failure notice",
    "mail fail", "mail error", "nondeliverable", "unknown user", "user unknown", "bounce", "mail status",
    "message status", "not be sent", "mail system error", "mailbox", "non remis", "non distribu", "échec",
    "unzustellbar", "zustellung", "nicht zugestellt", "no entregad", "no se pudo", "não entregue", "nao entregue",
    "mancata consegna", "non consegnat", "non recapit", "onbestelbaar", "недоставлен", "не доставлен",
    "エラー通知", "配信", "送信エラー", "不達", "退信", "投递", "投遞",
)  # fmt: skip
_MAIL_SYSTEM = re.compile(
    r"mail(?:er)?[-_. ]?d(?:a)?emon|post[-_ ]?master|mail[-_ ]?admin|mail delivery|delivery (?:sub)?system|mdaemon"
    r"|mail system|system administrator|mail(?:system|server)@",
    re.IGNORECASE,
)
# What people write about a bounce, or with one in it.
_ANSWER = re.compile(r"\s*(?:re|aw|sv|antw?|fwd?|wg|tr|rv|odp|vs|回复|转发)\s*(?:\[\d+\])?:", re.IGNORECASE)


def may_be_bounce(header: Header) -> bool:
    """Whether the rest of a message is worth reading. Receipts of certified mail have a reader of their own."""
    if "x-ricevuta" in header:
        return False
    if _ANSWER.match(header.get("subject") or "") is not None and not is_mail_system(header):
        return False
    return is_automatic(header) or any(name in header for name in _FIELDS) or is_failure_subject(header)


def is_mail_system(header: Header) -> bool:
    """Whether a mail system sent the message, rather than any other machine: a ticket system quotes bounces, too."""
    if return_path(header) == "" or "x-failed-recipients" in header:
        return True
    sender = header.get("from")
    return sender is not None and (
        first_address(sender) is None or _MAIL_SYSTEM.search(decode_words(sender)) is not None
    )


def is_failure_subject(header: Header) -> bool:
    """Whether the subject speaks of a failed delivery, and is no answer's or forwarder's."""
    subject = (header.get("subject") or "")[:MAX_SUBJECT]
    subject = (decode_words(subject) if "=?" in subject else subject).lower()
    return any(word in subject for word in _SUBJECT) and _ANSWER.match(subject) is None
