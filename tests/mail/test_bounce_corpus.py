"""The figures that the readers must reach over the shared collection of real messages, and what its reasons say."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mdnwatch.mail import bounce
from mdnwatch.mail.bounce_formats import formats
from mdnwatch.mail.reader import read
from mdnwatch.model.reason import meaning
from mdnwatch.model.reasons import Reason
from mdnwatch.model.report import Action, Dsn
from mdnwatch.parse import parse

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="the shared collection of messages is not here")

AT_LEAST = {
    "recipient:bounce": (0.990, 0.980),
    "action": (0.995, 0.975),
    "status": (0.990, 0.970),
    # Four of the expected ids are those of the notification itself (REAL: RFC 3462 §2 returns the original's).
    "original_message_id": (0.990, 0.965),
    "hard": (0.95, 0.95),
}

# Sisimai's words to ours. Where it has several for one of ours, or one for several, they stand beside each other.
REASONS: dict[str, set[Reason]] = {
    "authfailure": {Reason.AUTHENTICATION},
    "badreputation": {Reason.POLICY},
    "blocked": {Reason.POLICY},
    "contenterror": {Reason.CONTENT},
    "emailtoolarge": {Reason.TOO_LARGE},
    "exceedlimit": {Reason.TOO_LARGE},
    "expired": {Reason.EXPIRED, Reason.NETWORK},  # so it calls connections that timed out
    "failedstarttls": {Reason.NETWORK, Reason.OTHER},
    "filtered": {Reason.REFUSED, Reason.NO_SUCH_MAILBOX},  # an unknown user that was told late, or not in full
    "hasmoved": {Reason.NO_SUCH_MAILBOX},
    "hostunknown": {Reason.NO_SUCH_DOMAIN},
    "mailboxfull": {Reason.MAILBOX_FULL},
    "mailererror": {Reason.OTHER},
    "mesgtoobig": {Reason.TOO_LARGE},
    "networkerror": {Reason.NETWORK, Reason.NO_SUCH_DOMAIN},  # so it calls Google's NXDOMAIN
    "norelaying": {Reason.POLICY},
    "notaccept": {Reason.NO_SUCH_DOMAIN, Reason.REFUSED},  # null MX, RFC 7504
    "notcompliantrfc": {Reason.CONTENT},
    "policyviolation": {Reason.POLICY, Reason.CONTENT},  # forbidden attachments are among them
    "ratelimited": {Reason.POLICY},
    "rejected": {Reason.POLICY, Reason.REFUSED},
    "requireptr": {Reason.POLICY},
    "securityerror": {Reason.AUTHENTICATION, Reason.POLICY},
    "spamdetected": {Reason.SPAM},
    "speeding": {Reason.POLICY},
    "suppressed": {Reason.REFUSED},
    "suspend": {Reason.REFUSED},
    "syntaxerror": {Reason.CONTENT},
    "systemerror": {Reason.OTHER},
    "systemfull": {Reason.OTHER},
    "toomanyconn": {Reason.POLICY},
    "userunknown": {Reason.NO_SUCH_MAILBOX},
    "virusdetected": {Reason.CONTENT},
}
# With these it says that it does not know, or that it is no bounce.
NO_STATEMENT = {"undefined", "onhold", "delivered", "vacation", "feedback"}


def rows() -> list[dict[str, Any]]:
    with (CORPUS / "manifest.jsonl").open(encoding="utf-8") as manifest:
        return [json.loads(line) for line in manifest]


def scoring() -> ModuleType:
    spec = importlib.util.spec_from_file_location("corpus_eval", CORPUS / "eval.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.collection
@needs_corpus
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_the_figures_over_the_shared_collection_are_reached(line_end: bytes) -> None:
    wanted = rows()
    predicted = {}
    for row in wanted:
        data = (CORPUS / row["file"]).read_bytes().replace(b"\r\n", b"\n").replace(b"\n", line_end)
        predicted[row["file"]] = parse(data, row["file"])
    result, _ = scoring().score(wanted, predicted)
    below = {
        name: (found["precision"], found["recall"])
        for name, (precision, recall) in AT_LEAST.items()
        if (found := result["fields"][name])["precision"] < precision or found["recall"] < recall
    }
    assert below == {}
    assert result["false_reports"] == 0


@pytest.mark.collection
@needs_corpus
def test_without_its_format_a_bounce_is_nearly_as_well_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    # What is to be expected of formats that nobody knows: each format is forgotten in turn.
    by_format: dict[str, list[dict[str, Any]]] = {}
    for row in rows():
        report = read((CORPUS / row["file"]).read_bytes())
        if isinstance(report, Dsn):
            by_format.setdefault(report.format, []).append(row)
    known = formats()
    total = {"tp": 0, "fp": 0, "fn": 0}
    for forgotten in known:
        monkeypatch.setattr(
            bounce, "formats", lambda forgotten=forgotten: [one for one in known if one is not forgotten]
        )
        wanted = by_format.get(forgotten.FORMAT, [])
        predicted = {row["file"]: parse((CORPUS / row["file"]).read_bytes(), row["file"]) for row in wanted}
        found = scoring().score(wanted, predicted)[0]["fields"].get("recipient:bounce", {})
        total = {name: count + found.get(name, 0) for name, count in total.items()}
    print(total)  # noqa: T201 - shown by `pytest -s`
    assert total["tp"] / (total["tp"] + total["fp"]) >= 0.98
    assert total["tp"] / (total["tp"] + total["fn"]) >= 0.94


@needs_corpus
def test_sisimais_reasons_mapped_to_ours_agree_in_95_of_100_messages() -> None:
    judged = agreeing = 0
    for row in rows():
        words = [row["reason"]] if isinstance(row["reason"], str) else row["reason"] or []
        if not words or NO_STATEMENT.intersection(words):
            continue
        report = read((CORPUS / row["file"]).read_bytes())
        if not isinstance(report, Dsn):
            continue
        judged += 1
        accepted = set[Reason]().union(*(REASONS[word] for word in words))
        told = {meaning(block).reason for block in report.recipients if block.action is not Action.DELIVERED}
        agreeing += told <= accepted
    assert judged > 200
    assert agreeing / judged >= 0.95


def test_every_reason_of_ours_has_a_word_of_sisimais() -> None:
    assert set(Reason) == set[Reason]().union(*REASONS.values())
