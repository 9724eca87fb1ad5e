"""The words of a message that may be a bounce, and the message that it returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from mdnwatch.mail.addresses import addresses
from mdnwatch.mail.charset import decode
from mdnwatch.mail.head import RETURNED_TYPES, read_head, read_returned, returned_of
from mdnwatch.mail.header import Header
from mdnwatch.mail.html_text import html_to_text
from mdnwatch.mail.message_ids import inline_message_ids
from mdnwatch.mail.mime import Message, Part, walk
from mdnwatch.mail.parameters import parameters
from mdnwatch.mail.returned_text import split_returned
from mdnwatch.mail.words import decode_words
from mdnwatch.model.report import Head, Returned

# A bounce says what it has to say in its first screens; the returned message, where it is text, begins in them.
MAX_NOTICE = 64 * 1024  # bytes

_TEXTS = ("text/plain", "text/html")
# The beginning of the words, in which a format is known by its sentences.
MAX_TOP = 2048  # characters


@dataclass(frozen=True)
class Notice:
    """What a format reader sees.

    `text` is what the software says, above the returned message, with LF; `top` its beginning in lower case;
    `sender` is the From field, `subject` the Subject, both decoded. `part` holds the text, decoded as bytes; `whole`
    is all of it as text, with the header of a returned message in it as `quoted`.
    What only a bounce is asked for is read when it is asked for: most messages turn out to be none.
    """

    message: Message = field(repr=False)
    words: Part | None
    text: str
    top: str
    sender: str
    subject: str
    part: bytes
    whole: str
    quoted: Header | None

    @property
    def header(self) -> Header:
        """The message's own."""
        return self.message.header

    @cached_property
    def head(self) -> Head:
        """What the message says of itself."""
        return read_head(self.header)

    @cached_property
    def returned(self) -> Returned | None:
        """What the message returns, as a part or in its text."""
        return _returned_part(self.message, self.words) or _of_header(self.quoted)

    @cached_property
    def message_ids(self) -> tuple[str, ...]:
        """The ids that the text names, where the returned message names none."""
        return () if self.returned is not None and self.returned.message_id else inline_message_ids(self.whole.encode())

    def failed_recipients(self) -> tuple[str, ...]:
        """The addresses of X-Failed-Recipients, which Exim, Gmail and others of their kind write."""
        return addresses(decode_words(self.header.get("x-failed-recipients") or ""))


def read_notice(message: Message) -> Notice:
    """The words of a message, and what it returns; never raises."""
    words = _words(message)
    content = words.content(MAX_NOTICE) if words is not None else b""
    whole = _text(words, message, content) if words is not None else ""
    split = split_returned(whole)
    return Notice(
        message=message,
        words=words,
        text=split.notice,
        top=split.notice[:MAX_TOP].lower(),
        sender=decode_words(message.header.get("from") or ""),
        subject=decode_words(message.header.get("subject") or ""),
        part=content,
        whole=whole,
        quoted=split.header,
    )


def _words(message: Message) -> Part | None:
    """The part for people: the first text that is not blank, before any returned message.

    RFC 2046 §5.1.4: of the alternatives of one text, the plain one. What comes after them is a footer.
    """
    root = message.root
    if not root.parts:
        return root
    pending = [root]
    while pending:
        part = pending.pop()
        if part.media_type in RETURNED_TYPES:
            return None
        alternatives = part.parts if part.media_type == "multipart/alternative" else [part]
        found = [one for one in alternatives if _is_text(one)]
        if found:
            return next((one for one in found if one.media_type == "text/plain"), found[0])
        pending.extend(reversed(part.parts))
    return None


def _is_text(part: Part) -> bool:
    return not part.parts and part.media_type in _TEXTS and bool(part.data[part.body : part.end].strip())


def _text(part: Part, message: Message, content: bytes) -> str:
    header = message.header if part is message.root else part.header()
    text = decode(content, parameters(header.get("content-type") or "").get("charset"))
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = text.replace("\0", "")
    return html_to_text(text) if part.media_type == "text/html" else text


def _returned_part(message: Message, words: Part | None) -> Returned | None:
    """What the part that returns the original says; the one with a Message-ID before one without."""
    found = list(_returned_parts(message, words))
    return next((returned for returned in found if returned.message_id), found[0] if found else None)


def _returned_parts(message: Message, words: Part | None) -> Iterator[Returned]:
    for part in walk(message.root):
        if part.media_type in RETURNED_TYPES:
            yield read_returned(part)
        elif part is not words and not part.parts and part is not message.root:
            # Leniencies: the original's header is the part's own (Mail2000), or the part is mere text.
            own = _of_header(part.header())
            if own is not None and own.message_id:
                yield own
            elif part.media_type == "text/plain":
                copy = _of_header(split_returned(_text(part, message, part.content(MAX_NOTICE))).header)
                if copy is not None:
                    yield copy


def _of_header(header: Header | None) -> Returned | None:
    return None if header is None else returned_of(header, "text/plain")
