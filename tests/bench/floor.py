"""The floor: a bare asyncio script that IDLEs, fetches and POSTs, and knows nothing of what it passes on.

    python floor.py PORT USER PASSWORD URL

It keeps no mark, no state and no promise: what it does in vain is done by everybody who turns mail into webhooks.
"""

from __future__ import annotations

import asyncio
import re
import sys
from itertools import pairwise

import aiohttp

HOST = "127.0.0.1"

# As many on their way at once as mdnwatch has by default.
POSTS_AT_ONCE = 16

_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")
_UID = re.compile(rb"UID (\d+)")
_UIDNEXT = re.compile(rb"UIDNEXT (\d+)")


async def main(port: int, user: str, password: str, url: str) -> None:  # noqa: C901 - one loop, read from the top
    """Run until cancelled."""
    reader, writer = await asyncio.open_connection(HOST, port)
    limit = asyncio.Semaphore(POSTS_AT_ONCE)
    await reader.readline()

    async def command(line: str) -> list[bytes]:
        """The lines of the answer, literals among them."""
        writer.write(f"x {line}\r\n".encode())
        answer = [await reader.readline()]
        while not answer[-1].startswith(b"x "):
            if literal := _LITERAL.search(answer[-1]):
                answer.append(await reader.readexactly(int(literal[1])))
            answer.append(await reader.readline())
        return answer

    async def post(session: aiohttp.ClientSession, body: bytes) -> None:
        async with limit, session.post(url, data=body) as response:
            await response.read()

    await command(f'LOGIN "{user}" "{password}"')
    following = int(_UIDNEXT.findall(b"".join(await command("EXAMINE INBOX")))[0])
    async with aiohttp.ClientSession() as session:
        while True:
            writer.write(b"i IDLE\r\n")
            line = await reader.readline()
            if line.startswith(b"+"):
                print("idle", flush=True)
            while not line.endswith(b"EXISTS\r\n"):
                line = await reader.readline()
            writer.write(b"DONE\r\n")
            while not line.startswith(b"i "):
                line = await reader.readline()
            posts, more = [], True
            while more:
                answer = await command(f"UID FETCH {following}:* (UID BODY.PEEK[])")
                for announcement, body in pairwise(answer):
                    uid = _UID.search(announcement)
                    if uid and _LITERAL.search(announcement) and int(uid[1]) >= following:
                        following = int(uid[1]) + 1
                        posts.append(asyncio.create_task(post(session, body)))
                more = any(line.endswith(b" EXISTS\r\n") for line in answer)
            await asyncio.gather(*posts)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
