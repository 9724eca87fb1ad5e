"""The reasons of failures: a small vocabulary, the same in `parse`, in the database and in events."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a message was not delivered, or not yet."""

    NO_SUCH_MAILBOX = "no_such_mailbox"  # the address does not exist, or no longer
    MAILBOX_FULL = "mailbox_full"
    POLICY = "policy"  # of the other side, about who may send: block lists, relaying, reverse DNS, rates
    SPAM = "spam"  # the message was judged to be unwanted
    TOO_LARGE = "too_large"
    NO_SUCH_DOMAIN = "no_such_domain"  # the domain does not exist, or takes no mail
    NETWORK = "network"  # no connection, no route, a loop
    AUTHENTICATION = "authentication"  # SPF, DKIM, DMARC, or a login that was missing
    EXPIRED = "expired"  # tried until the time was over
    REFUSED = "refused"  # by the recipient or for the recipient: a disabled account, a filter of its own, a closed list
    CONTENT = "content"  # a virus, a forbidden attachment, a header that is no header
    OTHER = "other"
