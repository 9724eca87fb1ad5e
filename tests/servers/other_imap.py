"""Cyrus and Courier-IMAP, each in a Debian root of its own, with one user; on loopback, in clear text."""

from __future__ import annotations

import contextlib
import imaplib
import os
import smtplib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from servers.debian_root import Inside, debian_root, running_inside
from servers.dovecot import HOST, PASSWORD, free_ports

READY_SECONDS = 30.0

CYRUS = ("cyrus-imapd", "cyrus-admin", "sasl2-bin", "libsasl2-modules")
COURIER = ("courier-imap", "courier-authdaemon", "courier-authlib-userdb", "gamin")

_CYRUS = """
set -e
home=/srv/cyrus
mkdir -p $home/lib/socket $home/mail $home/run
cat > $home/imapd.conf <<END
configdirectory: $home/lib
partition-default: $home/mail
defaultpartition: default
admins: cyrus
allowplaintext: yes
sasl_mech_list: PLAIN LOGIN
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: $home/sasldb2
servername: cyrus.mail.example
unixhierarchysep: yes
altnamespace: yes
autocreate_quota: 0
autocreate_post: yes
autocreate_inbox_folders: Sent Messages|Spam
xlist-sent: Sent Messages
xlist-junk: Spam
proc_path: $home/run/proc
mboxname_lockpath: $home/run/lock
END
cat > $home/cyrus.conf <<END
START {
  recover cmd="/usr/sbin/cyrus ctl_cyrusdb -C $home/imapd.conf -r"
  idled   cmd="/usr/lib/cyrus/bin/idled -C $home/imapd.conf"
}
SERVICES {
  imap cmd="imapd -C $home/imapd.conf -U 30" listen="127.0.0.1:@IMAP@" prefork=1
  lmtp cmd="lmtpd -C $home/imapd.conf -a" listen="127.0.0.1:@LMTP@" prefork=0
}
END
echo @PASSWORD@ | saslpasswd2 -p -c -f $home/sasldb2 -u cyrus.mail.example alice
chown -R cyrus:mail $home
chmod 640 $home/sasldb2
/usr/sbin/cyrmaster -C $home/imapd.conf -M $home/cyrus.conf -D &
wait
"""

_COURIER = """
set -e
mkdir -p /run/courier/authdaemon
chown courier:courier /run/courier /run/courier/authdaemon
mkdir -p /srv/shared/alice
chown 1000:1000 /srv/shared/alice
# gamin, which tells Courier of changes, looks up whom it works for.
echo 'alice:x:1000:1000::/srv/shared/alice:/bin/sh' >> /etc/passwd
su_maildir() { setpriv --reuid=1000 --regid=1000 --clear-groups maildirmake "$@"; }
su_maildir /srv/shared/alice/Maildir
printf '%s\\t%s\\n' alice 'uid=1000|gid=1000|home=/srv/shared/alice|mail=/srv/shared/alice/Maildir|systempw=@CRYPTED@' \
  > /etc/courier/userdb
chmod 600 /etc/courier/userdb
makeuserdb
sed -i 's/^authmodulelist=.*/authmodulelist="authuserdb"/' /etc/courier/authdaemonrc
sed -i 's/^ADDRESS=.*/ADDRESS=127.0.0.1/; s/^PORT=.*/PORT=@IMAP@/; s/^MAXPERIP=.*/MAXPERIP=40/' /etc/courier/imapd
authdaemond start
imapd start
sleep infinity &
wait
"""


@dataclass(frozen=True, slots=True)
class OtherImap:
    """A running server. `sent` and `junk` are the names that its folders have for people."""

    name: str
    port: int
    sent: str
    hand_over: Callable[[bytes], None]
    user: str = "alice"
    password: str = PASSWORD
    host: str = HOST

    @contextlib.contextmanager
    def imap(self) -> Iterator[imaplib.IMAP4]:
        """A login of the tests' own."""
        client = imaplib.IMAP4(self.host, self.port)
        try:
            client.login(self.user, self.password)
            yield client
        finally:
            with contextlib.suppress(imaplib.IMAP4.error, OSError):
                client.logout()

    def deliver(self, message: bytes) -> None:
        """Let a message arrive in INBOX, as an MTA does."""
        self.hand_over(message)

    def append(self, folder: str, message: bytes, *, received: datetime | None = None) -> None:
        """Store a message as a mail program does."""
        date = imaplib.Time2Internaldate(received) if received else ""
        with self.imap() as client:
            status, answer = client.append(f'"{folder}"', "", date, message)
        if status != "OK":
            raise RuntimeError(f"not stored: {answer!r}")


@contextlib.contextmanager
def cyrus() -> Iterator[OtherImap]:
    """A Cyrus 3.6 with idled, and LMTP for what is delivered."""
    imap, lmtp = free_ports(2)
    script = _CYRUS.replace("@IMAP@", str(imap)).replace("@LMTP@", str(lmtp)).replace("@PASSWORD@", PASSWORD)

    def hand_over(message: bytes) -> None:
        with smtplib.LMTP(HOST, lmtp) as client:
            if refused := client.sendmail("", ["alice"], message):
                raise RuntimeError(f"not delivered: {refused}")

    with running_inside(debian_root("cyrus", CYRUS), script) as inside:
        _wait_for_port(inside, imap)
        yield OtherImap("Cyrus", imap, "Sent Messages", hand_over)


@contextlib.contextmanager
def courier() -> Iterator[OtherImap]:
    """A Courier-IMAP 5.0; what is delivered is put into its Maildir."""
    (imap,) = free_ports(1)
    crypted = subprocess.run(["openssl", "passwd", "-1", PASSWORD], check=True, capture_output=True, text=True)
    script = _COURIER.replace("@IMAP@", str(imap)).replace("@CRYPTED@", crypted.stdout.strip())
    with running_inside(debian_root("courier", COURIER), script) as inside:
        _wait_for_port(inside, imap)
        maildir = inside.shared / "alice" / "Maildir"
        server = OtherImap("Courier", imap, "INBOX.Sent", lambda message: _drop(maildir, message))
        with server.imap() as client:
            client.create("INBOX.Sent")
        yield server


def _drop(maildir: Path, message: bytes) -> None:
    name = f"{int(time.time())}.P{os.getpid()}Q{time.monotonic_ns()}.test"
    # Programs on this machine write lines as Unix does.
    (maildir / "tmp" / name).write_bytes(message.replace(b"\r\n", b"\n"))
    os.chown(maildir / "tmp" / name, 1000, 1000)
    (maildir / "tmp" / name).rename(maildir / "new" / name)


def _wait_for_port(inside: Inside, port: int) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end and inside.process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"the server did not start: {inside.log.read_text('utf-8', 'replace')}")
