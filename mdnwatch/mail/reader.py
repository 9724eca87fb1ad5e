"""From the bytes of a message to a report, or to the finding that it is none."""

from __future__ import annotations

from collections.abc import Callable

from mdnwatch.mail import mime
from mdnwatch.mail.arf import read_arf
from mdnwatch.mail.bounce import read_bounce
from mdnwatch.mail.dsn import is_action, read_dsn
from mdnwatch.mail.explanation import explained
from mdnwatch.mail.feedback_forms import read_feedback_form
from mdnwatch.mail.fields import MAX_REPORT_PART, Block, is_cut, joined, read_blocks
from mdnwatch.mail.head import RETURNED_TYPES, read_head, read_returned
from mdnwatch.mail.mdn import read_mdn
from mdnwatch.mail.mime import Message, Part
from mdnwatch.mail.parts import Parts, first_text
from mdnwatch.mail.pec import read_pec
from mdnwatch.mail.receipt_text import read_receipt_text
from mdnwatch.mail.recognise import ARF, DSN, MDN, Found, find_report, is_as2
from mdnwatch.mail.signed_receipt import read_signed_receipt
from mdnwatch.mail.stray import find_stray_blocks
from mdnwatch.mail.tnef import read_tnef_receipt
from mdnwatch.model.report import Dsn, Malformed, Report, Returned

# Forms of reports beside the standards'; each looks at a field or two, and at the rest only of its own.
_FORMS: tuple[Callable[[Message], Report | None], ...] = (
    read_feedback_form,
    read_pec,
    read_tnef_receipt,
    read_signed_receipt,
    read_receipt_text,
    read_bounce,
)


def read(data: bytes) -> Report | Malformed | None:
    """The report that a message is; None for ordinary mail. Never raises, whatever the bytes.

    RFC 4130: receipts of an AS2 exchange are left alone.
    """
    message = mime.read(data)
    return None if is_as2(message.header) else read_message(message)


def read_message(message: Message) -> Report | Malformed | None:
    """The report that a message is, receipts of AS2 included; None for ordinary mail."""
    found = find_report(message)
    if found is None:
        return _undeclared(message)
    defects = message.defects
    report_part, blocks = _report_part(found, defects)
    parts = Parts(read_head(message.header), report_part, _returned(found), found.container)
    report = _report(found.declared, parts, blocks, defects)
    if report is None and found.part is not None:
        report = _report(found.declared, parts, _blocks_elsewhere(found.part, blocks), defects)
    if isinstance(report, Dsn):
        return explained(report, found.container)
    if report is None and found.declared == DSN:
        report = read_bounce(message, declared=True)
    return report or _malformed(found, parts, defects)


def _undeclared(message: Message) -> Report | None:
    """The report that a message is in a form of its own, without a report part."""
    for read_form in _FORMS:
        report = read_form(message)
        if report is not None:
            return report
    return None


def _report(declared: str, parts: Parts, blocks: list[Block], defects: list[str]) -> Report | None:
    if not blocks:
        return None
    if declared == ARF:
        return read_arf(parts, joined(blocks), defects)
    return read_mdn(parts, joined(blocks), defects) if _is_mdn(declared, blocks) else read_dsn(parts, blocks, defects)


def _is_mdn(declared: str, blocks: list[Block]) -> bool:
    """Whether the fields are those of an MDN.

    Leniency: GNU mailutils puts a Disposition into message/delivery-status, with an Action that RFC 3464 does not
    have.
    """
    if any("disposition" in block for block in blocks):
        return declared == MDN or not any(is_action(block.get("action")) for block in blocks)
    return declared == MDN and not any("action" in block for block in blocks)


def _report_part(found: Found, defects: list[str]) -> tuple[bytes, list[Block]]:
    """The decoded report part, or the first text part, and the blocks of fields of the report."""
    part = found.part
    if part is None:
        defects.append("no-report-part")
        text = first_text(found.container)
        return text.content(MAX_REPORT_PART) if text else b"", find_stray_blocks(found.container)
    content = part.content(MAX_REPORT_PART)
    if part.end - part.body > MAX_REPORT_PART or is_cut(content):
        defects.append("report-part-cut")
    return content, read_blocks(content)


def _blocks_elsewhere(part: Part, blocks: list[Block]) -> list[Block]:
    """The fields of a report part whose body holds none that suffice.

    Leniencies: fields in the part's own header, where the blank line after it is missing (DirectProject's agent,
    MIMEsweeper); a part that is not encoded as it says.
    """
    own = [field for field in part.header().fields() if not field[0].lower().startswith("content-")]
    if not blocks and part.encoding:
        blocks = read_blocks(part.data[part.body : min(part.end, part.body + MAX_REPORT_PART)])
    return [Block(own), *blocks] if own else blocks


def _malformed(found: Found, parts: Parts, defects: list[str]) -> Malformed:
    if found.declared == MDN:
        reason = "it has no Disposition field, which would say what became of the message"
    elif found.declared == ARF:
        reason = "it has no field of such a report"
    else:
        reason = "it has no block of fields about a recipient"
    return Malformed(
        head=parts.head,
        declared=found.declared,
        reason=f"The message declares itself a {found.declared}, but {reason}.",
        report_part=parts.report_part,
        defects=tuple(dict.fromkeys(defects)),
        returned=parts.returned,
    )


def _returned(found: Found) -> Returned | None:
    """The returned original (RFC 6522 §3): the part after the report part, or else the one that is there."""
    candidates = [part for part in found.container.parts if part.media_type in RETURNED_TYPES]
    if not candidates:
        return None
    after = found.part.end if found.part is not None else 0
    return read_returned(next((part for part in candidates if part.start >= after), candidates[0]))
