"""Laws of the outbox and of retraining requests, whatever the network and the log bring."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from exporters.base import Delivered, Delivery, Reason, Refused, Retry
from monitor.core.outbox import LONGEST, SCHEDULE, Note, NoteState, after, due
from monitor.core.retrain import ClosedWindow, Firing, Outcome, RetrainState, Rule, request

START = 1_760_000_000 * 10**6
HOUR = 3600 * 10**6
WEEK = 7 * 24 * HOUR

seconds = st.none() | st.floats(0, 1e6)
deliveries: st.SearchStrategy[Delivery] = (
    st.builds(Retry, st.sampled_from(Reason), seconds)
    | st.builds(Delivered, st.integers(200, 299))
    | st.builds(Refused, st.sampled_from(Reason), st.booleans())
)
retries: st.SearchStrategy[Delivery] = st.builds(Retry, st.sampled_from(Reason), seconds)
firings = st.builds(
    Firing,
    kind=st.sampled_from(["drift", "quality"]),
    detector=st.sampled_from(["ks", "psi"]),
    feature=st.sampled_from("abc"),
    segment=st.just("all"),
    version=st.sampled_from(["v1", "v2"]),
    score=st.none() | st.floats(0, 5),
    threshold=st.none() | st.floats(0, 1),
    episode=st.sampled_from([f"ep-{i}" for i in range(8)]),
)
rules = st.builds(
    Rule,
    model=st.just("m"),
    webhook=st.just("w"),
    kinds=st.just(frozenset({"drift"})),
    cooldown=st.sampled_from([0, HOUR, 24 * HOUR]),
    max_per_week=st.integers(1, 4),
)
closes = st.lists(st.tuples(st.integers(0, 60), st.lists(firings, max_size=5)), max_size=25)
closes_and_versions = st.lists(
    st.tuples(st.integers(0, 60), st.lists(firings, max_size=5), st.booleans()), max_size=25
)


@given(st.text(max_size=20), st.lists(st.tuples(deliveries, st.integers(0, 30 * HOUR)), max_size=30))
def test_a_note_is_delivered_at_most_once_and_tried_no_more_than_the_schedule(
    note_id: str, steps: list[tuple[Delivery, int]]
) -> None:
    note, now, delivered = Note(note_id, "e", "m", "{}", 0), START, 0
    for delivery, wait in steps:
        now += wait
        if not due([note], now):
            continue
        later = after(note, delivery, now)
        delivered += later.state is NoteState.DELIVERED
        assert later.attempts == note.attempts + 1 <= len(SCHEDULE)
        assert note.next_due <= later.next_due <= now + LONGEST
        assert (later.id, later.body) == (note.id, note.body)
        note = later
    assert delivered == (note.state is NoteState.DELIVERED)


@given(st.lists(st.tuples(retries, st.integers(-HOUR, HOUR)), max_size=12))
def test_next_due_never_goes_back_when_the_clock_does(steps: list[tuple[Delivery, int]]) -> None:
    note, now = replace(Note("msg", "e", "m", "{}", 0), next_due=START), START
    for delivery, step in steps:
        now += step
        later = after(note, delivery, now)
        assert later.next_due >= note.next_due or note.next_due - now > LONGEST
        note = later


@given(
    rules,
    st.lists(firings, min_size=1, max_size=8).flatmap(lambda f: st.tuples(st.just(f), st.permutations(f))),
)
def test_a_request_does_not_depend_on_the_order_of_what_fires(
    rule: Rule, orders: tuple[list[Firing], list[Firing]]
) -> None:
    window = ClosedWindow(START, START + HOUR, "ref")
    one, other = (request(rule, RetrainState(), firing, window) for firing in orders)
    assert one == other


@given(rules, closes)
def test_cooldown_weekly_cap_and_one_request_per_episode_hold(
    rule: Rule, closes: list[tuple[int, list[Firing]]]
) -> None:
    state, end, sent, named = RetrainState(), START, list[int](), set[str]()
    for hours, firing in closes:
        end += hours * HOUR
        state, note, decision = request(rule, state, firing, ClosedWindow(end - HOUR, end, "ref"))
        wanted = {f.episode for f in firing if f.kind == "drift"}
        named &= wanted
        assert (note is not None) == (decision.outcome is Outcome.REQUESTED)
        assert (decision.outcome is Outcome.NOTHING) == (not wanted - named)
        if note is not None:
            assert not sent or end - sent[-1] >= rule.cooldown
            sent.append(end)
            named = wanted
        assert sum(end - WEEK < at for at in sent) <= rule.max_per_week
        assert state.announced == named


@given(rules, closes)
def test_a_replay_from_any_stored_state_asks_the_same(
    rule: Rule, closes: list[tuple[int, list[Firing]]]
) -> None:
    straight, stored, end = RetrainState(), RetrainState().dump(), START
    for hours, firing in closes:
        end += hours * HOUR
        window = ClosedWindow(end - HOUR, end, "ref")
        straight, note, decision = request(rule, straight, firing, window)
        loaded, again, same = request(rule, RetrainState.load(stored), firing, window)
        stored = loaded.dump()
        assert (loaded, again, same) == (straight, note, decision)


@given(rules, closes)
def test_each_held_episode_is_counted_once_per_outcome(
    rule: Rule, closes: list[tuple[int, list[Firing]]]
) -> None:
    state, end, counted = RetrainState(), START, set[tuple[Outcome, str]]()
    for hours, firing in closes:
        end += hours * HOUR
        state, _, decision = request(rule, state, firing, ClosedWindow(end - HOUR, end, "ref"))
        wanted = {f.episode for f in firing if f.kind == "drift"}
        counted = {(outcome, episode) for outcome, episode in counted if episode in wanted}
        if decision.outcome in {Outcome.COOLDOWN, Outcome.WEEKLY_CAP}:
            held = {(decision.outcome, episode) for episode in wanted - state.announced}
            assert decision.count == len(held - counted)
            counted |= held


@given(rules, closes_and_versions)
def test_only_a_version_that_came_since_the_last_request_ends_a_cooldown_and_only_once(
    rule: Rule, closes: list[tuple[int, list[Firing], bool]]
) -> None:
    state, end, sent, came = RetrainState(), START, list[int](), list[int]()
    for hours, firing, new in closes:
        end += hours * HOUR
        came += [end] * new
        window = ClosedWindow(end - HOUR, end, "ref")
        newest = max(came, default=None)
        loaded = RetrainState.load(state.dump())
        assert request(rule, loaded, firing, window, newest) == request(rule, state, firing, window, newest)
        state, note, decision = request(rule, state, firing, window, newest)
        waits = bool(sent) and end - sent[-1] < rule.cooldown
        armed = any(at > sent[-1] for at in came) if sent else False
        assert (decision.outcome is Outcome.COOLDOWN) <= (waits and not armed)
        assert (note is not None) <= (armed or not waits)
        if note is not None:
            sent.append(end)
        assert sum(end - WEEK < at for at in sent) <= rule.max_per_week
