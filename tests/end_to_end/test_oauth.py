"""Accounts that log in with tokens: a provider of the tests' own, Dovecot that asks it, and the daemon between them."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.background import BackgroundReceiver
from servers.daemon import COMMAND, PATIENCE_SECONDS, running, start, table, until, write_config
from servers.dovecot import Dovecot, dovecot
from servers.letters import sent_copy, thunderbird_receipt
from servers.oauth_provider import DEVICE_GRANT, Provider, provider

pytestmark = pytest.mark.servers

OFFER = "<offer@mail.example>"
PEOPLE = [f"person-{number}@there.example" for number in range(4)]

# So that renewals come soon; nothing here needs a server to be found silent.
QUICK = {"idle_renewal": "1s"}


@pytest.fixture
def giver() -> Iterator[Provider]:
    with provider() as one:
        yield one


@pytest.fixture
def mailbox(giver: Provider) -> Iterator[Dovecot]:
    """A mail server that takes the provider's tokens."""
    with dovecot(introspection_url=giver.url("introspection")) as server:
        server.append("Sent", sent_copy(OFFER, PEOPLE))
        yield server


def account(server: Dovecot, giver: Provider, grant: str = "authorization_code", **settings: object) -> str:
    common = {"name": "sales", "host": server.host, "port": server.port, "tls": "none", "username": server.user}
    return table("accounts", **{**common, **QUICK, **settings}) + oauth(giver, grant)


def oauth(giver: Provider, grant: str) -> str:
    values = giver.settings(grant)
    return "[accounts.oauth]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())


@pytest.fixture
def browser(home: Path) -> Path:
    """What opens a URL as a browser does: it goes where it is sent."""
    path = home / "browser"
    path.write_text(f"#!{sys.executable}\nimport sys, urllib.request\nurllib.request.urlopen(sys.argv[1]).read()\n")
    path.chmod(0o755)
    return path


def log_in(config: Path, browser: Path, *before: str, name: str = "sales") -> subprocess.CompletedProcess[str]:
    command = [*before, str(COMMAND), "oauth", "login", name, "--opener", str(browser), "--config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)


def receipt(number: int) -> bytes:
    return thunderbird_receipt(OFFER, PEOPLE[number], receipt_id=f"<{number}@there.example>")


def secrets_of(giver: Provider) -> set[str]:
    return {*giver.access, *giver.refresh}


@pytest.mark.parametrize("grant", ["authorization_code", "device_code", "client_credentials"])
def test_after_a_login_by_each_grant_events_arrive_and_no_token_is_shown(
    *, home: Path, giver: Provider, mailbox: Dovecot, receiver: BackgroundReceiver, browser: Path, grant: str
) -> None:
    config = write_config(home, account(mailbox, giver, grant), receiver.sink_with(events=["recipient.*"]))
    (home / "state").mkdir(0o700)
    done = log_in(config, browser)
    assert done.returncode == 0, done.stderr
    assert giver.grants == [{"device_code": DEVICE_GRANT}.get(grant, grant)]
    kept = home / "state" / "oauth" / "sales.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    with running(config) as daemon:
        mailbox.drop([receipt(0)])
        (told,) = receiver.wait_for_events(1)
        assert (told.type, told.recipient) == ("recipient.displayed", PEOPLE[0])
        assert not [secret for secret in secrets_of(giver) if secret in daemon.log + done.stdout + done.stderr]
    # Nobody had to ask for others: these were good for an hour.
    assert len(giver.grants) == 1


def test_a_token_that_the_server_takes_no_more_is_renewed_and_no_mail_is_lost(
    home: Path, giver: Provider, mailbox: Dovecot, receiver: BackgroundReceiver, browser: Path
) -> None:
    config = write_config(home, account(mailbox, giver), receiver.sink_with(events=["recipient.*", "source.*"]))
    (home / "state").mkdir(0o700)
    assert log_in(config, browser).returncode == 0
    first = (home / "state" / "oauth" / "sales.json").read_text()
    with running(config):
        mailbox.drop([receipt(0)])
        receiver.wait_for_events(1)
        mailbox.stop()
        giver.expire()
        mailbox.drop([receipt(1), receipt(2)])
        mailbox.start()
        told = receiver.wait_for_events(3)
        assert sorted(one.recipient for one in told) == PEOPLE[:3]
    assert giver.grants == ["authorization_code", "refresh_token"]
    # The refresh token was good once: the next one is kept for the next start.
    kept = json.loads((home / "state" / "oauth" / "sales.json").read_text())
    assert kept["refresh_token"] in giver.refresh
    assert kept["refresh_token"] not in first


def test_tokens_are_renewed_while_the_connection_stands(
    home: Path, giver: Provider, mailbox: Dovecot, receiver: BackgroundReceiver, browser: Path
) -> None:
    giver.lifetime = 3.0
    config = write_config(home, account(mailbox, giver), receiver.sink_with(events=["recipient.*"]))
    (home / "state").mkdir(0o700)
    assert log_in(config, browser).returncode == 0
    with running(config):
        until(lambda: giver.grants.count("refresh_token") > 3, lambda: giver.grants)
        giver.broken = True
        mailbox.drop([receipt(0)])
        receiver.wait_for_events(1)
        giver.broken = False
        mailbox.drop([receipt(1)])
        receiver.wait_for_events(2)
    assert len(re.findall("Login: user=.*method=OAUTHBEARER", mailbox.log())) == 1


def test_a_revoked_grant_is_told_with_the_command_that_mends_it(
    home: Path, giver: Provider, mailbox: Dovecot, receiver: BackgroundReceiver, browser: Path
) -> None:
    giver.lifetime = 3.0
    config = write_config(home, account(mailbox, giver), receiver.sink, outage_grace="30s")
    daemon = start(config)
    try:
        # Nobody has logged in yet.
        (told,) = receiver.wait_for_events(1)
        assert (told.type, told.event["data"]["cause"]) == ("source.down", "token_missing")
        assert "mdnwatch oauth login sales" in told.event["data"]["reason"]
        done = log_in(config, browser)
        assert done.stdout.splitlines()[-1].startswith("the daemon has the tokens of sales"), done.stderr
        receiver.wait_for_events(2, 30)

        giver.revoke()
        down = receiver.wait_for_events(3)[-1].event
        assert (down["type"], down["data"]["cause"]) == ("source.down", "token_revoked")
        assert "mdnwatch oauth login ACCOUNT" in down["data"]["way_out"]
        asked = len(giver.grants)
        mailbox.drop([receipt(0)])
        assert log_in(config, browser).returncode == 0
        told_all = receiver.wait_for_events(5, 30)
        assert {one.type for one in told_all[3:]} == {"source.up", "recipient.displayed"}
        assert giver.grants[asked] == "authorization_code"
        assert not [secret for secret in secrets_of(giver) if secret in daemon.log]
        daemon.stop()
    finally:
        daemon.kill()


def run(*words: str) -> tuple[int, str]:
    done = subprocess.run([COMMAND, *words], capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


def test_doctor_and_check_config_log_in_with_the_tokens(
    home: Path, giver: Provider, mailbox: Dovecot, browser: Path
) -> None:
    config = write_config(home, account(mailbox, giver))
    (home / "state").mkdir(0o700)
    for words in (["check-config", str(config), "--connect"], ["doctor", "--config", str(config)]):
        status, output = run(*words)
        assert status == 1
        assert "nobody has logged in yet: mdnwatch oauth login sales" in output
    assert log_in(config, browser).returncode == 0
    giver.expire()
    status, output = run("doctor", "--config", str(config))
    assert status == 0, output
    assert f"✓ login: the server takes the access token of {mailbox.user}" in output
    status, output = run("check-config", str(config), "--connect")
    assert status == 0, output
    assert giver.grants == ["authorization_code", "refresh_token"]


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can act for others")
def test_only_who_may_see_an_account_may_log_it_in(
    home: Path, giver: Provider, mailbox: Dovecot, browser: Path
) -> None:
    config = write_config(home, account(mailbox, giver, visible_to=["daemon"]))
    home.chmod(0o755)
    config.chmod(0o644)
    other, group = pwd.getpwnam("games"), os.getgid()
    before = ["setpriv", f"--reuid={other.pw_uid}", f"--regid={group}", "--clear-groups", "--"]
    daemon = start(config)
    try:
        until(lambda: daemon.ask() is not None)
        done = log_in(config, browser, *before)
        assert done.returncode == 1
        assert "account sales is not yours" in done.stderr
        assert giver.grants == []
        done = log_in(config, browser, name="sale")
        assert 'did you mean "sales"' in done.stderr
        daemon.stop()
    finally:
        daemon.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write for another owner")
def test_what_root_writes_belongs_to_whom_the_state_directory_belongs(
    home: Path, giver: Provider, mailbox: Dovecot, browser: Path
) -> None:
    config = write_config(home, account(mailbox, giver))
    state, owner = home / "state", pwd.getpwnam("nobody")
    state.mkdir(0o700)
    os.chown(state, owner.pw_uid, owner.pw_gid)
    assert log_in(config, browser).returncode == 0
    assert {path.stat().st_uid for path in (state / "oauth", *(state / "oauth").iterdir())} == {owner.pw_uid}
