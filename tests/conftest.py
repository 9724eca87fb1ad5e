"""What holds for every test: pure ones first, and no exception that nobody sees."""

from __future__ import annotations

import gc
import logging
import os
import signal
from collections.abc import Generator

import pytest
import schema_check
from hypothesis import settings

# `tests/run --slow` asks for the thorough one.
settings.register_profile("quick", max_examples=25, deadline=None)
settings.register_profile("thorough", max_examples=500, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# A run in the background of a shell script (`tests/run &`) inherits an ignored SIGINT, and would hand it on to every
# process that a test starts and ends by Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

schema_check.watch_what_is_made()

# What asyncio says when a task or a callback fails and nobody asks for its result.
LOGGER = logging.getLogger("asyncio")


class _Unseen(logging.Handler):
    """Collects what asyncio can only complain about: a leaked task that failed would otherwise pass unseen."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.complaints: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self.complaints.append(f"{record.getMessage()}\n{error!r}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    item.stash[UNSEEN] = _Unseen()
    LOGGER.addHandler(item.stash[UNSEEN])
    try:
        return (yield)
    finally:
        LOGGER.removeHandler(item.stash[UNSEEN])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    yield
    if item.get_closest_marker("asyncio"):
        # A task complains when it is collected, and one in a reference cycle is not until then.
        gc.collect()
    complaints = item.stash[UNSEEN].complaints
    if complaints:
        pytest.fail("an exception that nobody saw:\n" + "\n".join(complaints), pytrace=False)
    if schema_check.FOUND:
        found = list(dict.fromkeys(schema_check.FOUND))
        schema_check.FOUND.clear()
        pytest.fail("an event that its schema does not describe:\n" + "\n".join(found), pytrace=False)


UNSEEN = pytest.StashKey[_Unseen]()


def pytest_collection_finish() -> None:
    """What is there before the first test stays to the end: nothing of it is looked at by each `gc.collect`."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The quick tests speak first; those that start servers, or the daemon as a process, come last."""
    for item in items:
        if "end_to_end" in item.path.parts:
            item.add_marker(pytest.mark.servers)
    items.sort(key=lambda item: item.get_closest_marker("servers") is not None)
