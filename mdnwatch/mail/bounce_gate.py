"""Whether a message may be a bounce of any format, by its header alone: ordinary mail must cost microseconds."""

from __future__ import annotations

import re

from mdnwatch.mail.addresses import first_address
from mdnwatch.mail.head import return_path
from mdnwatch.mail.header import Header
from mdnwatch.mail.recognise import is_auto_submitted, is_named_as_system
from mdnwatch.mail.words import decode_words

# A mail system says it at once.
MAX_SUBJECT = 500  # characters
# Senders that show nothing automatic write these (fml, Amazon's notification service).
_FIELDS = frozenset({"x-amz-sns-message-id", "x-mlserver"})
# In lower case; what is automatic under another name comes with one of these in its subject.
_SUBJECT = (
    "deliver", "returned mail", "returned message", "returning to sender", "returned to sender", "failure notice",
    "mail fail", "mail error", "nondeliverable", "unknown user", "user unknown", "bounce", "mail status",
    "message status", "not be sent", "mail system error", "mailbox", "non remis", "non distribu", "échec",
    "unzustellbar", "zustellung", "nicht zugestellt", "no entregad", "no se pudo", "não entregue", "nao entregue",
    "mancata consegna", "non consegnat", "non recapit", "onbestelbaar", "недоставлен", "не доставлен",
    "エラー通知", "配信", "送信エラー", "送信できません", "不達", "退信", "投递", "投遞",
)  # fmt: skip
# The envelope sender of a daemon that does not take the null one.
_DAEMON = re.compile(r"mailer-daemon\b", re.IGNORECASE)
_NOBODY = re.compile(r"(?:no|do-?not)[-_.]?reply", re.IGNORECASE)
# What people write about a bounce, or with one in it.
_ANSWER = re.compile(r"\s*(?:re|aw|sv|antw?|fwd?|wg|tr|rv|odp|vs|回复|转发)\s*(?:\[\d+\])?:", re.IGNORECASE)
# The mark that a mailing list or a ticket system puts before its subjects.
_TAG = re.compile(r"\s*\[[^\]\n]{1,60}\]")


def may_be_bounce(header: Header) -> bool:
    """Whether the rest of a message is worth reading: whether a mail system may have sent it.

    Of what people write about a bounce, with its whole text in it, the sender tells; receipts of certified mail have a
    reader of their own.
    """
    if "x-ricevuta" in header:
        return False
    if is_mail_system(header):
        # Who answers as postmaster has an envelope; James, which answers, too, has none.
        return not (_ANSWER.match(decode_words(header.get("subject") or "")) and return_path(header))
    if header.has_any(_FIELDS):
        return True
    sender = header.get("from")
    automatic = sender is None or is_auto_submitted(header) or _NOBODY.match(first_address(sender) or "") is not None
    return automatic and is_failure_subject(header)


def is_mail_system(header: Header) -> bool:
    """Whether a mail system sent the message, rather than any other machine: a ticket system quotes bounces, too."""
    path = return_path(header)
    return (
        path == ""
        or "x-failed-recipients" in header
        or is_named_as_system(header)
        or _DAEMON.match(path or "") is not None
    )


def is_failure_subject(header: Header) -> bool:
    """Whether the subject begins by speaking of a failed delivery, and is no answer's, list's or ticket's."""
    subject = (header.get("subject") or "")[:MAX_SUBJECT]
    subject = (decode_words(subject) if "=?" in subject else subject).lower()
    if _ANSWER.match(subject) or _TAG.match(subject):
        return False
    return any(word in subject.partition(":")[0] for word in _SUBJECT)
