"""`driftd demo`: a simulated service, the real daemon on its logs, and a receiver, told in plain lines."""

import sys
import threading
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

from monitor.children import Child
from monitor.clock import Clock, SystemClock
from monitor.errors import DriftdError
from monitor.scrape import MonitorKey, Reading, read_metrics
from monitor.simulate import DAY, SHIFT, SHIFTED, SHIFTED_VERSION
from monitor.stage import HOST, Say, Stage, prepare
from monitor.types import Micros

SPEED = 28_800
"""Seconds of event time per second of the clock: a day takes three seconds."""
TICK = 0.25
LONGEST_STEP = 1.0
LOOK_EVERY = 1.0
HEARTBEAT = 10.0
READY_WITHIN = 60.0
MONITORS_TOLD = 6
HTTP_OK = 200


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """calm: seconds before the incident. seconds: when to end, None for never. seed: of the simulation."""

    calm: float = 60.0
    seconds: float | None = None
    seed: int = 7


def run_demo(
    say: Say, stop: threading.Event, options: DemoOptions | None = None, clock: Clock | None = None
) -> int:
    """Run the demo until `stop` is set or `options.seconds` are over; return the exit code.

    Whatever ends it, the programs it started are ended and its folder is removed. The caller turns
    SIGINT, SIGTERM and SIGHUP into `stop.set()`.
    """
    options, clock = options or DemoOptions(), clock or SystemClock()
    try:
        with TemporaryDirectory(prefix="driftd-demo-") as folder, ExitStack() as running:
            stage = prepare(Path(folder), options.seed, _micros(clock), say)
            show = Show(say, clock, options, stage)
            show.start(running)
            if show.wait_until_ready(stop):
                show.run(stop)
            say("stopping the daemon and the receiver ...")
    except DriftdError as error:
        say(f"the demo failed: {error}")
        return 1
    say("all stopped, the demo's folder is removed.")
    return 0


class Show:
    """The running demo: keeps the service writing, watches /metrics and the receiver, and tells."""

    def __init__(self, say: Say, clock: Clock, options: DemoOptions, stage: Stage) -> None:
        self._say = say
        self._clock = clock
        self._options = options
        self._stage = stage
        self._children: dict[str, Child] = {}
        self._incident: float | None = None
        self._told: frozenset[MonitorKey] = frozenset()
        self._event = stage.start
        self._written = 0.0
        self._caught_up = False
        self._reading = Reading()

    def start(self, running: ExitStack) -> None:
        """Start the receiver, then the daemon; `running` ends them in the other order."""
        python, stage = (sys.executable, "-P", "-u", "-m"), self._stage
        listener = ("--port", str(stage.receiver_port), "--secret-file", str(stage.secret))
        for name, command in (
            ("receiver", (*python, "monitor.receiver", *listener)),
            ("daemon", (*python, "monitor.cli", "run", "--config", str(stage.config))),
        ):
            child = Child(command, stage.folder / f"{name}.log")
            running.callback(child.stop)
            self._children[name] = child

    def wait_until_ready(self, stop: threading.Event) -> bool:
        """Wait for /readyz, and tell where to look; False when `stop` came first."""
        begin = self._clock.monotonic()
        while self._get("/readyz") is None:
            self._check_children()
            if self._clock.monotonic() - begin > READY_WITHIN:
                raise DriftdError(f"the daemon is not ready after {READY_WITHIN:.0f} s: {self._excuse()}")
            if stop.wait(TICK):
                return False
        self._tell_where_to_look()
        return True

    def run(self, stop: threading.Event) -> None:
        """Let the service write, and tell what happens, until it is time to end."""
        begin = look = beat = self._clock.monotonic()
        end = self._options.seconds if self._options.seconds is not None else float("inf")
        while (at := self._clock.monotonic() - begin) < end:
            self._write(at)
            self._check_children()
            if begin + at >= look:
                look += LOOK_EVERY
                self._look(at)
            if begin + at >= beat + HEARTBEAT:
                beat += HEARTBEAT
                self._tell(at, self._summary())
            if stop.wait(TICK):
                return

    def _write(self, at: float) -> None:
        if self._incident is None and at >= self._options.calm:
            self._incident = at
            self._tell(
                at,
                f"INCIDENT: features {' and '.join(SHIFTED)} of version {SHIFTED_VERSION} shift now, "
                f"by {SHIFT} standard deviations (event time {_date(self._event)})",
            )
        self._event = self._advanced(at - self._written)
        self._written = at
        self._stage.log.write(self._event, incident=self._incident is not None)

    def _advanced(self, seconds: float) -> Micros:
        """Move event time on, never past the clock; after a long halt it goes on where it stopped."""
        ahead = self._event + round(min(seconds, LONGEST_STEP) * SPEED * 10**6)
        now = _micros(self._clock)
        if ahead > now and not self._caught_up:
            self._caught_up = True
            self._say("the simulated time has reached the present and goes on at the clock's own pace")
        return max(self._event, min(ahead, now))

    def _look(self, at: float) -> None:
        for line in self._children["receiver"].new_lines():
            self._tell(at, f"receiver: {line}")
        text = self._get("/metrics")
        if text is None:
            return
        self._reading = read_metrics(text)
        news = self._reading.firing.keys() - self._told
        if news:
            self._told |= news
            self._tell_firing(at, news)

    def _tell_firing(self, at: float, news: AbstractSet[MonitorKey]) -> None:
        since = "in the calm" if self._incident is None else f"{at - self._incident:.0f} s into the incident"
        self._tell(at, f"FIRING: {len(news)} monitors on /metrics, {since}:")
        for key in sorted(news, key=lambda key: (key[1] != "all", key))[:MONITORS_TOLD]:
            version, segment, feature, detector = key
            score, threshold = self._reading.firing[key]
            where = f"version {version}, segment {segment}"
            self._say(f"    {detector} on {feature}, {where}: score {score:.3f}, threshold {threshold:.3f}")
        if len(news) > MONITORS_TOLD:
            self._say(f"    ... and {len(news) - MONITORS_TOLD} more")

    def _summary(self) -> str:
        reading, date = self._reading, _date(self._event)
        counts = (
            f"{reading.closed:,} windows closed, {len(reading.firing)} firing, {reading.stored:,} rows stored"
        )
        return f"{counts} (event time {date})"

    def _tell(self, at: float, text: str) -> None:
        self._say(f"t+{at:.0f}s: {text}")

    def _tell_where_to_look(self) -> None:
        root = f"http://{HOST}:{self._stage.daemon_port}"
        calm, speed, window = f"{self._options.calm:.0f}", f"{SPEED:,}", DAY / 10**6 / SPEED
        for line in (
            "the daemon is ready. Where to look, from another terminal:",
            f"    {root}/metrics    what Prometheus scrapes",
            f"    {root}/readyz     200 while the daemon is ready",
            f"    driftd status --config {self._stage.config}",
            f"    {self._stage.folder}/logs    what the simulated service writes",
            f"event time runs {speed} times as fast as the clock: a window, one day, takes {window:.0f} s.",
            f"an incident comes after {calm} s of calm; Ctrl-C ends everything.",
        ):
            self._say(line)

    def _check_children(self) -> None:
        for name, child in self._children.items():
            if child.ended is not None:
                raise DriftdError(f"the {name} ended (exit {child.ended}): {child.last_lines()}")

    def _excuse(self) -> str:
        return self._children["daemon"].last_lines() or "it printed nothing"

    def _get(self, path: str) -> str | None:
        """Return the body of a 200 answer of the daemon, None for anything else."""
        connection = HTTPConnection(HOST, self._stage.daemon_port, timeout=2.0)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.read().decode() if answer.status == HTTP_OK else None
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()


def _micros(clock: Clock) -> Micros:
    return int(clock.now().timestamp() * 10**6)


def _date(at: Micros) -> str:
    return datetime.fromtimestamp(at / 10**6, UTC).date().isoformat()
