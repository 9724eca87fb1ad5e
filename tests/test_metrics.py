from __future__ import annotations

import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mdnwatch.metrics import GAUGES, Metrics, Sample

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
RULES = resources.files("mdnwatch") / "alerts.rules.yml"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian's prometheus) is not installed"
)


def names() -> set[str]:
    """Every metric, as it stands in a rule or a dashboard; histograms without their suffix."""
    families = text_string_to_metric_families(Metrics().exposition([]).decode())
    return {family.name + ("_total" if family.type == "counter" else "") for family in families}


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", sorted(names()))
def test_every_metric_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in README


def test_the_readme_names_no_metric_that_does_not_exist() -> None:
    assert set(re.findall(r"`(mdnwatch_[a-z_]+)`", README)) <= names()


def test_the_rules_name_no_metric_that_does_not_exist() -> None:
    assert set(re.findall(r"\bmdnwatch_[a-z_]+\b", RULES.read_text("utf-8"))) <= names()


def test_a_report_that_seems_to_come_from_the_future_has_waited_for_nothing() -> None:
    metrics = Metrics()
    metrics.committed(NOW + timedelta(minutes=5), NOW)
    assert b'mdnwatch_arrival_to_commit_seconds_bucket{le="1.0"} 1.0' in metrics.exposition([])


def test_a_label_cannot_break_out_of_its_line() -> None:
    folder = 'a"b\\c\nd'
    samples = [Sample("mdnwatch_folder_last_agreement_timestamp_seconds", 1.0, ("sales", folder))]
    families = text_string_to_metric_families(Metrics().exposition(samples).decode())
    assert [one.labels["folder"] for family in families for one in family.samples if one.labels.get("folder")] == [
        folder
    ]


def test_every_gauge_says_what_it_is() -> None:
    assert all(described.text.endswith(".") for described in GAUGES.values())


@needs_promtool
def test_the_rules_are_rules() -> None:
    with resources.as_file(RULES) as path:
        done = promtool("check", "rules", path)
    assert (done.returncode, done.stderr) == (0, "")


# What the rules make of histories, as promtool's unit tests write them.
HISTORIES = """
rule_files: [{rules}]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - series: mdnwatch_source_up{{account="sales"}}
        values: "1x5 0x60"
      - series: mdnwatch_folder_last_agreement_timestamp_seconds{{account="sales", folder="INBOX"}}
        values: "0+60x5 300x60"
      - series: mdnwatch_sink_up{{sink="crm"}}
        values: "1x65"
      - series: mdnwatch_outbox_oldest_seconds{{sink="crm"}}
        values: "0+60x120"
      - series: mdnwatch_delivery_attempts_total{{sink="crm", outcome="given_up"}}
        values: "0x30 1x35"
      - series: mdnwatch_messages_handled_total{{account="sales", kind="malformed"}}
        values: "0+1x65"
    alert_rule_test:
      - {{eval_time: 12m, alertname: MdnwatchSourceDown, exp_alerts: []}}
      - eval_time: 17m
        alertname: MdnwatchSourceDown
        exp_alerts:
          - exp_labels: {{severity: critical, account: sales}}
            exp_annotations:
              summary: account sales is not being watched
              description: "`mdnwatch status` says why. Nothing is lost: what arrives is read when the server is back."
      - {{eval_time: 14m, alertname: MdnwatchFolderSilent, exp_alerts: []}}
      - eval_time: 22m
        alertname: MdnwatchFolderSilent
        exp_alerts:
          - exp_labels: {{severity: critical, account: sales, folder: INBOX}}
            exp_annotations:
              summary: folder INBOX of sales was not proved to be complete for 17m 0s
              description: "The server answers late or not at all, or more arrives than is read: see `mdnwatch status`."
      - {{eval_time: 60m, alertname: MdnwatchSinkDown, exp_alerts: []}}
      - {{eval_time: 69m, alertname: MdnwatchBacklogOld, exp_alerts: []}}
      - eval_time: 75m
        alertname: MdnwatchBacklogOld
        exp_alerts:
          - exp_labels: {{severity: warning, sink: crm}}
            exp_annotations:
              summary: an event has waited for sink crm for 1h 15m 0s
              description: The receiver refuses it, or takes events more slowly than they come.
      - eval_time: 35m
        alertname: MdnwatchEventGivenUp
        exp_alerts:
          - exp_labels: {{severity: warning, sink: crm, outcome: given_up}}
            exp_annotations:
              summary: sink crm refused an event until it was given up
              description: The log names the event and the receiver's last answer (`event given up`).
      - eval_time: 30m
        alertname: MdnwatchMalformedReports
        exp_alerts:
          - exp_labels: {{severity: info, account: sales, kind: malformed}}
            exp_annotations:
              summary: account sales gets reports that cannot be read
              description: "Each was told as report.malformed with its place: look at one with `mdnwatch parse`."
"""


@needs_promtool
def test_the_rules_wake_people_when_they_should_and_not_before(tmp_path: Path) -> None:
    with resources.as_file(RULES) as rules:
        histories = tmp_path / "histories.yml"
        histories.write_text(HISTORIES.format(rules=rules), "utf-8")
        done = promtool("test", "rules", histories)
    assert done.returncode == 0, done.stdout + done.stderr
