"""Sieve scripts in a test's Dovecot, whose own mail (vacation notices) comes back by LMTP."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from servers.dovecot import Dovecot, dovecot

PLUGIN = Path("/usr/lib/dovecot/modules/lib90_sieve_plugin.so")

# As sendmail(8) is called: the options end with the recipients. Dovecot's user may not read the tests' own Python.
_SENDMAIL = """\
#!/usr/bin/env python3
import smtplib, sys
port = int(open("{directory}/port").read())
with smtplib.LMTP("127.0.0.1", port) as lmtp:
    lmtp.sendmail("", sys.argv[-1:], sys.stdin.buffer.read())
"""

_CONFIGURATION = """
sendmail_path = {directory}/sendmail
protocol lmtp {{
  mail_plugins = sieve
}}
plugin {{
  sieve = file:{directory}/%n.sieve
}}
"""


@contextlib.contextmanager
def dovecot_with_sieve(scripts: Mapping[str, str]) -> Iterator[Dovecot]:
    """A Dovecot that runs these scripts, by local part, as it delivers."""
    if not PLUGIN.exists():
        pytest.skip("Dovecot's Sieve is not installed (package dovecot-sieve)")
    with tempfile.TemporaryDirectory(prefix="mdnwatch-sieve-") as name:
        directory = Path(name)
        # Dovecot's user compiles the scripts there.
        directory.chmod(0o777)
        for user, script in scripts.items():
            (directory / f"{user}.sieve").write_text(script, "utf-8")
        sendmail = directory / "sendmail"
        sendmail.write_text(_SENDMAIL.format(directory=directory), "utf-8")
        sendmail.chmod(0o755)
        with dovecot(extra=_CONFIGURATION.format(directory=directory)) as server:
            (directory / "port").write_text(str(server.lmtp_port), "ascii")
            yield server
