"""A certificate authority for tests, and people who sign by its certificates; all made with openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """An authority of its own, with `ca.pem` as its certificate in a directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.certificate = directory / "ca.pem"
        self._run("req", "-x509", *_NEW_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=CA", "-days", "9")

    def certify(self, address: str, usage: str = "emailProtection", days: int = 9) -> str:
        """Make a key and a certificate for an address; the name of both files without their endings."""
        name = address.partition("@")[0]
        (self._directory / "extensions").write_text(f"subjectAltName=email:{address}\nextendedKeyUsage={usage}\n")
        self._run("req", *_NEW_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        self._run(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-extfile", "extensions", "-out", f"{name}.pem", "-days", str(days)),
        )
        return name

    def sign(self, content: bytes, name: str, *options: str) -> bytes:
        """A detached signature of what is signed, its lines ending in CRLF, as DER."""
        keys = ("-signer", f"{name}.pem", "-inkey", f"{name}.key")
        return self._run("cms", "-sign", "-binary", *keys, "-outform", "DER", *options, given=content)

    def receipt(self, name: str, sender: str) -> bytes:
        """A signed receipt (RFC 2634 §2) for a message of the sender, as DER."""
        request = ("-receipt_request_all", "-receipt_request_to", "alice@mail.example", "-nodetach")
        (self._directory / "request").write_bytes(self.sign(b"An offer.\r\n", sender, *request))
        keys = ("-signer", f"{name}.pem", "-inkey", f"{name}.key")
        return self._run("cms", "-sign_receipt", "-inform", "DER", "-in", "request", *keys, "-outform", "DER")

    def _run(self, *arguments: str, given: bytes = b"") -> bytes:
        ended = subprocess.run(
            ["openssl", *arguments], input=given, capture_output=True, check=False, cwd=self._directory
        )
        assert ended.returncode == 0, ended.stderr.decode()
        return ended.stdout


_NEW_KEY = ("-newkey", "rsa:2048", "-nodes")
