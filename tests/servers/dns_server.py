"""A tiny DNS server on loopback: it knows the SRV records that a test gives it, and nothing else."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import dns.flags
import dns.message
import dns.rcode
import dns.rrset


@dataclass
class DnsServer:
    """Answers questions for SRV; `asked` are the names it was asked for."""

    address: str
    records: Mapping[str, Sequence[str]]
    asked: list[str] = field(default_factory=list)

    def answer(self, wire: bytes) -> bytes:
        """The answer to one question."""
        question = dns.message.from_wire(wire)
        name = question.question[0].name
        self.asked.append(name.to_text(omit_final_dot=True))
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.AA
        records = self.records.get(self.asked[-1])
        if records is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif records:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "SRV", *records))
        return answer.to_wire()


@contextlib.contextmanager
def dns_server(records: Mapping[str, Sequence[str]], *, silent: bool = False) -> Iterator[DnsServer]:
    """A running server: SRV records ("PRIORITY WEIGHT PORT TARGET.") by name; a `silent` one never answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        server = DnsServer(f"127.0.0.1:{port}", records)

        def serve() -> None:
            while True:
                wire, peer = listening.recvfrom(4096)
                if not wire:
                    return
                if not silent:
                    listening.sendto(server.answer(wire), peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ending:
                ending.sendto(b"", ("127.0.0.1", port))
            thread.join()
