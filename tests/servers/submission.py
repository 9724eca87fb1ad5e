"""A server that takes mail for submission, plainly or in TLS from the first byte; it can be slow, cut off or gone."""

from __future__ import annotations

import contextlib
import socketserver
import ssl
import threading
from collections.abc import Iterator

TAKEN = b"250 2.0.0 queued\r\n"


class _Conversation(socketserver.BaseRequestHandler):
    """One SMTP session (RFC 5321 §3.3), without any extension."""

    server: _Listener

    def handle(self) -> None:
        # A client that does not trust the certificate, or dies, just goes.
        with contextlib.suppress(OSError):
            tls = self.server.owner.tls
            with tls.wrap_socket(self.request, server_side=True) if tls else self.request as client:
                self._converse(client)

    def _converse(self, client: ssl.SSLSocket) -> None:
        client.sendall(b"220 submission.example ESMTP\r\n")
        with client.makefile("rb") as lines:
            for line in lines:
                verb = line[:4].upper()
                if verb == b"DATA":
                    client.sendall(b"354 go on\r\n")
                    content = b"".join(iter(lines.readline, b".\r\n"))
                    client.sendall(answer := self.server.owner.take(content))
                    if answer != TAKEN:
                        return
                elif verb == b"QUIT":
                    client.sendall(b"221 bye\r\n")
                    return
                else:
                    client.sendall(b"250 ok\r\n")


class _Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    owner: Submission


class Submission:
    """Takes every mail, and then says `answer`, once `may_answer` is set; on the same port again after a pause."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.taken: list[bytes] = []
        self.answer = TAKEN
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.port = 0
        self._listener: _Listener | None = None

    def take(self, content: bytes) -> bytes:
        """A mail has come."""
        self.taken.append(content)
        self.may_answer.wait()
        return self.answer

    def come_back(self) -> None:
        """Listen."""
        self._listener = _Listener(("127.0.0.1", self.port), _Conversation)
        self._listener.owner = self
        self.port = self._listener.server_address[1]
        threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True, name="submission"
        ).start()

    def go_away(self) -> None:
        """Listen no more."""
        if self._listener is not None:
            self._listener.shutdown()
            self._listener.server_close()
            self._listener = None


@contextlib.contextmanager
def submission() -> Iterator[Submission]:
    """A server that listens."""
    server = Submission()
    server.come_back()
    try:
        yield server
    finally:
        server.may_answer.set()
        server.go_away()
