"""The floor: a bare asyncio script that IDLEs, fetches and POSTs, and knows nothing of what it passes on.

    python floor.py PORT USER PASSWORD URL

It keeps no mark and no promise: what it does is done by everybody who turns mail into webhooks.
"""

from __future__ import annotations

import asyncio
import re
import sys
from itertools import pairwise

import aiohttp

HOST = "127.0.0.1"

_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")
_UID = re.compile(rb"UID (\d+)")
_UIDNEXT = re.compile(rb"UIDNEXT (\d+)")


class Imap:
    """A connection on which one command follows the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def command(self, line: str) -> list[bytes]:
        """The lines of the answer, with its literals among them."""
        self._writer.write(f"x {line}\r\n".encode())
        answer = [await self._reader.readline()]
        while not answer[-1].startswith(b"x "):
            if literal := _LITERAL.search(answer[-1]):
                answer.append(await self._reader.readexactly(int(literal[1])))
            answer.append(await self._reader.readline())
        return answer

    async def idle(self) -> None:
        """Until something new is announced."""
        self._writer.write(b"x IDLE\r\n")
        line = await self._reader.readline()
        print("idle", flush=True)
        while not line.endswith(b" EXISTS\r\n"):
            line = await self._reader.readline()
        self._writer.write(b"DONE\r\n")
        while not line.startswith(b"x "):
            line = await self._reader.readline()


async def main(port: int, user: str, password: str, url: str) -> None:
    """Run until it is ended."""
    imap = Imap(*await asyncio.open_connection(HOST, port))
    await imap.command(f'LOGIN "{user}" "{password}"')
    examined = b"".join(await imap.command("EXAMINE INBOX"))
    following = max(int(uidnext) for uidnext in _UIDNEXT.findall(examined))
    async with aiohttp.ClientSession() as session:
        while True:
            await imap.idle()
            more = True
            while more:
                answer = await imap.command(f"UID FETCH {following}:* (UID BODY.PEEK[])")
                more = any(line.endswith(b" EXISTS\r\n") for line in answer)
                for announcement, body in pairwise(answer):
                    uid = _UID.search(announcement)
                    if uid and _LITERAL.search(announcement) and int(uid[1]) >= following:
                        following = int(uid[1]) + 1
                        async with session.post(url, data=body) as response:
                            await response.read()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
