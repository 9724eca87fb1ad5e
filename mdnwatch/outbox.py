"""The outbox: due notifications go to their sinks, at least once, in order per recipient."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any, Protocol, TypeVar

from mdnwatch.errors import CommitFailed
from mdnwatch.metrics import Metrics
from mdnwatch.model.event import arrival_of
from mdnwatch.model.notification import NotificationState, Outcome, Outgoing, Verdict
from mdnwatch.model.retry import Attempt, Endpoint, Moment, Step, endpoint_after, event_delay, renewed, step_after
from mdnwatch.model.stored import to_ms
from mdnwatch.outbox_route import Route, Running
from mdnwatch.sinks.base import Sink
from mdnwatch.store import outbox_queries, outbox_units
from mdnwatch.store.outbox_queries import SinkBacklog
from mdnwatch.store.outbox_units import Announce, Ended, Leased, Turn

T = TypeVar("T")

# Seconds. The watchdog is fed, and the clock looked at, at least this often.
LONGEST_REST = 10.0

# Seconds. What ends within this time is written together, where nothing waits for it: a transaction for each would
# keep the writer thread busy, and the loop waiting for the interpreter's lock.
GATHERING = 0.01

# Seconds. A database that cannot be written is tried again after this time: a full disk is not soon mended.
COMMIT_PAUSE = 2.0

# Seconds. When the outbox stops, attempts under way get this long; the whole program has 10.
STOP_GRACE = 5.0

# Seconds. A sink keeps its own time limit; one that does not is broken off this long after it, or soon after.
SINK_MARGIN = 5.0

# Milliseconds. A clock that goes back by less is not worth a write.
CLOCK_TOLERANCE = 1000


class OutboxStore(Protocol):
    """The part of the store that the outbox needs."""

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do a unit of work in one transaction."""
        ...

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Ask the database."""
        ...


class Log(Protocol):
    """The part of a structured logger that is needed here."""

    def info(self, event: str, **fields: Any) -> Any:  # noqa: ANN401 - structlog's own type
        """One line."""
        ...

    def warning(self, event: str, **fields: Any) -> Any:  # noqa: ANN401 - structlog's own type
        """One line that a person may have to look at."""
        ...

    def error(self, event: str, **fields: Any) -> Any:  # noqa: ANN401 - structlog's own type
        """One line that a person has to look at."""
        ...


class Outbox:
    """Sends what is due, as the endpoint's back-off and the event's schedule allow; its one task is `run`."""

    def __init__(  # noqa: PLR0913 - what the wiring hands over
        self,
        store: OutboxStore,
        sinks: Mapping[str, Sink],
        *,
        now: Callable[[], datetime],
        log: Log,
        random: Random,
        announce: Announce,
        beat: Callable[[], None],
        metrics: Metrics,
        stop_grace: float = STOP_GRACE,
    ) -> None:
        """`announce` tells of sink.down and sink.up, within the transaction in which that is written.

        `beat` is called at least every LONGEST_REST seconds while the database answers. Attempts that are under
        way when the outbox is stopped get `stop_grace` seconds.
        """
        self._store = store
        self._routes = {name: Route(sink, Endpoint(name, sink.identity)) for name, sink in sinks.items()}
        self._clock = now
        self._log = log
        self._random = random
        self._announce = announce
        self._beat = beat
        self._metrics = metrics
        self._stop_grace = stop_grace
        self._stop_at: float | None = None  # in the loop's time
        self._wake = asyncio.Event()
        self._ended: list[Ended] = []
        self._gathering: asyncio.TimerHandle | None = None
        self._enabled: set[str] = set()
        self._last_now = 0

    def wake(self) -> None:
        """Something was queued and is committed. To be called in the loop's thread."""
        for route in self._routes.values():
            route.look = True
        self._wake.set()

    def enable(self, sink: str) -> bool:
        """Try an endpoint again that is down or disabled, in the next turn; whether it was. In the loop's thread."""
        route = self._routes[sink]
        if route.endpoint.down_since is None:
            return False
        self._enabled.add(sink)
        route.look = True
        self._wake.set()
        return True

    async def backlog(self) -> list[SinkBacklog]:
        """What waits for each sink, and how its endpoint is; also of sinks that are no longer configured."""
        return await self._store.read(outbox_queries.backlog)

    async def run(self) -> None:
        """Send until cancelled; then attempts under way may end, and their outcomes are recorded, before it returns.

        Raises CommitFailed when they could not be recorded: the next process then repeats them under their ids.
        """
        pump = asyncio.create_task(self._pump(), name="outbox")
        try:
            await asyncio.shield(pump)
        except asyncio.CancelledError:
            self._stop_at = asyncio.get_running_loop().time() + self._stop_grace
            self._wake.set()
            await pump
            raise

    async def _pump(self) -> None:
        try:
            await self._until_written(self._begin)
            await self._until_written(self._turn)
            while not self._is_finished():
                await self._rest()
                await self._until_written(self._turn)
        finally:
            self._gather_no_more()
            self._break_off()

    def _is_finished(self) -> bool:
        is_idle = not any(route.running or route.ready for route in self._routes.values())
        return self._stop_at is not None and not self._ended and is_idle

    def _stop_is_over(self) -> bool:
        return self._stop_at is not None and asyncio.get_running_loop().time() >= self._stop_at

    def _break_off(self) -> None:
        for route in self._routes.values():
            for task in route.running:
                task.cancel()

    def _break_off_overdue(self) -> None:
        time = asyncio.get_running_loop().time()
        for route in self._routes.values():
            for task in route.overdue(time):
                task.cancel()

    async def _until_written(self, write: Callable[[], Awaitable[None]]) -> None:
        """Nothing begins while the database cannot be written, and what has ended is kept in memory."""
        while True:
            self._beat()
            try:
                return await write()
            except (CommitFailed, sqlite3.OperationalError) as error:
                self._log.error("outbox cannot be written", error=str(error))
                if self._stop_is_over():
                    raise
            await asyncio.sleep(COMMIT_PAUSE)

    async def _begin(self) -> None:
        """Take over what an earlier process has left: its leases, and what it knew of the endpoints."""
        now = self._last_now = self._now()
        identities = {name: route.sink.identity for name, route in self._routes.items()}
        at = self._clock()
        held_until = {name: to_ms(route.sink.settings.holds_until(at)) for name, route in self._routes.items()}
        take_over = partial(outbox_units.take_over, identities=identities, held_until=held_until, now=now)
        for endpoint in await self._store.run(take_over):
            self._routes[endpoint.sink].endpoint = endpoint

    async def _turn(self) -> None:
        """Record what has ended and begin what is due, in one unit of work."""
        self._wake.clear()
        self._gather_no_more()
        self._break_off_overdue()
        await self._mind_the_clock()
        turn = self._judge()
        if not turn.steps and not turn.withdrawn and not turn.places and not turn.changed:
            return
        ended, self._ended = self._ended, []
        write = partial(
            outbox_units.write, turn=turn, announce=self._announce, delay=partial(event_delay, random=self._random)
        )
        try:
            leased = await self._store.run(write)
        except BaseException:
            self._ended = ended + self._ended
            for attempt in turn.withdrawn:
                self._routes[attempt.sink].ready.append(attempt)
                self._routes[attempt.sink].held = True
            self.wake()
            raise
        self._apply(turn, leased)

    def _judge(self) -> Turn:
        moment = Moment(self._now(), self._random)
        endpoints = {name: route.endpoint for name, route in self._routes.items()}
        steps = []
        for ended in self._ended:
            attempt, outcome, route = ended.attempt, ended.outcome, self._routes[ended.attempt.sink]
            endpoint = endpoints[attempt.sink]
            limit = route.sink.settings.give_up_after // timedelta(milliseconds=1)
            steps.append((ended, step_after(attempt, outcome, endpoint, limit, moment)))
            if outcome is not None:
                endpoints[attempt.sink] = endpoint_after(endpoint, attempt, outcome, moment)
            route.look = True
        for name in self._enabled:
            endpoints[name] = renewed(endpoints[name], endpoints[name].identity, moment.now)
        changed = [(self._routes[name].endpoint, endpoint) for name, endpoint in endpoints.items()]
        changed = [(before, after) for before, after in changed if after is not before]
        return Turn(moment.now, steps, changed, self._withdrawn(endpoints), self._places(endpoints, moment.now))

    def _withdrawn(self, endpoints: Mapping[str, Endpoint]) -> list[Attempt]:
        """What was leased, and will not begin: the endpoint is down, or the outbox stops."""
        withdrawn: list[Attempt] = []
        for name, route in self._routes.items():
            route.held = False
            if self._stop_at is not None or endpoints[name].down_since is not None:
                withdrawn += route.ready
                route.ready.clear()
        return withdrawn

    def _places(self, endpoints: Mapping[str, Endpoint], now: int) -> list[tuple[Endpoint, int]]:
        if self._stop_at is not None:
            return []
        places = []
        for name, route in self._routes.items():
            free = route.may_lease(endpoints[name], now)
            if free and route.has_due(now):
                # Unset before the database is asked: what is queued meanwhile sets it again.
                route.look = False
                places.append((endpoints[name], free))
        return places

    def _apply(self, turn: Turn, leased: Sequence[Leased]) -> None:
        """What was written becomes true in memory, too."""
        for _, after in turn.changed:
            self._routes[after.sink].endpoint = after
            self._enabled.discard(after.sink)
        for of_sink in leased:
            route = self._routes[of_sink.sink]
            route.next_due = of_sink.next_due
            route.ready.extend(of_sink.attempts)
        for route in self._routes.values():
            self._start(route)
        for ended, step in turn.steps:
            self._log_attempt(ended, step, turn.now)
        for before, after in turn.changed:
            if (before.announced, before.disabled_at) != (after.announced, after.disabled_at):
                self._log_endpoint(before, after)
                # Told to the other sinks, for which there may be something new now.
                self.wake()

    def _start(self, route: Route) -> None:
        while self._stop_at is None and route.may_begin():
            attempt = route.ready.popleft()
            deadline = asyncio.get_running_loop().time() + route.sink.settings.timeout.total_seconds() + SINK_MARGIN
            task = asyncio.create_task(self._send(route.sink, attempt))
            route.running[task] = Running(attempt, self._now(), deadline)
            task.add_done_callback(partial(self._take, route))

    async def _send(self, sink: Sink, attempt: Attempt) -> Outcome:
        notification = Outgoing(attempt.event_id, attempt.event_type, attempt.body.encode("utf-8"), attempt.number)
        try:
            return await sink.send(notification)
        except Exception as error:  # noqa: BLE001 - a defect in one sink must not stop the others; it is told
            self._log.error("sink failed", sink=attempt.sink, event_id=attempt.event_id, exc_info=error)
            return Outcome(Verdict.REJECTED, f"mdnwatch failed to send it ({type(error).__name__}): please report this")

    def _take(self, route: Route, task: asyncio.Task[Outcome]) -> None:
        running = route.running.pop(task)
        outcome: Outcome | None = None
        if not task.cancelled():
            outcome = task.result()
        elif running.deadline <= asyncio.get_running_loop().time():
            outcome = Outcome(Verdict.UNAVAILABLE, "the sink did not keep its time limit")
        self._ended.append(Ended(running.attempt, running.began_at, outcome))
        if outcome is None or outcome.verdict in (Verdict.UNAVAILABLE, Verdict.GONE):
            route.held = True
        self._start(route)
        if route.is_pressing():
            self._wake.set()
        elif self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(GATHERING, self._wake.set)

    def _gather_no_more(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None

    async def _rest(self) -> None:
        """Until an attempt ends, something is queued, or something is due."""
        now = self._now()
        due = [at for route in self._routes.values() if (at := route.wakes_at()) is not None]
        seconds = LONGEST_REST
        if self._stop_at is not None:
            seconds = max(self._stop_at - asyncio.get_running_loop().time(), 0.0)
        elif due:
            seconds = min(max(min(due) - now, 0) / 1000, LONGEST_REST)
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            if self._stop_is_over():
                self._break_off()

    def _now(self) -> int:
        return round(self._clock().timestamp() * 1000)

    async def _mind_the_clock(self) -> None:
        """When the clock was set back, everything due later is due as much earlier; set forward, it is just due."""
        now = self._now()
        by = self._last_now - now
        if by > CLOCK_TOLERANCE:
            before = [route.endpoint for route in self._routes.values()]
            for endpoint in await self._store.run(partial(outbox_units.set_back, endpoints=before, now=now, by=by)):
                self._routes[endpoint.sink].endpoint = endpoint
            self._log.warning("clock was set back", seconds=by / 1000)
            self.wake()
        self._last_now = now

    def _log_attempt(self, ended: Ended, step: Step, now: int) -> None:
        attempt, outcome = ended.attempt, ended.outcome
        fields: dict[str, Any] = {
            "sink": attempt.sink,
            "event_id": attempt.event_id,
            "type": attempt.event_type,
            "attempt": attempt.number,
            "status": outcome.status if outcome else None,
        }
        if step.state is NotificationState.DELIVERED:
            self._metrics.delivered(attempt.sink, arrival_of(attempt.body), self._clock())
            self._log.info("event delivered", **fields)
        elif step.state is NotificationState.GIVEN_UP:
            self._metrics.given_up(attempt.sink)
            self._log.warning("event given up", **fields, cause=step.last_error)
        else:
            self._metrics.retried(attempt.sink)
            # A time that has come already: it is the endpoint that is waited for.
            next_attempt = _iso(step.due_at) if step.due_at > now else "when the endpoint is back"
            self._log.warning("event not delivered", **fields, cause=step.last_error, next_attempt=next_attempt)

    def _log_endpoint(self, before: Endpoint, after: Endpoint) -> None:
        if after.disabled_at is not None:
            way_out = f"`mdnwatch sinks enable {after.sink}` when it is wanted again"
            self._log.warning("sink disabled", sink=after.sink, cause=after.reason, way_out=way_out)
        elif after.announced:
            self._log.warning("sink down", sink=after.sink, cause=after.reason, since=_iso(after.down_since))
        else:
            self._log.info("sink up", sink=after.sink, down_since=_iso(before.down_since))


def _iso(ms: int | None) -> str | None:
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
