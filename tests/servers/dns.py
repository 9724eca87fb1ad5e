"""A name server on loopback that answers for TXT records as a test says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import dns.asyncresolver
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


@contextmanager
def name_server(records: Mapping[str, bytes], *, silent: bool = False) -> Iterator[dns.asyncresolver.Resolver]:
    """A resolver that asks this server: every other name does not exist; a silent one lets everybody wait."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        thread = threading.Thread(target=_serve, args=(server, records, silent), daemon=True)
        thread.start()
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], server.getsockname()[1]
        yield resolver
        server.sendto(b"", server.getsockname())
        thread.join()


def _serve(server: socket.socket, records: Mapping[str, bytes], silent: bool) -> None:  # noqa: FBT001 - a thread's argument
    while True:
        data, client = server.recvfrom(4096)
        if not data:
            return
        if not silent:
            server.sendto(_answer(dns.message.from_wire(data), records).to_wire(), client)


def _answer(query: dns.message.Message, records: Mapping[str, bytes]) -> dns.message.Message:
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.RA
    name = query.question[0].name
    text = records.get(name.to_text(omit_final_dot=True))
    if text is None:
        answer.set_rcode(dns.rcode.NXDOMAIN)
    else:
        # RFC 1035 §3.3: a string of a TXT record has 255 bytes at most.
        strings = " ".join(f'"{text[at : at + 255].decode()}"' for at in range(0, len(text), 255))
        answer.answer.append(dns.rrset.from_text(name, 60, "IN", dns.rdatatype.TXT, strings))
    return answer
