"""Bytes from an IMAP server to whole responses (RFC 9051 §2.2.2, §4.3): linear, iterative and bounded."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mdnwatch.errors import Cause, SourceError

# One response: the text of its line, a literal, the text after it, a literal, and so on; always an odd number.
Response = tuple[bytes, ...]

# A SEARCH answer is one line: this holds the UIDs of some two million messages.
MAX_RESPONSE_BYTES = 16 * 1024**2

_CRLF = b"\r\n"
# RFC 9051 §9: literal = "{" number64 ["+"] "}".
_LITERAL = re.compile(rb"\{(\d{1,19})\+?\}\Z")
_LITERAL_ROOM = 22  # bytes that such an announcement takes at most
# RFC 9051 §9: the text of a status response holds no literal, even where it ends in "{5}".
_STATUS = re.compile(rb"\+|\S+ (?:OK|NO|BAD|BYE|PREAUTH)(?: |\Z)", re.IGNORECASE)


class ProtocolError(SourceError):
    """The server sent what IMAP does not allow, or more than is accepted; the connection is of no more use."""

    def __init__(self, message: str) -> None:
        super().__init__(message, Cause.PROTOCOL)


class Framer:
    """Cuts a byte stream into responses, however it is split into pieces.

    `max_response` bounds one response, its lines and literals together, in bytes.
    """

    def __init__(self, max_response: int = MAX_RESPONSE_BYTES) -> None:
        self._max_response = max_response
        self._buffer = bytearray()
        self._position = 0  # what lies before it in the buffer is consumed
        self._searched = 0  # no line ends before this
        self._parts: list[bytes] = []
        self._size = 0
        self._literal: int | None = None  # bytes of the literal that is being read

    def feed(self, data: bytes) -> Iterator[Response]:
        """The responses that `data` completes. Raises ProtocolError."""
        self._buffer += data
        while (part := self._next_part()) is not None:
            self._parts.append(part)
            if not self._begins_literal(part):
                response = tuple(self._parts)
                self._parts, self._size = [], 0
                yield response
        del self._buffer[: self._position]
        self._searched -= self._position
        self._position = 0

    def discard(self) -> None:
        """Forget everything that was received and not yet used."""
        self._buffer.clear()
        self._position = self._searched = self._size = 0
        self._parts, self._literal = [], None

    def _next_part(self) -> bytes | None:
        if self._literal is not None:
            return self._take_literal(self._literal)
        end = self._buffer.find(_CRLF, self._searched)
        if end < 0:
            # The last byte may be the CR of a line end that is cut in two.
            self._searched = max(self._position, len(self._buffer) - 1)
            self._bound(len(self._buffer) - self._position)
            return None
        return self._take(end - self._position, skip=len(_CRLF))

    def _take_literal(self, size: int) -> bytes | None:
        if len(self._buffer) - self._position < size:
            return None
        literal = self._take(size, skip=0)
        # A literal is always followed by the rest of its line, which `_next_part` reads.
        self._literal = None
        self._parts.append(literal)
        return self._next_part()

    def _take(self, size: int, skip: int) -> bytes:
        end = self._position + size
        part = bytes(memoryview(self._buffer)[self._position : end])
        self._position = self._searched = end + skip
        self._size += size
        self._bound(0)
        return part

    def _begins_literal(self, line: bytes) -> bool:
        match = _LITERAL.search(line[-_LITERAL_ROOM:]) if line.endswith(b"}") else None
        if match is None or _STATUS.match(self._parts[0]):
            return False
        self._literal = int(match[1])
        self._bound(self._literal)
        return True

    def _bound(self, more: int) -> None:
        if self._size + more > self._max_response:
            raise ProtocolError(f"the server sent a response of more than {self._max_response} bytes")
