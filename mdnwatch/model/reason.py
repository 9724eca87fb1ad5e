"""What a failure means, from the enhanced code (RFC 3463), the reply code and the words, in this order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mdnwatch.model.phrases import Phrases
from mdnwatch.model.reason_words import reason_by_words
from mdnwatch.model.reasons import Reason
from mdnwatch.model.report import Action, RecipientBlock
from mdnwatch.model.smtp_reply import enhanced_code, reply_code


@dataclass(frozen=True, slots=True)
class Meaning:
    """`permanent`: nobody tries any more. `hard`: writing to this address again is pointless."""

    reason: Reason
    permanent: bool
    hard: bool


# Failures that lie in the address itself.
_HARD = frozenset({Reason.NO_SUCH_MAILBOX, Reason.NO_SUCH_DOMAIN})

# RFC 3463 §3, RFC 5248 and the IANA registry: subject and detail, of either class. Codes that servers use for
# anything (x.0.0, x.1.0, x.2.0, x.2.1, x.5.0, x.7.0, x.7.1, Outlook.com's 5.4.1) are left to the words.
_BY_CODE: Mapping[str, Reason] = MappingProxyType(
    {
        "1.1": Reason.NO_SUCH_MAILBOX,
        "1.2": Reason.NO_SUCH_DOMAIN,
        "1.4": Reason.NO_SUCH_MAILBOX,
        "1.6": Reason.NO_SUCH_MAILBOX,
        "1.7": Reason.POLICY,
        "1.8": Reason.POLICY,
        "1.10": Reason.NO_SUCH_MAILBOX,  # as Exchange means it; RFC 7505 has it for a null MX
        "1.351": Reason.NO_SUCH_MAILBOX,  # Exchange Online
        "2.2": Reason.MAILBOX_FULL,
        "2.3": Reason.TOO_LARGE,
        "3.4": Reason.TOO_LARGE,
        "4.2": Reason.NETWORK,
        "4.3": Reason.OTHER,
        "4.4": Reason.NO_SUCH_DOMAIN,
        "4.6": Reason.NETWORK,
        "4.7": Reason.EXPIRED,
        "4.14": Reason.NETWORK,  # Exchange Online: too many hops
        "4.300": Reason.EXPIRED,  # Exchange Online: message expired
        "4.310": Reason.NO_SUCH_DOMAIN,  # Exchange Online: DNS domain does not exist
        "4.316": Reason.EXPIRED,  # Exchange Online: connection refused until it expired
        "6.1": Reason.CONTENT,
        "6.2": Reason.CONTENT,
        "6.3": Reason.CONTENT,
        "6.5": Reason.CONTENT,
        "6.9": Reason.CONTENT,
        "7.2": Reason.REFUSED,
        "7.13": Reason.REFUSED,
        "7.20": Reason.AUTHENTICATION,
        "7.21": Reason.AUTHENTICATION,
        "7.22": Reason.AUTHENTICATION,
        "7.23": Reason.AUTHENTICATION,
        "7.24": Reason.AUTHENTICATION,
        "7.25": Reason.POLICY,
        "7.26": Reason.AUTHENTICATION,
        "7.28": Reason.POLICY,
        "7.509": Reason.AUTHENTICATION,  # Exchange Online: DMARC
        "7.515": Reason.AUTHENTICATION,  # Exchange Online: authentication level
        "7.606": Reason.POLICY,  # Exchange Online: banned address
    }
)
# RFC 5321 §4.2.3, RFC 4954 §6, RFC 7504 §3: the few that mean one thing.
_BY_REPLY: Mapping[int, Reason] = MappingProxyType(
    {
        525: Reason.REFUSED,
        530: Reason.AUTHENTICATION,
        535: Reason.AUTHENTICATION,
        551: Reason.NO_SUCH_MAILBOX,
        556: Reason.NO_SUCH_DOMAIN,
    }
)
# Postfix, Exim, Sendmail, Courier. Where commands are pipelined (RFC 2920), Sendmail shows DATA before the refusal of
# the recipient, and then that there is none.
_AFTER_DATA = Phrases(r"in reply to (?:end of )?data|after end of data|>>> data\b")
_WITHOUT_RECIPIENT = Phrases(r"\b503\b|need rcpt|rcpt first|no valid recipients")
# RFC 3463 §3: what the subject says by itself, where neither detail nor words say more.
_BY_SUBJECT: Mapping[str, Reason] = MappingProxyType(
    {
        "1": Reason.NO_SUCH_MAILBOX,
        "2": Reason.REFUSED,
        "4": Reason.NETWORK,
        "6": Reason.CONTENT,
        "7": Reason.POLICY,
    }
)


def meaning(block: RecipientBlock) -> Meaning:
    """What the block of one recipient means; `other` where nothing tells."""
    failed = block.action is Action.FAILED
    explanation = block.explanation or ""
    words = block.diagnostic_code.value if block.diagnostic_code else explanation
    told = enhanced_code(words)
    reason = _reason(block.status, told, words)
    if reason is Reason.NO_SUCH_MAILBOX and _is_after_data(f"{words} {explanation}"):
        # An unknown recipient is told at RCPT. Mobile carriers (NTT docomo, au) say "unknown user" after DATA where a
        # filter of the recipient's own refused the message.
        reason = Reason.REFUSED
    # RFC 3463 §2: of class 4 "sending in the future may be successful", whatever the words say (Google's NXDOMAIN).
    transient = (told or block.status or "").startswith("4")
    return Meaning(reason, permanent=failed, hard=failed and reason in _HARD and not transient)


def _is_after_data(words: str) -> bool:
    lower = words.lower()
    return _AFTER_DATA.within(lower) and not _WITHOUT_RECIPIENT.within(lower)


def reason_of(status: str | None, words: str) -> Reason:
    """The reason of a status code, as "5.1.1", and of what was said.

    The code that the remote server gave in its reply comes before the status that the reporting server made of it
    (Exim reports 5.0.0, Exchange 5.1.1 for what was told it as 5.7.1).
    """
    return _reason(status, enhanced_code(words), words)


def _reason(status: str | None, told: str | None, words: str) -> Reason:
    code = told or status or ""
    return (
        _BY_CODE.get(code.partition(".")[2])
        or _BY_REPLY.get(reply_code(words) or 0)
        or reason_by_words(words)
        or _by_subject(code)
        or (_by_subject(status) if status else None)
        or Reason.OTHER
    )


def _by_subject(code: str) -> Reason | None:
    return _BY_SUBJECT.get(code.partition(".")[2].partition(".")[0])
