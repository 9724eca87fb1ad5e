from __future__ import annotations

import os
from pathlib import Path

import pytest

from mdnwatch.errors import ConfigError
from mdnwatch.settings import Secret
from mdnwatch.sources.watched_secret import WatchedSecret


def write(path: Path, text: str) -> None:
    """Write it so that its time changes, whatever the clock of the file system can tell apart."""
    earlier = path.stat().st_mtime_ns if path.exists() else 0
    path.write_text(text)
    os.utime(path, ns=(earlier + 1_000_000, earlier + 1_000_000))


def test_a_file_counts_as_changed_when_there_is_another_secret_in_it(tmp_path: Path) -> None:
    path = tmp_path / "password"
    write(path, "one\n")
    secret = WatchedSecret(Secret(file=path))
    assert secret.read() == "one"
    assert not secret.has_changed()
    write(path, "one\nwith a comment below\n")
    assert not secret.has_changed()
    write(path, "two\n")
    assert secret.has_changed()
    assert secret.read() == "two"
    assert not secret.has_changed()


def test_a_file_that_is_missing_or_empty_is_no_other_secret(tmp_path: Path) -> None:
    path = tmp_path / "password"
    secret = WatchedSecret(Secret(file=path))
    with pytest.raises(ConfigError):
        secret.read()
    assert not secret.has_changed()
    write(path, "")
    assert not secret.has_changed()
    write(path, "one")
    assert secret.has_changed()


def test_a_credential_that_systemd_renews_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    write(tmp_path / "sales", "one")
    secret = WatchedSecret(Secret(credential="sales"))
    secret.read()
    write(tmp_path / "sales", "two")
    assert secret.has_changed()


def test_what_stands_elsewhere_changes_only_with_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALES", "one")
    ran = tmp_path / "ran"
    command = ("sh", "-c", f"echo x >> {ran}; wc -l < {ran}")
    for place in (Secret(env="SALES"), Secret(value="one"), Secret(command=command)):
        secret = WatchedSecret(place)
        secret.read()
        monkeypatch.setenv("SALES", "two")
        assert not secret.has_changed()
    assert ran.read_text() == "x\n"
