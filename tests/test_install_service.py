from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mdnwatch.errors import MdnwatchError
from mdnwatch.install_service import PROGRAM, SYSTEM, USER, Order, run

SYSTEM_FILES = ["etc/systemd/system/mdnwatch.service", "etc/sysusers.d/mdnwatch.conf", "etc/tmpfiles.d/mdnwatch.conf",
                "etc/logrotate.d/mdnwatch"]  # fmt: skip

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to others")


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


def done(*command: str | Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environ})


def place(root: Path, *, user: bool = False, program: Path = PROGRAM, force: bool = False) -> list[str]:
    return list(run(Order(user=user, root=root, program=program, force=force)))


def test_each_file_is_written_where_it_belongs_and_named(tmp_path: Path) -> None:
    assert place(tmp_path) == [f"written    {tmp_path / name}" for name in SYSTEM_FILES]
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()} == set(SYSTEM_FILES)


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    place(tmp_path)
    assert {line.split()[0] for line in place(tmp_path)} == {"unchanged"}


def test_what_a_person_has_changed_is_not_written_over_unless_it_is_said(tmp_path: Path) -> None:
    place(tmp_path)
    unit, logrotate = tmp_path / SYSTEM_FILES[0], tmp_path / SYSTEM_FILES[3]
    unit.write_text("[Service]\n")
    logrotate.unlink()
    with pytest.raises(MdnwatchError, match=re.escape(f"{unit}: is there already and differs")):
        place(tmp_path)
    assert not logrotate.exists()
    lines = place(tmp_path, force=True)
    assert (lines[0], lines[3]) == (f"replaced   {unit}", f"written    {logrotate}")
    assert "ExecStart=" in unit.read_text()


def test_the_unit_starts_the_program_that_is_named(tmp_path: Path) -> None:
    place(tmp_path, program=Path("/srv/mail/bin/mdnwatch"))
    unit = (tmp_path / SYSTEM_FILES[0]).read_text()
    assert "ExecStart=/srv/mail/bin/mdnwatch run --config /etc/mdnwatch/config.toml\n" in unit


@pytest.mark.parametrize("program", ["/root/venv/bin/mdnwatch", "/home/anna/venv/bin/mdnwatch"])
def test_a_program_that_a_system_service_cannot_see_is_refused(tmp_path: Path, program: str) -> None:
    with pytest.raises(MdnwatchError, match="install mdnwatch into /opt/mdnwatch"):
        place(tmp_path, program=Path(program))
    assert [line.split()[0] for line in place(tmp_path, program=Path(program), user=True)] == ["written"] * len(USER)


def test_a_person_without_rights_is_told_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "etc").write_text("a file where a directory should be")
    with pytest.raises(MdnwatchError, match="choose another --root"):
        place(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    lines = list(run(Order(user=True, program=Path(shutil.which("sh") or "/bin/sh"))))
    assert lines[0] == f"written    {tmp_path / 'config/systemd/user/mdnwatch.service'}"
    assert lines[len(USER)] == "next:"


@needs("systemd-analyze")
def test_the_units_of_a_person_are_valid(tmp_path: Path) -> None:
    place(tmp_path, user=True, program=Path(shutil.which("true") or "/bin/true"))
    units = [tmp_path / "etc" / path for path in USER.values()]
    checked = done("systemd-analyze", "verify", "--user", *units, XDG_RUNTIME_DIR=str(tmp_path))
    assert (checked.returncode, checked.stderr) == (0, "")


@needs("systemd-sysusers")
@needs("systemd-tmpfiles")
@needs_root
def test_user_and_directories_are_made_as_the_service_needs_them(tmp_path: Path) -> None:
    place(tmp_path)
    (tmp_path / "etc/mdnwatch").mkdir()
    (tmp_path / "etc/mdnwatch/config.toml").touch(0o644)
    made = done("systemd-sysusers", f"--root={tmp_path}", "mdnwatch.conf")
    assert made.returncode == 0, made.stderr
    group = next(line for line in (tmp_path / "etc/group").read_text().splitlines() if line.startswith("mdnwatch:"))
    made = done("systemd-tmpfiles", "--create", f"--root={tmp_path}", "mdnwatch.conf")
    assert made.returncode == 0, made.stderr
    found = {}
    for path in (tmp_path / "etc/mdnwatch", *sorted((tmp_path / "etc/mdnwatch").iterdir())):
        about = path.stat()
        found[path.name] = (oct(about.st_mode & 0o777), about.st_uid, about.st_gid)
    gid = int(group.split(":")[2])
    assert found == {"mdnwatch": ("0o750", 0, gid), "config.toml": ("0o640", 0, gid), "credentials": ("0o700", 0, 0)}


@needs("logrotate")
@needs_root
def test_the_status_log_can_be_rotated(tmp_path: Path) -> None:
    place(tmp_path)
    logs = tmp_path / "log"
    logs.mkdir(0o750)
    (logs / "events.jsonl").write_text('{"type": "recipient.displayed"}\n')
    text = (tmp_path / SYSTEM_FILES[3]).read_text()
    mine = tmp_path / "logrotate.conf"
    mine.write_text(text.replace("/var/log/mdnwatch", str(logs)).replace("su mdnwatch mdnwatch", "su root root"))
    rotated = done("logrotate", "--force", "--state", tmp_path / "state", mine)
    assert (rotated.returncode, rotated.stderr) == (0, "")
    assert [path.name for path in logs.iterdir()] == ["events.jsonl.1"]


def test_every_file_for_systemd_is_put_in_place() -> None:
    directory = Path(__file__).parent.parent / "systemd"
    there = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    assert there == {*SYSTEM, *USER}
