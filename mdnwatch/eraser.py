"""Erases what somebody asks to have erased: database and status logs; names what it could not reach."""

from __future__ import annotations

import asyncio
import dataclasses
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from mdnwatch import local_api
from mdnwatch.config import Config
from mdnwatch.erasure import Erased, UnderWay, erase_address, erase_message_id, quiet_unit
from mdnwatch.errors import MdnwatchError
from mdnwatch.model.address import without_sub_address
from mdnwatch.model.correlation import message_id_key
from mdnwatch.model.erasure import Mailbox
from mdnwatch.model.stored import dump
from mdnwatch.sinks import log_rewrite
from mdnwatch.sinks.log import StatusLogSettings
from mdnwatch.store import outbox_queries, report_queries, sent_queries
from mdnwatch.store.sqlite import DATABASE_NAME, Store
from mdnwatch.unit import rules_of
from mdnwatch.visibility import is_owner

T = TypeVar("T")

ERASE = "erase"

# A delivery that is under way is waited for so often, and so is the sink's hold on its log.
TRIES = 40
PAUSE_SECONDS = 0.5

# How long an answer waits until the database is written anew, which goes on without it.
TIDY_SECONDS = 30.0

Answer = dict[str, Any]


class StoreLike(Protocol):
    """The part of the store that is needed here."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do a unit of work in one transaction."""
        ...

    async def tidy(self) -> bool:
        """Leave no byte of what was deleted."""
        ...


class _OnlyLooking(Exception):
    """Ends the transaction of a dry run."""

    def __init__(self, erased: Erased, *, is_message: bool) -> None:
        super().__init__()
        self.erased, self.is_message = erased, is_message


class Eraser:
    """Erases, in the running daemon or in the database that no daemon owns."""

    def __init__(self, store: StoreLike, *, config: Callable[[], Config], now: Callable[[], datetime]) -> None:
        self._store = store
        self._config = config
        self._now = now

    @property
    def handlers(self) -> Mapping[str, local_api.Handler]:
        """Who answers which command on the local socket."""
        return {ERASE: self._answer}

    async def _answer(self, question: Mapping[str, Any], peer: local_api.Peer) -> Answer:
        if not is_owner(peer.uid):
            raise MdnwatchError("only root and the daemon's own user may erase")
        return await self.erase(str(question.get("what")), dry_run=question.get("dry_run") is True)

    async def erase(self, what: str, *, dry_run: bool) -> Answer:
        """Erase a Message-ID (with or without angle brackets) or an address; what was done. Raises MdnwatchError."""
        what = _checked(what, self._config())
        is_message, erased = await self._erase(what, dry_run=dry_run)
        answer = {
            "what": message_id_key(what)[2:] if is_message else without_sub_address(what),
            "is_message": is_message,
            **{name: value for name, value in dataclasses.asdict(erased).items() if name != "message_ids"},
        }
        if dry_run:
            return {**answer, "erased": False}
        is_named = _named(what, erased, is_message=is_message)
        lines, unreached = await self._erase_lines(is_named)
        unreached += await self._tidy()
        return {**answer, "erased": True, "log_lines": lines, "unreached": [*unreached, *_elsewhere(self._config())]}

    async def _erase(self, what: str, *, dry_run: bool) -> tuple[bool, Erased]:
        rules, now = rules_of(self._config()), self._now()

        def work(db: sqlite3.Connection) -> tuple[bool, Erased]:
            unit = quiet_unit(db, rules, now)
            is_message = _is_message(db, what)
            erased = erase_message_id(unit, what) if is_message else erase_address(unit, what)
            if dry_run:
                raise _OnlyLooking(erased, is_message=is_message)
            return is_message, erased

        for _ in range(TRIES):
            try:
                return await self._store.run(work)
            except _OnlyLooking as looked:
                return looked.is_message, looked.erased
            except UnderWay:
                await asyncio.sleep(PAUSE_SECONDS)
        raise UnderWay

    async def _tidy(self) -> list[str]:
        """Leave no byte behind in the database's files; what is left all the same."""
        try:
            async with asyncio.timeout(TIDY_SECONDS):
                if await self._store.tidy():
                    return []
        except TimeoutError:
            return [
                "pages of the database that are no longer used: they are gone when it is written anew, as it is now"
            ]
        return ["the database's write-ahead log, which another process is reading: erase again later"]

    async def _erase_lines(self, is_named: Callable[[str], bool]) -> tuple[int, list[str]]:
        """How many lines of status logs went, and the logs of which none could be taken out."""
        lines, failed = 0, []
        for path in _logs(self._config()):
            try:
                lines += await _rewritten(path, is_named)
            except OSError as error:
                failed.append(f"the status log {path}: {error.strerror or error}")
        return lines, failed


async def _rewritten(path: Path, is_named: Callable[[str], bool]) -> int:
    for _ in range(TRIES):
        try:
            return await asyncio.to_thread(log_rewrite.rewrite, path, is_named)
        except BlockingIOError:
            await asyncio.sleep(PAUSE_SECONDS)
    return await asyncio.to_thread(log_rewrite.rewrite, path, is_named)


def _checked(what: str, config: Config) -> str:
    what = what.strip()
    if "@" not in what or any(char.isspace() for char in what.strip('"')):
        raise MdnwatchError(f"{what} is neither an address nor a Message-ID")
    own = [one for account in config.accounts for one in account.addresses]
    if not what.startswith("<") and without_sub_address(what) in map(without_sub_address, own):
        raise MdnwatchError(
            f"{what} is an address of your own: take its account out of the configuration, or erase messages"
        )
    return what


def _is_message(db: sqlite3.Connection, what: str) -> bool:
    """Whether a Message-ID is meant: in angle brackets always, otherwise where one is known."""
    key = message_id_key(what)
    return (
        what.startswith("<")
        or bool(sent_queries.find_by_keys(db, [key]))
        or bool(report_queries.reports_with_keys(db, [key]))
    )


def _named(what: str, erased: Erased, *, is_message: bool) -> Callable[[str], bool]:
    """Whether a line of a status log names what was erased."""
    mailbox = Mailbox(without_sub_address(what))
    ids = tuple(dump(one)[1:-1] for one in erased.message_ids)

    def is_named(line: str) -> bool:
        return any(one in line for one in ids) or (not is_message and mailbox.is_named_in(line))

    return is_named


def _logs(config: Config) -> list[Path]:
    return list(dict.fromkeys(sink.path for sink in config.sinks if isinstance(sink, StatusLogSettings)))


def _elsewhere(config: Config) -> Iterator[str]:
    """What nobody can reach from here."""
    yield "the mailboxes themselves: what is read there again stays unknown"
    for path in _logs(config):
        yield from (f"the rotated log {one}" for one in log_rewrite.rotated(path))
    yield from (
        f"an earlier database, {path}" for path in sorted(config.state_dir.glob(f"{DATABASE_NAME}.before-restore-*"))
    )
    yield "backups: restored, they bring it back: erase again then"
    yield "the journal: it holds Message-IDs, and of addresses the first letter and the domain"
    told = [f"{sink.name} ({sink.kind})" for sink in config.sinks if not isinstance(sink, StatusLogSettings)]
    if told:
        yield f"whoever was told: {', '.join(told)}"


def lines(answer: Answer) -> Iterator[str]:
    """What was done, or would be, for people."""
    kind = "the message" if answer["is_message"] else "the address"
    yield f"{kind} {answer['what']}: {'erased' if answer['erased'] else 'would be erased'}"
    for name, words in _WORDS.items():
        if answer.get(name):
            yield f"  {answer[name]} {words}"
    if answer["erased"]:
        yield "not reached:"
        yield from (f"  {one}" for one in answer["unreached"])


_WORDS = {
    "messages": "sent message(s)",
    "recipients": "recipient(s)",
    "reports": "report(s)",
    "evidence": "piece(s) of evidence",
    "held_replies": "reply(ies) that were held",
    "events": "event(s)",
    "undelivered": "notification(s) that were still to go out, and will not",
    "log_lines": "line(s) of status logs",
}


async def erase(config: Config, what: str, now: Callable[[], datetime], *, dry_run: bool) -> Answer:
    """Let the daemon erase, or do it in the database while none runs. Raises MdnwatchError."""
    question = {"command": ERASE, "what": what, "dry_run": dry_run}
    answer = local_api.ask(config.socket, question)
    return await _erase_alone(config, what, now, dry_run=dry_run) if answer is None else answer


async def _erase_alone(config: Config, what: str, now: Callable[[], datetime], *, dry_run: bool) -> Answer:
    store = Store(config.state_dir)
    await store.open()
    try:
        # Nobody delivers anything: what a process that died has left under way is over.
        await store.run(outbox_queries.release_leases)
        return await Eraser(store, config=lambda: config, now=now).erase(what, dry_run=dry_run)
    finally:
        await store.close()
