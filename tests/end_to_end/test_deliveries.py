"""The commands about deliveries, as people type them, beside a running daemon and without one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from servers.background import BackgroundReceiver
from servers.daemon import COMMAND, PATIENCE_SECONDS, maildir_account, running, until, write_config
from servers.letters import deliver, make_maildir, sent_copy, thunderbird_receipt
from servers.receiver import Answer

OFFER, BOB = "<offer@mail.example>", "bob@mail.example"


def mdnwatch(config: Path, *words: str, status: int = 0) -> str:
    command = [str(COMMAND), *words, "--config", str(config)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stdout + done.stderr


def test_a_disabled_receiver_is_found_tried_and_enabled_and_told_again_what_it_lost(
    home: Path, receiver: BackgroundReceiver
) -> None:
    maildir = make_maildir(home / "Maildir")
    config = write_config(home, maildir_account(maildir), receiver.sink_with(events=["recipient.*"]))
    receiver.receiver.behaviour = lambda _: Answer(410)
    with running(config) as daemon:
        deliver(maildir / ".Sent", "1", sent_copy(OFFER, [BOB]))
        deliver(maildir, "2", thunderbird_receipt(OFFER, BOB))
        until(lambda: "sink disabled" in daemon.log, "it is disabled")
        assert "receiver (webhook): disabled (HTTP 410 Gone), 1 waiting" in mdnwatch(config, "sinks", "list")
        assert "gone, HTTP 410: HTTP 410 Gone" in mdnwatch(config, "sinks", "test", "receiver", status=1)
        receiver.receiver.behaviour = lambda _: Answer()
        assert "delivered, HTTP 200" in mdnwatch(config, "sinks", "test", "receiver")
        assert "recipient.displayed" in mdnwatch(config, "outbox", "list")
        assert mdnwatch(config, "sinks", "enable", "receiver") == "receiver: tried again now\n"
        until(lambda: "event delivered" in daemon.log, "it is delivered")
        assert mdnwatch(config, "outbox", "list") == ""
        assert mdnwatch(config, "replay", "--since", "1h", "--sink", "receiver") == "1 notification(s) queued\n"
        told = receiver.wait_for(lambda told: len([one for one in told if one.type != "test.ping"]) == 3)
    assert len({one.id for one in told if one.type != "test.ping"}) == 1
    (one,) = map(json.loads, mdnwatch(config, "outbox", "list", "--state", "all", "--json").splitlines())
    assert json.loads(mdnwatch(config, "outbox", "show", one["id"]))["event"]["type"] == "recipient.displayed"
    assert mdnwatch(config, "outbox", "retry", str(one["number"])) == "1 notification(s) due now\n"
    assert mdnwatch(config, "outbox", "drop", "--sink", "receiver") == "1 notification(s) dropped\n"
    assert "say which" in mdnwatch(config, "outbox", "retry", status=2)
