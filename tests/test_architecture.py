"""What the code as a whole promises: layers, purity, one place for each library, reasons for each exception."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "mdnwatch"
MODULES = sorted(PACKAGE.rglob("*.py"))
ALL_CODE = [*MODULES, *sorted(ROOT.glob("tests/**/*.py"))]

# What a pure module may not even import.
IMPURE = {
    "asyncio", "fcntl", "logging", "os", "pathlib", "queue", "secrets", "shutil", "signal", "socket",
    "sqlite3", "ssl", "structlog", "subprocess", "tempfile", "threading", "time",
}  # fmt: skip

KNOWN_TO_ONE_MODULE = ("aioimaplib", "aiosmtplib", "apscheduler", "flanker")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(path: Path) -> Iterator[str]:
    """The top-level packages that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0]


def test_imports_point_down_only() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("library", KNOWN_TO_ONE_MODULE)
def test_a_library_with_traps_is_known_to_one_module(library: str) -> None:
    knowing = [name_of(path) for path in MODULES if library in imported(path)]
    assert len(knowing) <= 1, knowing


@pytest.mark.parametrize("folder", ["model", "mail"])
def test_what_is_pure_imports_nothing_that_reads_or_writes(folder: str) -> None:
    found = {name_of(path): IMPURE & set(imported(path)) for path in (PACKAGE / folder).rglob("*.py")}
    assert {name: modules for name, modules in found.items() if modules} == {}


@pytest.mark.parametrize("folder", ["model", "mail"])
def test_what_is_pure_reads_no_clock(folder: str) -> None:
    clock = re.compile(r"\b(datetime\.(now|utcnow|today)|date\.today)\(")
    assert [name_of(path) for path in (PACKAGE / folder).rglob("*.py") if clock.search(path.read_text("utf-8"))] == []


def test_every_module_begins_with_a_sentence_on_one_line() -> None:
    def first_line(path: Path) -> str:
        return (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").split("\n\n")[0]

    assert [name_of(path) for path in MODULES if not re.fullmatch(r"\S.*\.", first_line(path))] == []


def test_every_exception_to_a_rule_has_its_reason() -> None:
    noqa = re.compile(r"#\s*noqa(?!: [A-Z]+[0-9]+(, [A-Z]+[0-9]+)* - \S)")
    ignore = re.compile(r"#\s*type:\s*ignore(?!\[[\w, -]+\] +# \S)")
    bare = [
        f"{name_of(path)}:{number}"
        for path in ALL_CODE
        if path != Path(__file__)
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if noqa.search(line) or ignore.search(line)
    ]
    assert bare == []


def test_every_kind_is_named_as_its_module() -> None:
    for folder in ("sources", "sinks"):
        for path in (PACKAGE / folder).glob("*.py"):
            kinds = re.findall(r'^KIND(?:: \S+)? = "(.*)"', path.read_text("utf-8"), re.MULTILINE)
            assert kinds in ([], [path.stem]), name_of(path)
