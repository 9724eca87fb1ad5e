"""The receivers in the README, run as they stand there but for secret and port."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.daemon import until
from servers.receiver import OTHER_SECRET, SECRET

from mdnwatch.sinks.webhook_keys import key_of, signatures

README = (Path(__file__).parent.parent / "README.md").read_text("utf-8")
RECEIVERS = {
    "python": ("receiver.py", [sys.executable]),
    "js": ("receiver.mjs", ["node"]),
    "php": ("receiver.php", ["php", "-S"]),
}
BODY = json.dumps({"type": "recipient.failed", "data": {"text": "Jürgen"}}, ensure_ascii=False).encode()


@contextlib.contextmanager
def receiving(language: str, home: Path) -> Iterator[tuple[int, Path]]:
    """The README's receiver in a process of its own: its port, and what it prints."""
    name, command = RECEIVERS[language]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (code,) = (code for code in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if "8000" in code)
    (home / name).write_text(code.replace("whsec_…", SECRET).replace("8000", str(port)), "utf-8")
    address = [f"127.0.0.1:{port}"] if language == "php" else []
    with (home / "printed").open("wb") as out:
        process = subprocess.Popen(
            [*command, *address, home / name], cwd=home, env={**os.environ, "TMPDIR": str(home)}, stdout=out, stderr=out
        )
    try:
        until(lambda: accepts(port), (home / "printed").read_text)
        yield port, home / "printed"
    finally:
        process.kill()
        process.wait()


def accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def post(port: int, secrets: list[str], *, at: int | None = None, body: bytes = BODY) -> int:
    """The status with which an event is answered that is signed with these secrets."""
    at = at or int(time.time())
    signed = signatures([key_of(secret) for secret in secrets], "evt_1", at, BODY)
    headers = {"webhook-id": "evt_1", "webhook-timestamp": str(at), "webhook-signature": signed}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    with contextlib.closing(connection):
        connection.request("POST", "/", body, headers)
        return connection.getresponse().status


@pytest.mark.parametrize("language", RECEIVERS)
def test_the_receiver_takes_what_is_genuine_once_and_nothing_else(language: str, tmp_path: Path) -> None:
    with receiving(language, tmp_path) as (port, printed):
        assert post(port, [OTHER_SECRET]) == 401
        assert post(port, [SECRET], body=BODY + b" ") == 401
        assert post(port, [SECRET], at=int(time.time()) - 3600) == 401
        assert "recipient.failed" not in printed.read_text("utf-8")
        # While a secret is changed, there are two signatures.
        assert post(port, [OTHER_SECRET, SECRET]) == 204
        assert post(port, [SECRET]) == 204
        until(lambda: "recipient.failed" in printed.read_text("utf-8"), lambda: printed.read_text("utf-8"))
        assert printed.read_text("utf-8").count("recipient.failed") == 1
