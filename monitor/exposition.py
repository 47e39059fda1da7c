"""/metrics: what scrapers are given, put into words once for all who ask at the same time.

A scrape reads immutable state and takes no lock that ingesting waits for. What has not changed since the last
one is not put into words again.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import count

from msgspec import Struct

from exporters.catalog import Histogram, Sample
from exporters.negotiation import Format, preferred, wants_gzip
from exporters.packing import Packer
from exporters.prometheus import Text, Writer, pieces
from exporters.rows import Part
from monitor.core.plan import Plan
from monitor.core.state import ModelState
from monitor.core.windows import NEVER
from monitor.facts import ModelFacts, build_samples, outbox_samples, webhook_samples
from monitor.outgoing import Outbox
from monitor.registry_facts import registry_samples
from monitor.store.rejects import unkept

SECOND = 10**6
Key = tuple[str, int]


class Live(Struct, frozen=True):
    """One model as it is: committed state, and what only the running daemon knows.

    problems: each source's name, and 1 while it has a file it cannot read.
    """

    plan: Plan
    state: ModelState
    evaluation: Histogram
    problems: Sequence[tuple[str, float]]


class Moment(Struct, frozen=True):
    """All that is exported, as it is at one moment. rejects: committed entries. ok: reading goes on.

    more: what else the daemon says of itself.
    """

    models: Sequence[Live]
    rejects: Mapping[str, bytes]
    outbox: Outbox
    now_us: int
    commits: Histogram
    ok: bool
    more: Sequence[Sample] = ()


class Answer(Struct, frozen=True):
    """What a scraper gets."""

    body: bytes
    headers: Mapping[str, str]


class Exposition:
    """Answers scrapes; any number of threads may ask.

    look: returns the moment. Of all who ask while a page is being made, one makes the next and the others get
    that one too: nobody is given a page that was begun before they asked.
    """

    def __init__(self, look: Callable[[], Moment], monotonic: Callable[[], float]) -> None:
        self._look = look
        self._monotonic = monotonic
        self._making = threading.Lock()
        self._asked = count(1)
        self._change = object()
        self._current: tuple[object, int] | None = None
        self._covers = 0
        self._texts: tuple[Text, ...] = ()
        self._answers: dict[tuple[Format, bool], Answer] = {}
        self._packers: dict[Format, Packer] = {}
        self._facts: dict[str, ModelFacts] = {}
        self._written: dict[Key, tuple[Part, Writer, Text]] = {}

    def changed(self) -> None:
        """Say that something was committed: what is kept is not of now any more. Never waits."""
        self._change = object()

    def samples(self) -> list[Sample]:
        """Return every sample of now, in the same choice as the pages have."""
        with self._making:
            return [sample for _, part in self._parts(self._look()) for sample in part.each()]

    def answer(self, accept: str, accept_encoding: str) -> Answer:
        """Return the page in the format and encoding that these headers ask for."""
        form, zipped = preferred(accept), wants_gzip(accept_encoding)
        ticket = next(self._asked)
        with self._making:
            self._renew(ticket)
            known = self._answers.get((form, zipped))
            if known is None:
                known = self._answers[form, zipped] = self._answer(form, zipped=zipped)
        return known

    def _renew(self, ticket: int) -> None:
        """Put the present moment into words, unless that was done since this one asked or nothing changed."""
        now = self._change, int(self._monotonic())
        if self._covers >= ticket or now == self._current:
            return
        covers = next(self._asked)  # who asks from here on may want a later moment
        self._texts = tuple(self._write(key, part) for key, part in self._parts(self._look()))
        self._answers = {}
        self._covers, self._current = covers, now  # last: what failed half way is made anew

    def _answer(self, form: Format, *, zipped: bool) -> Answer:
        headers = {"content-type": form.value, "vary": "accept, accept-encoding"}
        found = pieces(self._texts, form)
        if not zipped:
            return Answer(b"".join(found), headers)
        packer = self._packers.setdefault(form, Packer())
        return Answer(packer.pack(found), {**headers, "content-encoding": "gzip"})

    def _write(self, key: Key, part: Part) -> Text:
        known = self._written.get(key)
        if known is None or known[0] is not part:
            writer = known[1] if known is not None else Writer()
            known = self._written[key] = part, writer, writer.text(part)
        return known[2]

    def _parts(self, moment: Moment) -> list[tuple[Key, Part]]:
        """Return all parts by what they are of; what is kept of models that are gone is let go."""
        names = {live.plan.name for live in moment.models}
        self._facts = {name: facts for name, facts in self._facts.items() if name in names}
        self._written = {key: kept for key, kept in self._written.items() if key[0] in {*names, ""}}
        found = [
            ((live.plan.name, place), part)
            for live in moment.models
            for place, part in enumerate(self._facts_of(live.plan).parts(live.state))
        ]
        return [*found, (("", 0), Part(_of_daemon(moment)))]

    def _facts_of(self, plan: Plan) -> ModelFacts:
        known = self._facts.get(plan.name)
        if known is None or known.plan is not plan:
            known = self._facts[plan.name] = ModelFacts(plan)
        return known


def _of_daemon(moment: Moment) -> list[Sample]:
    """Return what is of the running program, and of each model what its state does not hold."""
    plans = [live.plan for live in moment.models]
    found = [*webhook_samples(plans, moment.outbox), *outbox_samples(moment.outbox, moment.now_us)]
    states = {live.plan.name: live.state for live in moment.models}
    found += [*registry_samples(plans, states, moment.outbox), *build_samples(), *moment.more]
    found.append(Sample("driftd_commit_duration_seconds", (), moment.commits))
    found.append(Sample("driftd_ingest_ok", (), float(moment.ok)))
    for live in moment.models:
        name, newest = live.plan.name, live.state.book.progress.newest
        found.append(Sample("driftd_rejects_unkept_total", (name,), unkept(moment.rejects.get(name))))
        found.append(Sample("driftd_evaluation_duration_seconds", (name,), live.evaluation))
        if newest != NEVER:
            lag = max(moment.now_us - newest, 0) / SECOND
            found.append(Sample("driftd_ingest_lag_seconds", (name,), lag))
        found += [Sample("driftd_source_problem", (name, s), p) for s, p in live.problems]
    return found
