"""The safety net of the tests themselves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import asyncio, pytest

async def fail():
    raise ValueError("boom")

@pytest.mark.servers
def test_with_a_server():
    assert ran == ["awaited", "quick"]

@pytest.mark.asyncio
async def test_task():
    asyncio.create_task(fail())
    await asyncio.sleep(0.01)

@pytest.mark.asyncio
async def test_task_in_a_reference_cycle():
    task = asyncio.create_task(fail())
    task.itself = task
    await asyncio.sleep(0.01)

@pytest.mark.asyncio
async def test_callback():
    asyncio.get_running_loop().call_soon(lambda: 1 / 0)
    await asyncio.sleep(0.01)

@pytest.mark.asyncio
async def test_awaited():
    await asyncio.create_task(asyncio.sleep(0))
    ran.append("awaited")

def test_quick():
    ran.append("quick")

ran = []
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    directory = tmp_path_factory.mktemp("inner")
    shutil.copy(Path(__file__).with_name("conftest.py"), directory)
    (directory / "test_inner.py").write_text(TESTS)
    (directory / "pytest.ini").write_text(f"[pytest]\nmarkers = servers\npythonpath = {Path(__file__).parent}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"],
        cwd=directory,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    return done.stdout


@pytest.mark.parametrize("leak", ["task", "task_in_a_reference_cycle", "callback"])
def test_an_exception_that_nobody_sees_is_an_error_of_its_test(leak: str, report: str) -> None:
    assert f"ERROR test_inner.py::test_{leak} - Failed: an exception that nobody saw" in report
    assert report.count("\nan exception that nobody saw:\n") == 3


def test_a_task_that_is_awaited_passes(report: str) -> None:
    assert "PASSED test_inner.py::test_awaited\n" in report


def test_tests_that_need_servers_run_last(report: str) -> None:
    assert "PASSED test_inner.py::test_with_a_server\n" in report
