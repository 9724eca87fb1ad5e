"""The one wiring: build everything from the configuration, start the tasks, tell that it is ready, stop in order."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import random
import signal
import sqlite3
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

import mdnwatch.sinks
import mdnwatch.sources
from mdnwatch import __version__, local_api, metrics_endpoint, oauth_login, retention, status_lines, systemd, telling
from mdnwatch.answers import Answers
from mdnwatch.config import AccountSettings, Config, load, module_of
from mdnwatch.deliveries import Deliveries
from mdnwatch.eraser import Eraser
from mdnwatch.errors import CommitFailed, ConfigError
from mdnwatch.followups import Followups
from mdnwatch.log import configure as configure_log
from mdnwatch.mail.wanted import wanted
from mdnwatch.metrics import Metrics
from mdnwatch.model.event import Event, endpoint_event
from mdnwatch.model.event_type import EventType
from mdnwatch.model.followup import Watch
from mdnwatch.model.received import Role
from mdnwatch.outages import Outages
from mdnwatch.outbox import Outbox
from mdnwatch.pipeline import Pipeline
from mdnwatch.registrar import Registrar
from mdnwatch.sinks.base import Sink, SinkSettings
from mdnwatch.sources.base import Context, Source, SourceHealth, SourceState
from mdnwatch.sources.logins import Logins
from mdnwatch.sources.trust_settings import TrustSettings
from mdnwatch.store import event_queries
from mdnwatch.store.mark_queries import load_mark, load_names
from mdnwatch.store.sqlite import Store
from mdnwatch.unit import rules_of
from mdnwatch.unmatched import Unmatched
from mdnwatch.verification.verifier import Verifier
from mdnwatch.watchdog import Watchdog

OUTBOX = "outbox"

# Between two lines about a backfill that takes longer than this.
PROGRESS_SECONDS = 10.0


def now() -> datetime:
    """The one clock: aware UTC."""
    return datetime.now(UTC)


async def run(config: Config, path: Path | None = None) -> None:
    """Run as a service until SIGTERM or SIGINT; SIGHUP takes what the file at `path` now says.

    Raises MdnwatchError when it cannot start.
    """
    # Data, sockets and spool name people. A property of the process, so set only where the process is ours.
    os.umask(0o077)
    configure_log(config.log.level, config.log.format)
    stop, reload = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if path is not None:
        loop.add_signal_handler(signal.SIGHUP, reload.set)
    await run_until(stop, config, reload=reload, path=path)


async def run_until(
    stop: asyncio.Event,
    config: Config,
    ready: Callable[[], None] = lambda: None,
    *,
    reload: asyncio.Event | None = None,
    path: Path | None = None,
) -> None:
    """Run until `stop` is set; when `reload` is, take what the file at `path` now says.

    Raises MdnwatchError when it cannot start, and whatever defect ends a task.
    """
    # Bound at once: otherwise each line binds it anew.
    log = structlog.get_logger().bind()
    store = Store(config.state_dir)
    await store.open()
    try:
        daemon = _Daemon(config, store, log)
        try:
            await daemon.run(stop, ready, reload or asyncio.Event(), path)
        finally:
            await daemon.close()
    finally:
        await store.close()


@dataclasses.dataclass(frozen=True, slots=True)
class _Watched:
    """An account that is watched."""

    settings: AccountSettings
    source: Source
    task: asyncio.Task[None]


class _Daemon:
    """All parts of a running daemon; built once, in the order in which they need each other."""

    def __init__(self, config: Config, store: Store, log: Any) -> None:  # noqa: ANN401 - structlog's own type
        self._config, self._store, self._log = config, store, log
        self._watchdog = Watchdog()
        self._metrics = Metrics()
        self._sinks = {settings.name: _build_sink(settings) for settings in config.sinks}
        self._outbox = self._build_outbox()
        self._verifier = Verifier(_trust(config))
        self._pipeline = Pipeline(
            store,
            rules=rules_of(config),
            enqueue=self._enqueue,
            wake_outbox=self._wake_outbox,
            now=now,
            log=log,
            metrics=self._metrics,
            verify=self._verifier.verify,
            token_keys=lambda: self._registrar.token_keys,
        )
        self._logins = Logins(config.logins_per_second, config.connections_per_host)
        self._outages = Outages(
            store,
            grace=lambda: self._config.outage_grace,
            announce=self._announce,
            told=self._wake_outbox,
            now=now,
            log=log,
        )
        self._followups = Followups(
            store,
            watch=lambda: _watch_of(self._config),
            read_until=lambda: self._read_until(Role.INBOX),
            enqueue=self._enqueue,
            told=self._wake_outbox,
            now=now,
            log=log,
        )
        self._unmatched = Unmatched(
            store,
            grace=lambda: self._config.unmatched_grace,
            rules=lambda: rules_of(self._config),
            read_until=lambda: self._read_until(Role.INBOX, Role.SENT),
            enqueue=self._enqueue,
            told=self._wake_outbox,
            now=now,
            log=log,
        )
        self._watched: dict[str, _Watched] = {}
        self._reload_problems: list[str] = []
        self._answers = Answers(store, self, now)
        self._registrar = Registrar(
            store, config=lambda: self._config, enqueue=self._enqueue, told=self._wake_outbox, now=now
        )

    def _build_outbox(self) -> Outbox:
        return Outbox(
            self._store,
            self._sinks,
            now=now,
            log=self._log,
            random=random.Random(),  # noqa: S311 - spreads load, guards nothing
            announce=self._announce_sink,
            beat=self._watchdog.deadline(OUTBOX),
            metrics=self._metrics,
        )

    def _wake_outbox(self) -> None:
        # A reload may have put another one in its place.
        self._outbox.wake()
        self._answers.news()

    def _watch(self, settings: AccountSettings, group: asyncio.TaskGroup) -> None:
        """Begin to watch an account."""
        name = _task_name(settings.name)
        context = Context(
            handle=self._pipeline.handle,
            load_mark=lambda account, folder: self._store.read(lambda db: load_mark(db, account, folder)),
            load_names=lambda account, folder: self._store.read(lambda db: load_names(db, account, folder)),
            now=now,
            log=self._log.bind(account=settings.name),
            wanted=wanted,
            beat=self._watchdog.deadline(name),
            down=lambda trouble: self._outages.down(settings.name, trouble),
            up=lambda: self._outages.up(settings.name),
            logins=self._logins,
            state_dir=self._config.state_dir,
        )
        source: Source = module_of(mdnwatch.sources, settings.kind).build(settings, context)
        self._watched[settings.name] = _Watched(settings, source, group.create_task(source.run(), name=name))

    async def _unwatch(self, names: Sequence[str]) -> None:
        gone = [self._watched.pop(name) for name in names]
        await _end([watched.task for watched in gone])
        for name in names:
            self._watchdog.forget(_task_name(name))

    def _enqueue(self, db: sqlite3.Connection, event: Event, at: datetime, *, but: str | None = None) -> None:
        """A notification for each sink that wants the event, in the transaction of what it tells."""
        telling.enqueue(db, event, at, [sink.settings for sink in self._sinks.values()], but=but)

    def _announce_sink(self, db: sqlite3.Connection, kind: EventType, sink: str, since: int, reason: str) -> None:
        """A sink went down or came back (`since`: ms UTC): told to the others, since it cannot be told to itself."""
        at = now()
        event = endpoint_event(kind, sink, datetime.fromtimestamp(since / 1000, UTC), reason, at)
        self._announce(db, event, at, but=sink)

    def _announce(self, db: sqlite3.Connection, event: Event, at: datetime, *, but: str | None = None) -> None:
        """Keep an event that is about no message, and queue it, unless it has happened already."""
        if event_queries.insert_event(db, event, at):
            self._enqueue(db, event, at, but=but)

    async def run(
        self, stop: asyncio.Event, ready: Callable[[], None], reload: asyncio.Event, path: Path | None
    ) -> None:
        """Start every task; when `stop` is set end them in order: sources first, then what is still to be told."""
        await self._outages.load(settings.name for settings in self._config.accounts)
        await self._registrar.load()
        async with (
            local_api.listening(self._config.socket, self._handlers(), self._log),
            metrics_endpoint.listening(self._config.metrics, self._exposition),
            asyncio.TaskGroup() as group,
        ):
            self._outbox_task = group.create_task(self._outbox.run(), name=OUTBOX)
            for settings in self._config.accounts:
                self._watch(settings, group)
            others = [
                group.create_task(self._outages.run(), name="outages"),
                group.create_task(self._retention(), name="retention"),
                group.create_task(self._followups.run(), name="followups"),
                group.create_task(self._unmatched.run(), name="unmatched"),
                group.create_task(self._feed_watchdog(), name="watchdog"),
                group.create_task(self._tell_progress(), name="progress"),
                group.create_task(self._reload_when_told(reload, path, group), name="reload"),
            ]
            self._log.info("mdnwatch started", version=__version__, accounts=len(self._watched), sinks=len(self._sinks))
            systemd.notify(f"READY=1\nSTATUS=watching {len(self._watched)} account(s)")
            ready()
            await stop.wait()
            self._log.info("mdnwatch stopping")
            systemd.notify("STOPPING=1")
            await _end(others)
            await self._unwatch(list(self._watched))
            # Attempts in flight may end, and every outcome is recorded, before this one is over.
            await _end([self._outbox_task])

    def _handlers(self) -> dict[str, local_api.Handler]:
        """Who answers which command on the local socket."""
        deliveries = Deliveries(
            self._store,
            config=lambda: self._config,
            sinks=lambda: self._sinks,
            enable=self._enable_sink,
            wake=self._wake_outbox,
            now=now,
        )
        logins = oauth_login.handlers(lambda: self._config)
        eraser = Eraser(self._store, config=lambda: self._config, now=now)
        return {
            **self._answers.handlers,
            **self._registrar.handlers,
            **deliveries.handlers,
            **logins,
            **eraser.handlers,
        }

    async def _enable_sink(self, name: str) -> bool:
        return self._outbox.enable(name)

    async def close(self) -> None:
        """Let go of the sinks' connections."""
        for sink in self._sinks.values():
            await sink.close()

    async def _retention(self) -> None:
        await retention.run(self._store, lambda: self._config, now, self._log)

    def _read_until(self, *roles: Role) -> dict[str, datetime]:
        """Of each account that is read, until when all is handled that came into its folders of these roles."""
        found = {}
        for name, watched in self._watched.items():
            folders = [one for one in watched.source.health().folders if one.found and one.role in roles]
            times = [one.last_agreement for one in folders if one.last_agreement is not None]
            if times and len(times) == len(folders):
                found[name] = min(times)
        return found

    async def _feed_watchdog(self) -> None:
        """Tell systemd that all is alive, as long as it is: loop, writer thread, outbox and every source."""
        interval = systemd.watchdog_interval()
        while True:
            await asyncio.sleep(min(interval or self._watchdog.INTERVAL, self._watchdog.INTERVAL))
            # The writer thread proves that it lives by doing nothing; if it hangs, so does this task. A full
            # disk is not mended by a restart.
            with contextlib.suppress(CommitFailed):
                await self._store.run(lambda _db: None)
            late = self._watchdog.late()
            if late:
                self._log.error("a task stands still", tasks=late)
            elif interval is not None:
                systemd.notify("WATCHDOG=1")

    async def _tell_progress(self) -> None:
        """How far old mail is read, for whoever looks at the log or the terminal while it takes its time."""
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            for watched in self._watched.values():
                for folder in watched.source.health().folders:
                    if folder.backfill is not None:
                        words = status_lines.progress(**dataclasses.asdict(folder.backfill))
                        self._log.info(words, account=watched.settings.name, folder=folder.name)

    async def _reload_when_told(self, reload: asyncio.Event, path: Path | None, group: asyncio.TaskGroup) -> None:
        while True:
            await reload.wait()
            reload.clear()
            if path is None:
                continue
            systemd.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
            try:
                config = await asyncio.to_thread(load, path)
                await self._take_over(config, group)
                self._reload_problems = []
                self._log.info("configuration reloaded", accounts=len(config.accounts), sinks=len(config.sinks))
            except ConfigError as error:
                # The old one goes on; what is wrong with the new one stands in `status` until it is mended.
                self._reload_problems = error.problems
                self._log.error("configuration refused, the old one goes on", problems=error.problems)
            systemd.notify(f"READY=1\nSTATUS=watching {len(self._watched)} account(s)")

    async def _take_over(self, config: Config, group: asyncio.TaskGroup) -> None:
        """Make a new configuration the one in force, without touching what it leaves as it was. Raises ConfigError."""
        for name in ("state_dir", "runtime_dir", "metrics"):
            if getattr(config, name) != getattr(self._config, name):
                raise ConfigError([f"{name}: cannot change while mdnwatch runs: restart it"])
        await self._take_over_sinks(config, group)
        self._config = config
        self._pipeline.rules = rules_of(config)
        self._verifier.trust = _trust(config)
        configure_log(config.log.level, config.log.format)
        self._logins.per_second, self._logins.per_host = config.logins_per_second, config.connections_per_host
        wanted = {settings.name: settings for settings in config.accounts}
        await self._unwatch([name for name, one in self._watched.items() if _is_stale(one, wanted.get(name))])
        self._outages.keep_only(wanted)
        for name, settings in wanted.items():
            if name not in self._watched:
                self._watch(settings, group)

    async def _take_over_sinks(self, config: Config, group: asyncio.TaskGroup) -> None:
        built = {settings.name: _build_sink(settings) for settings in config.sinks}
        same = {
            name
            for name, sink in built.items()
            if (old := self._sinks.get(name)) is not None
            and (old.settings, old.identity) == (sink.settings, sink.identity)
        }
        before = self._sinks
        self._sinks = {name: before[name] if name in same else sink for name, sink in built.items()}
        unused = [built[name] for name in same]
        if set(before) - same or set(built) - same:
            await _end([self._outbox_task])
            self._outbox = self._build_outbox()
            self._outbox_task = group.create_task(self._outbox.run(), name=OUTBOX)
            unused += [sink for name, sink in before.items() if name not in same]
        for sink in unused:
            await sink.close()

    @property
    def config(self) -> Config:
        """What is in force."""
        return self._config

    @property
    def reload_problems(self) -> Sequence[str]:
        """Why a changed configuration was refused; empty where none was."""
        return self._reload_problems

    def health(self) -> Sequence[SourceHealth]:
        """How each account is doing."""
        return [watched.source.health() for watched in self._watched.values()]

    async def _exposition(self) -> bytes:
        """What Prometheus gets."""
        stored = await self._store.read(lambda db: metrics_endpoint.stored_samples(db, now()))
        samples = [
            *metrics_endpoint.source_samples(self.health()),
            *stored,
            metrics_endpoint.wal_sample(self._store.path),
        ]
        return self._metrics.exposition(samples)


def _task_name(account: str) -> str:
    return f"account {account}"


def _build_sink(settings: SinkSettings) -> Sink:
    sink: Sink = module_of(mdnwatch.sinks, settings.kind).build(settings, now=now)
    return sink


def _is_stale(watched: _Watched, wanted: AccountSettings | None) -> bool:
    """Whether an account has to be begun anew: what failed for a refused password may have got another one."""
    return watched.settings != wanted or watched.source.health().state is SourceState.DOWN


def _watch_of(config: Config) -> Watch:
    return Watch(tuple(sorted(config.overdue_after)), config.overdue_of == "all", config.watch_for)


def _trust(config: Config) -> dict[str, TrustSettings]:
    return {account.name: account for account in config.accounts if isinstance(account, TrustSettings)}


async def _end(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    # What they raise besides the cancellation is the group's to tell.
    if tasks:
        await asyncio.wait(tasks)
