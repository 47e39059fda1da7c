"""The status page: what it shows, in which order, with every hostile name escaped; and its policy."""

import base64
import hashlib
import re
from collections.abc import Iterable
from html.parser import HTMLParser

import pytest
from msgspec.structs import replace

from monitor.clock import ManualClock
from monitor.core.state import ModelState
from monitor.outgoing import Outbox
from monitor.responses import Ack, Desk, Report, Response, Responses, Watching
from monitor.server.page import StatusPage
from monitor.views import Views
from tests.episodes import episode, firing
from tests.lives import NOW
from tests.logs import EPOCH, MINUTE, model, plan_of
from tests.server import served

HOSTILE = "\"><script>alert(1)</script>&'{{7*7}}"
VOID = {"meta", "link", "br", "img", "input", "hr"}


class Seen(HTMLParser):
    """The page as a browser reads it: tags, attributes, text; it must be well nested."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style" and data.strip():
            self.text.append(" ".join(data.split()))

    @property
    def ids(self) -> list[str]:
        return [attrs["id"] or "" for _, attrs in self.tags if "id" in attrs]


def shown(watching: Watching, responses: Responses | None = None, problem: str = "") -> str:
    found = list(watching)
    desk = Desk(responses or {}, lambda: found, lambda _: None, lambda: 0)
    return StatusPage().render(Views(lambda: found, Outbox, desk, lambda: problem, ManualClock(NOW)).page())


def order(text: str, words: Iterable[str]) -> list[str]:
    return sorted(words, key=text.index)


def test_a_daemon_without_rows_is_calm() -> None:
    seen = Seen(shown([(plan_of(model()), ModelState("m"))]))
    assert "calm" in seen.text
    assert "nothing judged yet" in seen.text
    assert "None" not in " ".join(seen.text)


def test_models_come_worst_first() -> None:
    page = shown(
        [
            firing("calm"),
            firing("drifting", episode("ep_1"), begun=1),
            firing("harmed", episode("ep_2", "_all", "performance")),
            firing("more", episode("ep_3"), begun=2),
        ]
    )
    rows = [id_ for id_ in Seen(page).ids if id_.startswith("model-")]
    assert rows == ["model-harmed", "model-more", "model-drifting", "model-calm"]
    assert "performance lost" in page


def test_open_episodes_come_first_that_nobody_acknowledged_and_harm_before_drift() -> None:
    at = firing(
        "m",
        episode("ep_part", segment="place=north"),
        episode("ep_taken", "_all", "performance"),
        episode("ep_drift"),
        episode("ep_harm", "_all", "performance", segment="place=north"),
        episode("ep_over", "z", ended=EPOCH + MINUTE),
    )
    taken = Response(Ack("anna", "a late feed", EPOCH), (Report("finished", "run-1", "v3", EPOCH),))

    seen = Seen(shown([at], {("m", "ep_taken"): taken}))

    rows = [id_ for id_ in seen.ids if id_.startswith("ep_")]
    assert rows == ["ep_harm", "ep_drift", "ep_part", "ep_taken", "ep_over"]
    for said in ("anna", "a late feed", "finished", "v3", "nobody yet"):
        assert said in seen.text
    assert "in 1 of 1 model, 3 not acknowledged" in " ".join(seen.text)


def test_more_open_episodes_than_a_page_holds_are_counted() -> None:
    many = firing("m", *(episode(f"ep_{i}", f"x{i}") for i in range(250)))
    seen = Seen(shown([many]))
    assert len([id_ for id_ in seen.ids if id_.startswith("ep_")]) == 200
    assert "and 50 more:" in seen.text


def test_hostile_names_are_text_and_nothing_else() -> None:
    plan, state = firing("m", episode("ep_1", HOSTILE, segment=f"place={HOSTILE}"))
    counts = {(HOSTILE, "received", ""): 1}
    state = replace(state, book=replace(state.book, counts=counts))
    answered = Response(Ack(HOSTILE, HOSTILE, EPOCH), (Report("started", HOSTILE, HOSTILE, EPOCH),))

    page = shown([(plan, state)], {("m", "ep_1"): answered}, problem=HOSTILE)

    seen = Seen(page)
    plain = Seen(shown([firing("m", episode("ep_1"))]))
    assert {tag for tag, _ in seen.tags} - {tag for tag, _ in plain.tags} <= {"strong"}
    assert "script" not in {tag for tag, _ in seen.tags}
    assert " ".join(seen.text).count(HOSTILE) >= 6
    assert "49" not in page.replace("{{7*7}}", "")


def test_the_page_runs_nothing_loads_nothing_and_says_so_to_the_browser() -> None:
    page = shown([firing("m", episode("ep_1"))])
    seen = Seen(page)
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(style) == 1
    digest = base64.b64encode(hashlib.sha256(style[0].encode()).digest()).decode()
    policy = StatusPage().headers["content-security-policy"]
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for tag, attrs in seen.tags:
        assert tag not in {"script", "link", "img", "iframe", "form", "object"}
        assert not [name for name in attrs if name.startswith("on") or name in {"style", "src"}]
        assert (attrs.get("href") or "/").startswith("/")
    assert "url(" not in style[0]
    assert "@import" not in style[0]


def test_the_page_is_served_with_its_policy() -> None:
    found = [firing("m", episode("ep_1"))]
    desk = Desk({}, lambda: found, lambda _: None, lambda: 0)
    with served(views=Views(lambda: found, Outbox, desk, lambda: "", ManualClock(NOW))) as server:
        answer = server.ask("/")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert "ep_1" in Seen(answer.body.decode()).ids


@pytest.mark.parametrize("problem", ["", "state/driftd.sqlite: nothing was recorded: disk full"])
def test_what_keeps_it_from_reading_stands_at_the_top(problem: str) -> None:
    said = " ".join(Seen(shown([firing("m")], problem=problem)).text)
    assert ("Reading waits" in said) == bool(problem)
    assert problem in said
