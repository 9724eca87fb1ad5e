"""Signed receipts of S/MIME (RFC 2634 §2): proof that the recipient's software has the message and its signature.

Its content names the message by an identifier which only the sender's S/MIME software knows: the message is found by
In-Reply-To, where there is one. Reading verifies nothing; `verification` does, where a trust store is configured.
"""

from __future__ import annotations

from mdnwatch.mail.head import read_head
from mdnwatch.mail.mime import Message
from mdnwatch.model.report import Action, Dsn, RecipientBlock, Typed

# The defect of a receipt whose signature nobody has verified yet.
NOT_VERIFIED = "signature-not-verified"

_TYPES = frozenset({"application/pkcs7-mime", "application/x-pkcs7-mime"})
# RFC 2634 §2.4: id-ct-receipt, 1.2.840.113549.1.9.16.1.1, as DER.
_RECEIPT = bytes.fromhex("060b2a864886f70d0109100101")
# It stands in front: only the version and the digest algorithms come before it (RFC 5652 §5.1).
MAX_BEFORE_CONTENT_TYPE = 1024  # bytes
# A receipt with its certificates has some 4 KiB.
MAX_RECEIPT = 64 * 1024  # bytes, as encoded


def is_signed_receipt(message: Message) -> bool:
    """Whether a message is a signed receipt, and no other S/MIME."""
    root = message.root
    return root.media_type in _TYPES and _RECEIPT in root.content(MAX_RECEIPT)[:MAX_BEFORE_CONTENT_TYPE]


def read_signed_receipt(message: Message) -> Dsn | None:
    """The receipt that a message is, as the delivery that it proves (RFC 2634 §2); None for other S/MIME.

    Whose receipt it is, its signature says; From is what there is to go by.
    """
    if not is_signed_receipt(message):
        return None
    head = read_head(message.header)
    return Dsn(
        head=head,
        format="smime-receipt",
        report_part=message.root.content(MAX_RECEIPT),
        # conformance 83: whether it was verified is told as a value of its own.
        defects=(*dict.fromkeys(message.defects), NOT_VERIFIED),
        recipients=(
            RecipientBlock(
                final_recipient=Typed("rfc822", head.from_address) if head.from_address else None,
                original_recipient=None,
                action=Action.DELIVERED,
                action_as_sent=None,
                status=None,
            ),
        ),
    )
