"""The SMTP server behind a mail system: takes, refuses or puts off mail by the recipient's domain."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator

# What is said to RCPT TO, by domain. The long one is what a large provider says.
ANSWERS = {
    b"reject.example": [
        b"550-5.7.1 Our system has detected that this message is likely unsolicited",
        b'550-5.7.1 mail. To reduce the amount of spam ("junk"), it has been blocked.',
        b"550 5.7.1 https://support.example/mail/?p=UnsolicitedMessageError <x@y> - gsmtp",
    ],
    b"quota.example": [b"552 5.2.2 The recipient's inbox is out of storage space and inactive."],
    b"defer.example": [b"451 4.7.1 Greylisting in action, please come back in 00:05:00"],
}
TAKEN = [b"250 2.1.5 ok"]


class _Conversation(socketserver.StreamRequestHandler):
    """One SMTP session. No DSN is announced, so what is taken here is "relayed" (RFC 3461 §5.2.2)."""

    def handle(self) -> None:
        self._say(b"220 nexthop.example ESMTP")
        for line in self.rfile:
            command = line.strip().upper()
            if command.startswith(b"EHLO"):
                self._say(b"250-nexthop.example", b"250-8BITMIME", b"250 ENHANCEDSTATUSCODES")
            elif command.startswith(b"RCPT"):
                domain = command.partition(b">")[0].rpartition(b"@")[2].lower()
                self._say(*ANSWERS.get(domain, TAKEN))
            elif command.startswith(b"DATA"):
                self._say(b"354 go on")
                for content in self.rfile:
                    if content == b".\r\n":
                        break
                self._say(b"250 2.0.0 queued")
            elif command.startswith(b"QUIT"):
                self._say(b"221 bye")
                return
            else:
                self._say(b"250 ok")

    def _say(self, *lines: bytes) -> None:
        self.wfile.write(b"".join(line + b"\r\n" for line in lines))


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextlib.contextmanager
def next_hop() -> Iterator[int]:
    """The port of a next hop on the loopback interface."""
    with _Server(("127.0.0.1", 0), _Conversation) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()
