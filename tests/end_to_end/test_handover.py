"""What somebody with a doubt types, and what is handed over: asked of a running daemon, and of its database alone."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
from pathlib import Path

from servers.background import BackgroundReceiver
from servers.daemon import COMMAND, maildir_account, running, until, write_config
from servers.letters import deliver, maildir_name, make_maildir, sent_copy, thunderbird_receipt

OFFER = "<offer@mail.example>"
BOB, CAROL = "bob@mail.example", "carol@mail.example"


def asked(config: Path, *command: str | Path) -> str:
    done = subprocess.run(
        [COMMAND, *command, "--config", config], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_message_is_explained_and_handed_over_with_and_without_the_daemon(
    home: Path, receiver: BackgroundReceiver
) -> None:
    maildir = make_maildir(home / "Maildir")
    config = write_config(home, maildir_account(maildir, poll_interval="50ms"), receiver.sink)
    receipt = home / "receipt.eml"
    receipt.write_bytes(thunderbird_receipt(OFFER, BOB))
    with running(config):
        deliver(maildir / ".Sent", maildir_name(1), sent_copy(OFFER, [BOB, CAROL]))
        until(lambda: OFFER in asked(config, "explain", BOB))
        assert "It would be matched with <offer@mail.example>" in asked(config, "explain", receipt)
        deliver(maildir, maildir_name(2), receipt.read_bytes())
        receiver.wait_for_events(1)
        looked_at = asked(config, "explain", receipt)
        running_answers = {word: asked(config, "explain", word) for word in (OFFER, CAROL)}
        table = asked(config, "export", "--csv")
        asked(config, "export", OFFER, "--case", home / "running.html")
    assert "mdnwatch knows it, and matched it with" in looked_at
    assert f"{BOB}: displayed" in running_answers[OFFER]
    assert f"{CAROL}: no evidence" in running_answers[CAROL]
    until(lambda: not (home / "mdnwatch.sock").exists())
    assert "mdnwatch is not running" in asked(config, "explain", OFFER)
    assert asked(config, "export", "--csv") == table
    by_recipient = {row["recipient"]: row["summary"] for row in csv.DictReader(io.StringIO(table, newline=""))}
    assert by_recipient == {BOB: "displayed", CAROL: "unknown"}
    asked(config, "export", OFFER, "--case", home / "stopped.html")
    cases = [json.loads((home / f"{name}.html.json").read_text("utf-8")) for name in ("running", "stopped")]
    assert cases[0]["messages"] == cases[1]["messages"]
    told = next(one for one in cases[0]["messages"][0]["recipients"] if one["address"] == BOB)
    (place,) = told["evidence"][0]["report"]["seen_in"]
    (mail,) = (file for folder in ("cur", "new") for file in (maildir / folder).iterdir())
    assert mail.name.startswith(place["name"])
    assert place["sha256"] == hashlib.sha256(mail.read_bytes()).hexdigest()
