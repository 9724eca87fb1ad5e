"""What each kind of evidence means, in words for people: tables of sentences, each with the rule and where that stands.

A person who does not program can read them, and so can one who doubts what mdnwatch says.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from mdnwatch.model.authenticity import Grade
from mdnwatch.model.correlation import Rung
from mdnwatch.model.evidence import Kind
from mdnwatch.model.reasons import Reason


class Rule(NamedTuple):
    """A rule: `says` what it comes to, `means` is the rule itself, `caveat` what does not follow from it.

    "{who}" stands for the recipient, "{by}" for who reports, "{why}" for the words of FAILURES, "{host}" for whom it
    was handed over to, "{member}" for an address behind the recipient's. `source` is where the rule stands.
    """

    says: str
    means: str
    caveat: str
    source: str


RULES: Mapping[Kind, Rule] = MappingProxyType(
    {
        Kind.REPLIED: Rule(
            "{who} answered it.",
            "An ordinary mail from a recipient names your message as the one that it answers; nothing in it says that a"
            " machine wrote it.",
            "An answer is the strongest sign there is. Its text was not read by mdnwatch.",
            "RFC 5322 §3.6.4",
        ),
        Kind.DISPLAYED: Rule(
            "{who} displayed it: a read receipt by {by} says so.",
            "The disposition type is displayed: the mail program showed the message to somebody who reads that"
            " mailbox.",
            "This is what the receipt says. That anybody read it, or understood it, it does not say.",
            "RFC 8098 §3.2.6.2",
        ),
        Kind.DECLINED: Rule(
            "{who} declined to say: a receipt by {by} tells that the sender is to learn nothing.",
            "The disposition type is denied, of an older standard that some programs still follow: the recipient"
            " does not wish you to know what became of the message.",
            "So the message arrived. Whether it was displayed is exactly what you are not told.",
            "RFC 2298 §3.2.6.2",
        ),
        Kind.DELETED: Rule(
            "{who} deleted it: a receipt by {by} says so.",
            "The disposition type is deleted: the message was deleted. The recipient may have seen it before or not.",
            "It may still be in a folder of deleted mail and be displayed later, and some programs send this for mail"
            " that was merely moved or cleaned up.",
            "RFC 8098 §3.2.6.2",
        ),
        Kind.DISPATCHED: Rule(
            "It was sent on from {who}'s mailbox: a receipt by {by} says so.",
            "The disposition type is dispatched: the message was forwarded, printed or faxed, or sent on in some"
            " other way.",
            "That anybody saw it, it does not say.",
            "RFC 8098 §3.2.6.2",
        ),
        Kind.PROCESSED: Rule(
            "A program of {who} handled it: a receipt by {by} says so.",
            "The disposition type is processed: a program handled the message by some rule, without showing it to"
            " anybody.",
            "It may or may not be displayed later.",
            "RFC 8098 §3.2.6.2",
        ),
        Kind.DELIVERED: Rule(
            "It was delivered to {who}: {by} reports that it put the message into the mailbox.",
            "The action is delivered: the mail server gave the message to the recipient's mailbox.",
            "A mailbox is no pair of eyes: whether anybody looked, a delivery report cannot say.",
            "RFC 3464 §2.3.3",
        ),
        Kind.RELAYED: Rule(
            "It was passed on for {who}: {by} gave it to a mail system that sends no delivery reports.",
            "The action is relayed: from here on no server has promised to report a success.",
            "Nothing more may ever be heard, though it may well have arrived.",
            "RFC 3464 §2.3.3",
        ),
        Kind.EXPANDED: Rule(
            "It reached {who}, which stands for several people: {by} sent it on to them.",
            "The action is expanded: the address is a list or an alias, and the message went on to more than one"
            " address.",
            "What became of it at those addresses is another question; a failure there is told by itself.",
            "RFC 3464 §2.3.3",
        ),
        Kind.DELAYED: Rule(
            "It has not reached {who} yet: {by} could not deliver it, and goes on trying.",
            "The action is delayed: a temporary trouble. The server tries again by itself, often for days.",
            "A delay is no failure. There is nothing to do but wait.",
            "RFC 3464 §2.3.3",
        ),
        Kind.FAILED: Rule(
            "It was not delivered to {who}: {by} says {why}.",
            "The action is failed: the server that reports has given up. The action decides, not the status code"
            " beside it.",
            "Another copy of the message may still have got through; of that, this report cannot know.",
            "RFC 3464 §2.3.3",
        ),
        Kind.SUBMITTED: Rule(
            "A mail provider took it in for {who}; nothing is known of what came after.",
            "A receipt of acceptance: the sender's own provider confirms that it accepted the message.",
            "It says nothing of the recipient's side.",
            "RFC 6109 §3.1.4",
        ),
        Kind.AUTO_REPLIED: Rule(
            "A machine answered for {who}, as an absence notice does.",
            "An automatic reply: the message arrived where a program answers for the recipient.",
            "So the message arrived. That a person saw it, an automatic reply does not say.",
            "RFC 3834 §2",
        ),
        Kind.COMPLAINED: Rule(
            "{who} complained about it, or a provider did so for that address.",
            "A feedback report: somebody marked the message as unwanted, or a provider judged it so.",
            "So the message arrived, and is not welcome. Writing again can harm the reputation of your mail.",
            "RFC 5965 §7.3",
        ),
        Kind.WARNING: Rule(
            "{by} could not make the receipt that it was to send for {who}.",
            "A receipt that reports trouble with itself: it says that the mail program has the message, and no more.",
            "It is no failure of delivery, and no sign that the message was displayed.",
            "RFC 8098 §3.2.7",
        ),
    }
)

# A "deleted" that a filter sends at delivery.
REFUSAL = Rule(
    "It was refused at {who}'s mailbox: a filter there, {by}, turned it away.",
    "The disposition type is deleted, by an automatic action, from a delivery agent: this is how a filter (Sieve)"
    " rejects. Without such a sign it would count as deleted: what Exchange sends for mail that was not read"
    " looks alike.",
    "Nobody saw the message there. Why, the filter may say in the text of its report, which mdnwatch does not keep.",
    "RFC 5429 §2.2.1",
)
# A "delivered" that names the next host.
HANDOVER = Rule(
    "It was handed over for {who}: {by} gave it to {host} and calls that delivered.",
    "The action is delivered, with a Remote-MTA: Exim says so when it passes a message to a host that sends no delivery"
    " reports.",
    "What {host} did with it is not known; a failure there would be reported by itself.",
    "RFC 3464 §2.3.3",
)
# A failure of somebody behind the address.
MEMBER = Rule(
    "It was not delivered to {member}, to whom {who} passes mail on: {by} says {why}.",
    "A failure whose final recipient is another address than the one written to: an alias, a rewriting or a list.",
    "It counts for {who} itself only where nothing shows that others behind that address got the message.",
    "RFC 3464 §2.3.2",
)

# Why it was not delivered, to come after "says", and what can be done.
FAILURES: Mapping[Reason, tuple[str, str]] = MappingProxyType(
    {
        Reason.NO_SUCH_MAILBOX: (
            "that there is no such mailbox",
            "Check the spelling, or ask for the new address; writing there again is of no use.",
        ),
        Reason.NO_SUCH_DOMAIN: (
            "that the domain does not exist, or takes no mail",
            "Check the part behind the @; writing there again is of no use.",
        ),
        Reason.MAILBOX_FULL: ("that the mailbox is full", "It may work later, when there is room again."),
        Reason.POLICY: (
            "that your server may not send there (block lists, relaying, rates)",
            "The words of the other server, below, are for whoever runs your mail server.",
        ),
        Reason.SPAM: (
            "that the message looks unwanted",
            "A plainer message may pass; whoever runs your mail server can ask the other side.",
        ),
        Reason.TOO_LARGE: ("that the message is too large", "Send less, or a link to it."),
        Reason.NETWORK: ("that the other server could not be reached", "Send it again later."),
        Reason.AUTHENTICATION: (
            "that your domain does not prove that the mail is yours (SPF, DKIM, DMARC), or that a login was missing",
            "This is for whoever runs your domain or mail server: other recipients may be hit too.",
        ),
        Reason.EXPIRED: ("that it was tried until the time was over", "Send it again, or call."),
        Reason.REFUSED: (
            "that the recipient's side refused it (a disabled account, a filter, a closed list)",
            "Reach the recipient in some other way.",
        ),
        Reason.CONTENT: (
            "that it takes no such content (an attachment, a suspected virus, a broken header)",
            "Send it in another form.",
        ),
        Reason.OTHER: (
            "that it failed, for no reason that mdnwatch understands",
            "The server's own words stand below.",
        ),
    }
)

# How a report was matched with the message.
RUNGS: Mapping[Rung, tuple[str, str]] = MappingProxyType(
    {
        Rung.TOKEN: ("it bears a secret token that mdnwatch made for this message, and that nobody can guess", ""),
        Rung.ENVELOPE_ID: (
            "it names the envelope id under which the message was given to the mail server",
            "RFC 3464 §2.2.1",
        ),
        Rung.ORIGINAL_MESSAGE_ID: (
            "its field Original-Message-ID names your message",
            "RFC 8098 §3.2.5",
        ),
        Rung.RETURNED_MESSAGE_ID: (
            "the part of your message that it returns bears the Message-ID",
            "RFC 6522 §3",
        ),
        Rung.IN_REPLY_TO: ("its field In-Reply-To names your message", "RFC 5322 §3.6.4"),
        Rung.REFERENCES: (
            "its field References names your message, as the nearest of yours in that conversation",
            "RFC 5322 §3.6.4",
        ),
        Rung.INLINE_MESSAGE_ID: (
            "the Message-ID of your message stands in its text; no field says so, which is the weakest sign",
            "",
        ),
    }
)

# How far it is trusted.
GRADES: Mapping[Grade, str] = MappingProxyType(
    {
        Grade.AUTHENTICATED: "proved: the recipient's own domain, signature or token vouches for it",
        Grade.CONSISTENT: "plausible: nothing speaks against it, and nothing proves it; whoever knows the Message-ID"
        " could have written it",
        Grade.DOUBTFUL: "doubtful: something about it does not fit",
        Grade.CONTRADICTED: "contradicted: it cannot be what it says it is, so it changed nothing",
    }
)
GRADES_SOURCE = "RFC 8098 §6.1"
