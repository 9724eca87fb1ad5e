"""Receipts of Italian certified mail, Posta Elettronica Certificata (RFC 6109), as delivery status notifications."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mdnwatch.mail.addresses import first_address
from mdnwatch.mail.daticert import MAX_DATICERT, Daticert, read_daticert
from mdnwatch.mail.head import read_head
from mdnwatch.mail.message_ids import message_id
from mdnwatch.mail.mime import Message, Part, walk
from mdnwatch.mail.parameters import parameters
from mdnwatch.model.report import Action, Dsn, RecipientBlock, Returned, Typed
from mdnwatch.model.smtp_reply import enhanced_code

FORMAT = "pec"

# RFC 6109 §3: what each receipt, named by X-Ricevuta, says became of the message.
_ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        "accettazione": Action.SUBMITTED,
        "non-accettazione": Action.FAILED,
        "presa-in-carico": Action.RELAYED,
        "avvenuta-consegna": Action.DELIVERED,
        "errore-consegna": Action.FAILED,
        "preavviso-errore-consegna": Action.DELAYED,
    }
)
_NO_ERROR = "nessuno"
_XML = frozenset({"application/xml", "text/xml", "application/octet-stream"})
_NAME = "daticert.xml"


def read_pec(message: Message) -> Dsn | None:
    """The receipt that a message is; None for all other mail, certified mail that was received included.

    X-Trasporto is of a message that somebody has sent (RFC 6109 §3.1.5) and no receipt.
    """
    header = message.header
    if "x-ricevuta" not in header or "x-trasporto" in header:
        return None
    part = _daticert_part(message)
    content = part.content(MAX_DATICERT) if part is not None else b""
    data = read_daticert(content) if content else None
    named = (header.get("x-ricevuta") or "").lower()
    # The certification data stand under the provider's signature, the header does not.
    kind = data.tipo if data is not None and data.tipo in _ACTIONS else named
    action = _ACTIONS.get(kind)
    reference = message_id(header.get("x-riferimento-message-id")) or (message_id(data.msgid) if data else None)
    if action is None or (data is None and reference is None):
        return None
    defects = dict.fromkeys(message.defects)
    if data is None:
        defects["no-daticert"] = None
    elif kind != named:
        defects["receipt-types-differ"] = None
    return Dsn(
        head=read_head(header),
        format=FORMAT,
        report_part=content,
        returned=_returned(reference, data),
        defects=tuple(defects),
        recipients=_blocks(kind, action, data),
        reporting_mta=Typed("x-pec", data.gestore_emittente) if data and data.gestore_emittente else None,
    )


def _daticert_part(message: Message) -> Part | None:
    return next((part for part in walk(message.root) if part.media_type in _XML and _is_daticert(part)), None)


def _is_daticert(part: Part) -> bool:
    header = part.header()
    names = (
        parameters(header.get("content-type") or "").get("name"),
        parameters(header.get("content-disposition") or "").get("filename"),
    )
    return any(name is not None and name.strip().lower() == _NAME for name in names)


def _returned(reference: str | None, data: Daticert | None) -> Returned:
    if data is None:
        return Returned(media_type="text/rfc822-headers", message_id=reference)
    return Returned(
        media_type="application/xml",
        message_id=reference,
        from_address=first_address(data.mittente),
        to_addresses=data.destinatari,
        subject=data.oggetto,
    )


def _blocks(kind: str, action: Action, data: Daticert | None) -> tuple[RecipientBlock, ...]:
    """One for each recipient; where the data cannot be read, one that names none: of the only recipient, if so."""
    addresses = _recipients(kind, data) if data is not None else ()
    diagnostic = _diagnostic(data) if data is not None else None
    return tuple(
        RecipientBlock(
            final_recipient=Typed("rfc822", address) if address else None,
            original_recipient=None,
            action=action,
            action_as_sent=kind,
            status=enhanced_code(diagnostic) if diagnostic else None,
            diagnostic_code=Typed("x-pec", diagnostic) if diagnostic else None,
            last_attempt_date=data.data if data is not None else None,
        )
        for address in addresses or (None,)
    )


def _recipients(kind: str, data: Daticert) -> tuple[str, ...]:
    """RFC 6109 §3: acceptance and its refusal are of all recipients, a delivery or its failure of the one it names."""
    if kind == "presa-in-carico":
        return data.ricezione or data.destinatari
    if kind in {"accettazione", "non-accettazione"}:
        return data.destinatari
    if data.consegna:
        return data.consegna
    # Of several recipients, which one is not said.
    return data.destinatari if len(data.destinatari) == 1 else ()


def _diagnostic(data: Daticert) -> str | None:
    words = [data.errore if data.errore != _NO_ERROR else "", data.errore_esteso or ""]
    return ": ".join(word for word in words if word) or None
