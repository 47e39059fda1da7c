"""`driftd demo`: a simulated service, the real daemon on its logs, and a receiver, told in plain lines."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec import Struct

from monitor.cast import Cast
from monitor.clock import Clock
from monitor.errors import DriftdError
from monitor.scrape import Reading, read_metrics
from monitor.simulate import DAY
from monitor.stage import HOST, Say, prepare
from monitor.story import acts, lesson, news, summary
from monitor.types import Micros

SPEED = 28_800
"""Seconds of event time per second of the clock: a day takes three seconds."""
TICK = 0.25
LONGEST_STEP = 1.0
LOOK_EVERY = 1.0
HEARTBEAT = 10.0
READY_WITHIN = 60.0
HTTP_OK = 200


class DemoOptions(Struct, frozen=True):
    """When what happens, in seconds.

    calm: before the first incident. shift: how long that one lasts. rest: from its end to the second one,
    which stays. seconds: when to end, None for never. seed: of the simulation.
    """

    calm: float = 60.0
    shift: float = 30.0
    rest: float = 30.0
    seconds: float | None = None
    seed: int = 7


def run_demo(say: Say, clock: Clock, options: DemoOptions | None = None) -> int:
    """Run the demo until the clock is woken or `options.seconds` are over; return the exit code.

    Whatever ends it, the programs it started are ended and its folder is removed. The caller turns
    SIGINT, SIGTERM and SIGHUP into `clock.wake()`.
    """
    options = options or DemoOptions()
    try:
        with TemporaryDirectory(prefix="driftd-demo-") as folder, ExitStack() as running:
            stage = prepare(Path(folder), options.seed, _micros(clock), say)
            show = Show(say, clock, options, Cast(stage, say, running))
            if show.start():
                show.run()
            say("stopping the daemon and the receiver ...")
    except DriftdError as error:
        say(f"the demo failed: {error}")
        return 1
    say("all stopped, the demo's folder is removed.")
    return 0


class Show:
    """The running demo: keeps the service writing, watches /metrics and the receiver, and tells."""

    def __init__(self, say: Say, clock: Clock, options: DemoOptions, cast: Cast) -> None:
        self._say = say
        self._clock = clock
        self._options = options
        self._cast = cast
        self._act, *self._acts = acts(options.calm, options.shift, options.rest)
        self._since = self._played = self._written = 0.0
        self._event = cast.stage.start
        self._taught = False
        self._caught_up = False
        self._reading = Reading()

    def start(self) -> bool:
        """Start the receiver, then the daemon, and tell where to look; False when woken first."""
        ready = self._wait_for("receiver", lambda: True)
        ready = ready and self._wait_for("daemon", lambda: self._get("/readyz") is not None)
        if ready:
            self._tell_where_to_look()
        return ready

    def _wait_for(self, name: str, answers: Callable[[], bool]) -> bool:
        begin = self._clock.monotonic()
        self._cast.start(name)
        while not (self._cast.listens(name) and answers()):
            if self._clock.monotonic() - begin > READY_WITHIN:
                said = self._cast.last_lines(name)
                raise DriftdError(f"the {name} is not ready after {READY_WITHIN:.0f} s: {said}")
            if self._clock.wait(TICK):
                return False
        return True

    def run(self) -> None:
        """Let the service write, and tell what happens, until it is time to end."""
        begin = look = beat = self._clock.monotonic()
        end = self._options.seconds if self._options.seconds is not None else float("inf")
        while (at := self._clock.monotonic() - begin) < end:
            self._write(at)
            self._cast.check()
            if begin + at >= look:
                look += LOOK_EVERY
                self._look(at)
            if begin + at >= beat + HEARTBEAT:
                beat += HEARTBEAT
                self._tell(at, f"{summary(self._reading)} (event time {_date(self._event)})")
            if self._clock.wait(TICK):
                return

    def _write(self, at: float) -> None:
        """Let the service write what it did since the last call, in which the next act may have begun."""
        step = min(at - self._written, LONGEST_STEP)
        self._written = at
        self._played += step
        if self._acts and self._played >= self._acts[0].begin:
            self._act, self._since = self._acts.pop(0), at
            self._tell(at, *self._act.says)
        self._event = self._advanced(step)
        self._cast.stage.service.write(self._event, incident=self._act.incident, concept=self._act.concept)

    def _advanced(self, seconds: float) -> Micros:
        """Move event time on, never past the clock."""
        ahead = self._event + round(seconds * SPEED * 10**6)
        now = _micros(self._clock)
        if ahead > now and not self._caught_up:
            self._caught_up = True
            self._say("the simulated time has reached the present and goes on at the clock's own pace")
        return max(self._event, min(ahead, now))

    def _look(self, at: float) -> None:
        for line in self._cast.new_lines("receiver"):
            self._tell(at, f"receiver: {line}")
        text = self._get("/metrics")
        if text is None:
            return
        before, self._reading = self._reading, read_metrics(text)
        since = f"{at - self._since:.0f} s into the {self._act.name}"
        for headline, lines in news(before, self._reading):
            self._tell(at, f"{headline}, {since}", *lines)
        learnt = [] if self._taught else lesson(self._reading)
        if learnt:
            self._taught = True
            self._tell(at, *learnt)

    def _tell(self, at: float, text: str, *more: str) -> None:
        for line in (f"t+{at:.0f}s: {text}", *more):
            self._say(line)

    def _tell_where_to_look(self) -> None:
        stage = self._cast.stage
        root = f"http://{HOST}:{stage.ports['daemon']}"
        calm, speed, window = f"{self._options.calm:.0f}", f"{SPEED:,}", DAY / 10**6 / SPEED
        for line in (
            "the daemon is ready. Where to look, from another terminal:",
            f"    {root}/metrics    what Prometheus scrapes",
            f"    {root}/readyz     200 while the daemon is ready",
            f"    driftd status --config {stage.config}",
            f"    {stage.folder}/logs    what the simulated service writes",
            f"event time runs {speed} times as fast as the clock: a window, one day, takes {window:.0f} s.",
            f"after {calm} s of calm two incidents come, one after the other; Ctrl-C ends everything.",
        ):
            self._say(line)

    def _get(self, path: str) -> str | None:
        """Return the body of a 200 answer of the daemon, None for anything else."""
        connection = HTTPConnection(HOST, self._cast.stage.ports["daemon"], timeout=2.0)
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
