"""A private Postfix in front of a test's Dovecot: own configuration, queue and ports, on the loopback interface."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import smtplib
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from servers.daemon import until
from servers.dovecot import Dovecot
from servers.next_hop import next_hop

PROGRAMS = Path("/usr/lib/postfix/sbin")
PATIENCE_SECONDS = 20.0

# Mail for mail.example goes to Dovecot by LMTP, to local.example into a Maildir (a real "delivered"), and everything
# else to a next hop that knows no DSN. The two aliases are "expanded".
MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = /usr/sbin
daemon_directory = {programs}
mail_owner = postfix
setgid_group = postdrop
maillog_file = {home}/log
maillog_file_prefixes = {home}
myhostname = mx.mail.example
mydomain = mail.example
myorigin = mail.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_reject_unlisted_recipient = no
smtpd_client_connection_rate_limit = 0
virtual_mailbox_domains = mail.example local.example
virtual_mailbox_maps = static:all/
virtual_mailbox_base = {home}/mail
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_transport = lmtp:[127.0.0.1]:{lmtp}
virtual_alias_maps = inline:{{ {{team@mail.example=bob@mail.example, carol@mail.example}},
  {{nested@mail.example=bob@mail.example, x@reject.example}} }}
transport_maps = inline:{{ {{local.example=virtual:}} }}
default_transport = smtp:[127.0.0.1]:{next_hop}
alias_maps =
alias_database =
delay_warning_time = 2s
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
notify_classes =
smtp_dns_support_level = disabled
smtp_host_lookup = native
lmtp_host_lookup = native
"""

MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 2 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

# As `postfix check` would make them: (owner's group, mode) where it is not 0700 of the mail owner alone.
QUEUES = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming", "private", "saved", "trace")
SHARED_QUEUES = {"maildrop": 0o730, "public": 0o710}


@dataclass(frozen=True, slots=True)
class Postfix:
    """A running Postfix; SMTP on `port`."""

    port: int
    home: Path

    def submit(
        self, sender: str, recipients: Sequence[str], message: bytes, *, notify: str = "", envelope_id: str = ""
    ) -> None:
        """Send a message with the options of RFC 3461; `notify` as "SUCCESS,FAILURE"."""
        mail = ["RET=HDRS", *([f"ENVID={envelope_id}"] if envelope_id else [])]
        with smtplib.SMTP("127.0.0.1", self.port, local_hostname="client.mail.example", timeout=20) as client:
            client.ehlo()
            _expect(250, client.mail(sender, mail))
            for recipient in recipients:
                _expect(250, client.rcpt(recipient, [f"NOTIFY={notify}"] if notify else []))
            _expect(250, client.data(message))


def add_user(server: Dovecot, address: str) -> None:
    """A further mailbox on a Dovecot that knows one; back when Dovecot has read its list of users anew."""
    users = server.base / "users"
    row = f"{address}:{{PLAIN}}pw:{server.owner.pw_uid}:{server.owner.pw_gid}::{server.base}/mail/{address}::\n"
    users.write_text(users.read_text() + row)
    # It looks whether the list has changed at most once a second.
    until(lambda: _is_known(server, address), f"a user {address}")


def _is_known(server: Dovecot, address: str) -> bool:
    try:
        return bool(server.doveadm("user", address))
    except subprocess.CalledProcessError:
        return False


def _expect(code: int, answer: tuple[int, bytes]) -> None:
    if answer[0] != code:
        raise RuntimeError(f"Postfix answers {answer}")


@contextlib.contextmanager
def postfix(lmtp_port: int, *, extra: str = "") -> Iterator[Postfix]:
    """A Postfix that delivers to the Dovecot whose LMTP listens on `lmtp_port`. Skips where none can run.

    `extra` are further lines of main.cf.
    """
    if os.geteuid() != 0:
        pytest.skip("Postfix runs only as root")
    if not (PROGRAMS / "master").exists():
        pytest.skip("Postfix is not installed (Debian package postfix)")
    # Not below pytest's own directory, which other users (Postfix's among them) must not enter.
    with tempfile.TemporaryDirectory(prefix="mdnwatch-postfix-") as directory, next_hop() as hop:
        home, port = Path(directory), _unused_port()
        _make_home(home)
        etc = home / "etc"
        (etc / "main.cf").write_text(MAIN_CF.format(home=home, programs=PROGRAMS, lmtp=lmtp_port, next_hop=hop) + extra)
        (etc / "master.cf").write_text(MASTER_CF.format(port=port))
        for name in ("main.cf", "master.cf"):
            (etc / name).chmod(0o644)
        with _running(etc, home / "log", port):
            yield Postfix(port, home)


def _make_home(home: Path) -> None:
    home.chmod(0o755)
    for name in ("etc", "mail", "data", "queue", "queue/pid"):
        (home / name).mkdir()
        # Whatever the umask: Postfix's own users have to come in.
        (home / name).chmod(0o755)
    shutil.chown(home / "data", "postfix")
    shutil.chown(home / "mail", 65534, 65534)
    for name in QUEUES:
        (home / "queue" / name).mkdir(mode=0o700)
        shutil.chown(home / "queue" / name, "postfix")
    for name, mode in SHARED_QUEUES.items():
        (home / "queue" / name).mkdir()
        shutil.chown(home / "queue" / name, "postfix", "postdrop")
        (home / "queue" / name).chmod(mode)


@contextlib.contextmanager
def _running(etc: Path, log: Path, port: int) -> Iterator[None]:
    # The master leads a process group of its own: ending that ends every daemon it has started, and nothing else.
    master = subprocess.Popen(
        [PROGRAMS / "master", "-c", etc, "-d"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for_port(master, log, port)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(master.pid, signal.SIGTERM)
        try:
            master.wait(PATIENCE_SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(master.pid, signal.SIGKILL)


def _wait_for_port(master: subprocess.Popen[bytes], log: Path, port: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline and master.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    text = log.read_text() if log.exists() else "it wrote no log"
    raise RuntimeError(f"Postfix did not start: {text}")


def _unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
