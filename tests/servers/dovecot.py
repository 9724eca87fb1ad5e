"""A Dovecot of the tests' own on loopback: IMAP in clear text, STARTTLS and implicit TLS, LMTP; without root.

Run as root it takes the user `nobody`, since Dovecot refuses to serve root.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import grp
import imaplib
import ipaddress
import os
import pwd
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

HOST = "127.0.0.1"
USER = "alice@mail.example"
PASSWORD = "pw"

READY_SECONDS = 10.0
GONE_SECONDS = 10.0

_CONFIGURATION = """
base_dir = {base}/run
state_dir = {base}/run
log_path = {base}/log
protocols = imap lmtp
listen = 127.0.0.1
ssl = yes
ssl_cert = <{base}/tls/cert.pem
ssl_key = <{base}/tls/key.pem
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 0
mail_location = maildir:%h/Maildir
mail_home = {base}/mail/%u
passdb {{
  driver = passwd-file
  args = username_format=%u {base}/users
}}
userdb {{
  driver = passwd-file
  args = username_format=%u {base}/users
}}
namespace inbox {{
  inbox = yes
{mailboxes}
}}
protocol imap {{
  mail_max_userip_connections = 100
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
  }}
}}
service lmtp {{
  inet_listener lmtp {{
    port = {lmtp}
  }}
}}
{extra}
"""

_OAUTH2 = """
introspection_mode = post
introspection_url = {url}
username_attribute = username
active_attribute = active
active_value = true
"""
_OAUTH2_PASSDB = """
auth_mechanisms = plain login {mechanisms}
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {base}/oauth2.conf
}}
"""


@dataclass
class Dovecot:
    """A running server; `stop` and `start` keep mail and ports."""

    base: Path
    port: int
    tls_port: int
    lmtp_port: int
    owner: pwd.struct_passwd
    host: str = HOST
    user: str = USER
    password: str = PASSWORD
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def ca(self) -> Path:
        """The authority that signed the server's certificate."""
        return self.base / "tls" / "ca.pem"

    @property
    def pids(self) -> list[int]:
        """The master and all its children."""
        if self._process is None or self._process.poll() is not None:
            return []
        master = self._process.pid
        children = Path(f"/proc/{master}/task/{master}/children").read_text("ascii").split()
        return [master, *map(int, children)]

    def log(self) -> str:
        """What the server wrote."""
        return (self.base / "log").read_text("utf-8", "replace") if (self.base / "log").exists() else ""

    def start(self) -> None:
        """Run the server; back when it accepts connections."""
        command = ["dovecot", "-F", "-c", str(self.base / "dovecot.conf")]
        self._process = subprocess.Popen(self._as_owner(command), stderr=subprocess.DEVNULL, cwd=self.base)
        end = time.monotonic() + READY_SECONDS
        while not all(map(_accepts, (self.port, self.tls_port, self.lmtp_port))):
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"dovecot did not start: {self.log()}")
            time.sleep(0.01)

    def stop(self) -> None:
        """End the server and every connection; mail stays."""
        if self._process is None:
            return
        process, children = self._process, self.pids[1:]
        self.thaw()
        process.terminate()
        # Told by itself, the master waits for seconds; and the one that writes the log has to be the last.
        children.sort(key=lambda pid: _name(pid) == "log")
        for pid in children:
            _signal(pid, signal.SIGTERM)
            _wait_for_end(pid)
        try:
            process.wait(GONE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._process = None

    def freeze(self) -> None:
        """Stop every process in its tracks; connections stay open and silent."""
        for pid in self.pids:
            _signal(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let frozen processes go on."""
        for pid in reversed(self.pids):
            _signal(pid, signal.SIGCONT)

    def deliver(self, message: bytes, *, sender: str = "", to: str | None = None) -> None:
        """Hand a message over by LMTP, as an MTA does."""
        with smtplib.LMTP(self.host, self.lmtp_port) as lmtp:
            refused = lmtp.sendmail(sender, [to or self.user], message)
        if refused:
            raise RuntimeError(f"not delivered: {refused}")

    @contextlib.contextmanager
    def imap(self) -> Iterator[imaplib.IMAP4]:
        """A login of the tests' own."""
        client = imaplib.IMAP4(self.host, self.port)
        try:
            client.login(f'"{self.user}"', self.password)
            yield client
        finally:
            with contextlib.suppress(imaplib.IMAP4.error, OSError):
                client.logout()

    def append(self, folder: str, message: bytes, *, received: dt.datetime | None = None, flags: str = "") -> None:
        """Store a message as a mail program does; `folder` is the name on the wire."""
        date = imaplib.Time2Internaldate(received) if received else ""
        with self.imap() as client:
            status, answer = client.append(f'"{folder}"', flags, date, message)
        if status != "OK":
            raise RuntimeError(f"not stored: {answer!r}")

    def maildir(self, folder: str = "INBOX") -> Path:
        """Where a folder's files lie."""
        root = self.base / "mail" / self.user / "Maildir"
        return root if folder == "INBOX" else root / f".{folder}"

    def drop(self, messages: Sequence[bytes], folder: str = "INBOX") -> None:
        """Put messages into a folder's files, all at once."""
        new = self.maildir(folder) / "new"
        tmp = new.parent / "tmp"
        if not new.exists():
            # Dovecot makes folders when they are first looked at.
            self.doveadm("mailbox", "status", "-u", self.user, "messages", folder)
        names = [
            f"{int(time.time())}.P{os.getpid()}Q{time.monotonic_ns()}N{count}.test" for count in range(len(messages))
        ]
        for name, message in zip(names, messages, strict=True):
            (tmp / name).write_bytes(message)
            os.chown(tmp / name, self.owner.pw_uid, self.owner.pw_gid)
        for name in names:
            (tmp / name).rename(new / name)

    def doveadm(self, *words: str) -> str:
        """Run an administrator's command, and give what it prints."""
        command = ["doveadm", "-c", str(self.base / "dovecot.conf"), *words]
        done = subprocess.run(self._as_owner(command), check=True, capture_output=True, cwd=self.base, text=True)
        return done.stdout

    def _as_owner(self, command: list[str]) -> list[str]:
        if os.geteuid() != 0:
            return command
        owner = self.owner
        return ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups", "--", *command]


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text("ascii").strip()
    return ""


def _wait_for_end(pid: int) -> None:
    end = time.monotonic() + GONE_SECONDS
    while _state(pid) not in ("", "Z") and time.monotonic() < end:
        time.sleep(0.001)


def _state(pid: int) -> str:
    """R, S, T, Z (ended, and its parent does not know) or "" (gone)."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(") ")[2][:1]
    return ""


def _signal(pid: int, number: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
        return True
    return False


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [int(one.getsockname()[1]) for one in sockets]


def certificates(directory: Path, *, host: str = "localhost", days: int = 365) -> None:
    """An authority (ca.pem) and a certificate it signed for a host and 127.0.0.1 (cert.pem, key.pem).

    It is valid for so many days more; a negative number gives one that has expired.
    """
    directory.mkdir(parents=True, exist_ok=True)
    now = dt.datetime.now(dt.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "The tests' authority")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])

    def builder(days: int, subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=100))
            .not_valid_after(now + dt.timedelta(days=days))
        )

    ca = builder(365, ca_name, ca_key.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    names = x509.SubjectAlternativeName([x509.DNSName(host), x509.IPAddress(ipaddress.ip_address(HOST))])
    leaf = builder(days, name, key.public_key()).add_extension(names, critical=False)
    (directory / "ca.pem").write_bytes(ca.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    (directory / "cert.pem").write_bytes(leaf.sign(ca_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "key.pem").write_bytes(private)


@contextlib.contextmanager
def dovecot(
    *,
    user: str = USER,
    password: str = PASSWORD,
    special_use: dict[str, str] | None = None,
    mailboxes: Sequence[str] = (),
    extra: str = "",
    introspection_url: str = "",
    sasl: str = "xoauth2 oauthbearer",
) -> Iterator[Dovecot]:
    """A running Dovecot with one user; ended and removed at the end.

    `special_use` maps folders to their use, by default Junk and Sent; `mailboxes` are created without one. With an
    `introspection_url` (RFC 7662) it takes access tokens too, by `sasl`.
    """
    if shutil.which("dovecot") is None:
        pytest.skip("dovecot is not installed (packages dovecot-imapd and dovecot-lmtpd)")
    owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    special_use = {"Junk": "\\Junk", "Sent": "\\Sent"} if special_use is None else special_use
    # Its parents must be open to the owner, which a test's own directory is not.
    base = Path(tempfile.mkdtemp(prefix="mdnwatch-dovecot-"))
    imap, imaps, lmtp = free_ports(3)
    server = Dovecot(base, imap, imaps, lmtp, owner, user=user, password=password)
    try:
        certificates(base / "tls")
        if introspection_url:
            (base / "oauth2.conf").write_text(_OAUTH2.format(url=introspection_url), "ascii")
            extra += _OAUTH2_PASSDB.format(base=base, mechanisms=sasl)
        _write_configuration(server, special_use, extra)
        for path in (base, *base.rglob("*")):
            os.chown(path, owner.pw_uid, owner.pw_gid)
        server.start()
        for name in mailboxes:
            server.doveadm("mailbox", "create", "-u", user, name)
        yield server
    finally:
        server.stop()
        shutil.rmtree(base, ignore_errors=True)


def _write_configuration(server: Dovecot, special_use: dict[str, str], extra: str) -> None:
    base, owner = server.base, server.owner
    boxes = [
        f'  mailbox "{name}" {{\n    auto = create\n    special_use = {use}\n  }}' for name, use in special_use.items()
    ]
    group = grp.getgrgid(owner.pw_gid).gr_name
    text = _CONFIGURATION.format(
        base=base,
        user=owner.pw_name,
        group=group,
        mailboxes="\n".join(boxes),
        extra=extra,
        imap=server.port,
        imaps=server.tls_port,
        lmtp=server.lmtp_port,
    )
    (base / "dovecot.conf").write_text(text, "utf-8")
    scheme = "{PLAIN.b64}" + base64.b64encode(server.password.encode()).decode()
    (base / "users").write_text(f"{server.user}:{scheme}:{owner.pw_uid}:{owner.pw_gid}::{base}/mail/{server.user}::\n")
    for name in ("run", "mail"):
        (base / name).mkdir()
