"""Read receipts in mere words, without the fields of RFC 8098: what programs write in the first part of an MDN.

Clients and gateways that know no multipart/report send that part alone. Who reads words can be wrong: the receipts are
marked as heuristic. The subject and the beginning of the text must be a program's: what a person wrote above it, a mark
of quotation or an attachment make it ordinary mail.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mdnwatch.mail.bounce_text import find_addresses
from mdnwatch.mail.head import RETURNED_TYPES
from mdnwatch.mail.mime import Message, walk
from mdnwatch.mail.notice import Notice, read_notice
from mdnwatch.mail.recognise import RECEIPT_WORDS
from mdnwatch.mail.words import decode_words
from mdnwatch.model.report import HEURISTIC, Disposition, DispositionType, Mdn, Typed

FORMAT = "free-text"

# The longest text of a receipt seen has 600 characters, with a long subject and several recipients.
MAX_RECEIPT_TEXT = 2000  # characters
MAX_SUBJECT = 1000  # characters

_SUBJECT = re.compile(
    rf"(?:{RECEIPT_WORDS}\s*[:\uff1a]"
    r"|(?:message )?disposition notification|return receipt|read[- ]receipt|(?:chat: )?message opened"
    r"|lesebest[aä]tigung|empfangsbest[aä]tigung|confirmation de lecture|accus[eé] de (?:réception|lecture)"
    r"|conferma di lettura|confirmaci[oó]n de lectura|confirma[cç][aã]o de leitura|leesbevestiging|開封確認)",
    re.IGNORECASE,
)


class _Form(NamedTuple):
    """A program's words: how its text begins, and the sentences that say what became of the message."""

    begins: re.Pattern[str]
    displayed: re.Pattern[str]
    deleted: re.Pattern[str]


def _form(begins: str, displayed: str, deleted: str) -> _Form:
    # Texts are folded and indented: any white space stands for a blank.
    begins, displayed, deleted = (words.replace(" ", r"\s+") for words in (begins, displayed, deleted))
    return _Form(
        re.compile(begins, re.IGNORECASE), *(re.compile(words, re.IGNORECASE) for words in (displayed, deleted))
    )


_PORTUGUESE = "(?:a|sua) mensagem"

_FORMS = (
    # KMail, Horde, Zimbra, Evolution and more, after the example of RFC 2298 §9; Balsa (balsa-BAman).
    _form(
        r"(?:the message (?:sent|written) on\b|your message to\b)",
        r"has been displayed\. (?:this|there) is no guarantee",
        r"has been deleted (?:unseen|without)",
    ),
    # Thunderbird and its kin (tb-TBauto-mdn-displayed-manual), Roundcube (roundcube-RCmanual-mdn-displayed-manual).
    _form(
        r"this is a return receipt for (?:the mail that you sent to|your message)\b",
        r"acknowledges that the message was displayed on the recipient's computer",
        r"the message has been deleted\.",
    ),
    # Roundcube in German.
    _form(
        r"dies ist eine (?:empfangs|lese)best[äa]tigung für ihre nachricht\b",
        r"der empfänger hat den empfang der nachricht bestätigt|die nachricht wurde .{0,40}angezeigt",
        r"die nachricht wurde gelöscht",
    ),
    # Roundcube in Japanese.
    _form(
        r"これはあなたが送信したメッセージに対する開封確認です",
        r"メッセージが宛先のコンピューターで表示された",
        r"(?!)",
    ),
    # Delta Chat.
    _form(r"the \".{0,200}\" message you sent was", r"was displayed on the screen of the recipient", r"(?!)"),
    # Exchange and Outlook: To, Subject and Sent, and what became of it, in English and German; in French, Italian,
    # Spanish, Portuguese, Dutch, Swedish, Danish and Norwegian, Polish, Russian, Japanese by its translations.
    _form(
        rf"(?:your message to|ihre nachricht an|votre message à|il messaggio a|el mensaje para|{_PORTUGUESE} para"
        r"|uw bericht aan|ditt meddelande till|din meddelelse til|meldingen til|(?:twoja )?wiadomość do"
        r"|ваше сообщение кому|メッセージ 宛先)\s*:(?s:.{1,1200}?)"
        r"(?:subject|betreff|objet|oggetto|asunto|assunto|onderwerp|ämne|emne|temat|тема|件名)\s*:",
        r"\bwas read on\b|\bwurde am [^>]{1,200} gelesen\b|\ba été lu le\b|è stato letto|\b(?:fue|se ha) leído\b"
        r"|\bfoi lida\b|\bis gelezen\b|\blästes\b|\bblev læst\b|\bble lest\b|została (?:prze|od)czytana|прочитано"
        r"|開封されました",
        r"\bwas deleted without being read on\b|\bungelesen gelöscht\b|\bsupprimé sans (?:être|avoir été) lu\b"
        r"|\beliminato senza essere (?:stato )?letto\b|\beliminó sin (?:ser leído|leer)|\bexcluída sem ser lida\b"
        r"|\bverwijderd zonder te zijn gelezen\b|\butan att läsas\b|\buden at blive læst\b|\buten å bli lest\b"
        r"|usunięta bez (?:prze|od)czytania|удалено без прочтения|開封されずに削除されました",
    ),
)


def read_receipt_text(message: Message) -> Mdn | None:
    """The receipt that a message is in its words; None for a person's reply, whatever its subject begins with."""
    if _SUBJECT.match(decode_words((message.header.get("subject") or "")[:MAX_SUBJECT]).lstrip()) is None:
        return None
    notice = read_notice(message)
    text = notice.whole.strip()
    if not text or len(text) > MAX_RECEIPT_TEXT or "\n>" in text or _has_attachment(message):
        return None
    kind = next((kind for form in _FORMS if (kind := _disposition(form, text)) is not None), None)
    return None if kind is None else _mdn(notice, kind, text, message.defects)


def _has_attachment(message: Message) -> bool:
    kinds = (part.media_type for part in walk(message.root))
    return not all(kind.startswith(("text/", "multipart/")) or kind in RETURNED_TYPES for kind in kinds)


def _disposition(form: _Form, text: str) -> DispositionType | None:
    if form.begins.match(text) is None:
        return None
    if form.deleted.search(text):
        return DispositionType.DELETED
    return DispositionType.DISPLAYED if form.displayed.search(text) else None


def _mdn(notice: Notice, kind: DispositionType, text: str, defects: list[str]) -> Mdn:
    return Mdn(
        head=notice.head,
        format=FORMAT,
        report_part=notice.part,
        returned=notice.returned,
        inline_message_ids=notice.message_ids,
        defects=(*dict.fromkeys(defects), HEURISTIC),
        disposition=Disposition(None, None, kind, kind.value),
        final_recipient=_recipient(notice, text),
    )


def _recipient(notice: Notice, text: str) -> Typed | None:
    """The recipient that the text names: who sends the receipt, or the only one that it names."""
    named = find_addresses(text)
    sender = (notice.head.from_address or "").lower()
    own = [address for address in named if address.lower() == sender] or list(named)
    return Typed("rfc822", own[0]) if len(own) == 1 else None
