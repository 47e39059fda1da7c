"""The API's requests: strict bodies, limits, one line for each error, one audit line for each write."""

import json
from pathlib import Path
from typing import Any

import pytest

from monitor.server.api import Api
from monitor.server.bodies import AckBody, RetrainBody
from monitor.web import Web
from tests.server import BEARER, TOKEN, FakeDesk, Served, served

ACK = {"who": "anna", "why": "late feed"}
ONE = "/api/v1/episodes/ep_1"
OPENAPI = Path(__file__).parents[2] / "monitor" / "server" / "openapi.json"


@pytest.fixture
def server(tmp_path: Path) -> Any:  # noqa: ANN401 - a fixture that yields Served
    (tmp_path / "ci").write_text(TOKEN)
    with served(Web(token_files=(tmp_path / "ci",), open=("health", "metrics", "status"))) as running:
        yield running


def test_an_acknowledgement_reaches_the_desk(server: Served) -> None:
    answer = server.ask(f"{ONE}/ack", ACK, TOKEN)
    assert answer.status == 200
    assert json.loads(answer.body) == {"id": "ep_1", "asked": [["ack", "anna", "late feed"]]}
    assert answer.headers["cache-control"] == "no-store"
    ((event, said),) = server.told.lines
    assert event == "write"
    expected = {"method": "POST", "path": f"{ONE}/ack", "status": 200, "by": "ci", "client": "127.0.0.1"}
    assert said == expected


def test_a_report_reaches_the_desk_with_and_without_a_version(server: Served) -> None:
    assert server.ask(f"{ONE}/retrain", {"state": "started", "run": "r1"}, TOKEN).status == 200
    finished = {"state": "finished", "run": "r1", "version": "v3"}
    assert server.ask(f"{ONE}/retrain", finished, TOKEN).status == 200
    assert server.desk.asked == [("started", "r1", ""), ("finished", "r1", "v3")]


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("ack", b"", "the body is not JSON"),
        ("ack", b"{", "the body is not JSON"),
        ("ack", b"\xff", "the body is not JSON"),
        ("ack", b"[]", "the body must be an object"),
        ("ack", {"who": "anna"}, "why is missing"),
        ("ack", {}, "who is missing; why is missing"),
        ("ack", {**ACK, "when": "now"}, "when is not known"),
        ("ack", {**ACK, "who": 7}, "who must be text"),
        ("ack", {**ACK, "who": ""}, "who is empty"),
        ("ack", {**ACK, "who": "a\nb"}, "who has control characters"),
        ("ack", {**ACK, "who": "a" * 201}, "who is too long"),
        ("retrain", {"run": "r"}, "state is missing"),
        ("retrain", {"state": "begun", "run": "r"}, "state is not right"),
        ("retrain", {"state": "started", "run": "r", "version": None}, "version must be text"),
    ],
)
def test_a_wrong_body_is_named_in_one_line(server: Served, path: str, body: object, says: str) -> None:
    answer = server.ask(f"{ONE}/{path}", body, TOKEN)
    assert answer.status == 400
    assert says in answer.error
    assert server.desk.asked == []
    assert [said["status"] for _, said in server.told.lines] == [400]


def test_a_body_larger_than_16_kib_is_refused_however_it_comes(server: Served) -> None:
    large = json.dumps({**ACK, "why": "x" * 16_384}).encode()
    assert server.ask(f"{ONE}/ack", large, TOKEN).status == 413
    chunked = (f"{ONE}/ack", large, TOKEN, {"transfer-encoding": "chunked"})
    assert server.ask(*chunked).status in {400, 413}
    with server.connect() as client:
        head = f"POST {ONE}/ack HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n"
        client.sendall(f"{head}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        client.sendall((b"1000\r\n" + b" " * 4096 + b"\r\n") * 5)
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")
    assert server.desk.asked == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_only_json_is_taken(server: Served, kind: str) -> None:
    assert server.ask(f"{ONE}/ack", ACK, TOKEN, {"content-type": kind}).status == 415


def test_json_with_a_charset_is_json(server: Served) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert server.ask(f"{ONE}/ack", ACK, TOKEN, headers).status == 200


def test_what_the_desk_refuses_has_its_status(server: Served) -> None:
    assert server.ask("/api/v1/episodes/ep_2/ack", ACK, TOKEN).status == 404
    taken = server.ask(f"{ONE}/ack", {**ACK, "who": "other"}, TOKEN)
    assert (taken.status, taken.error) == (409, "acknowledged by anna already")
    server.desk.broken = True
    assert server.ask(f"{ONE}/ack", ACK, TOKEN).status == 503
    assert [said["status"] for _, said in server.told.lines] == [404, 409, 503]


def test_episodes_are_listed_and_chosen(server: Served) -> None:
    def ids(query: str) -> list[str]:
        return [e["id"] for e in json.loads(server.ask(f"/api/v1/episodes{query}").body)["episodes"]]

    assert ids("") == ["ep_1", "ep_0"]
    assert ids("?state=firing") == ids("?model=m") == ["ep_1"]
    assert ids("?state=ended&model=m") == []
    assert server.ask("/api/v1/episodes?state=odd").status == 400
    assert "unknown parameter page" in server.ask("/api/v1/episodes?page=2").error
    assert server.ask(ONE).status == 200
    assert server.ask("/api/v1/episodes/..%2f").status == 404
    assert server.ask(f"{ONE}/ack").status == 405


def test_the_openapi_document_says_what_is_there() -> None:
    document = json.loads(OPENAPI.read_text(encoding="utf-8"))
    routes = {r.path: r.methods for r in Api(FakeDesk(), dict).routes()}
    del routes["/api/v1/openapi.json"]

    assert {path: set(item) for path, item in document["paths"].items()} == {
        path: {m.lower() for m in methods or () if m != "HEAD"} for path, methods in routes.items()
    }
    for name, body in (("Ack", AckBody), ("Retrain", RetrainBody)):
        written, real = document["components"]["schemas"][name], body.model_json_schema()
        assert written["required"] == real["required"]
        assert set(written["properties"]) == set(real["properties"])
        for key, field in real["properties"].items():
            kept = ("maxLength", "minLength", "enum", "default")
            assert {k: v for k, v in field.items() if k in kept} == {
                k: v for k, v in written["properties"][key].items() if k in kept
            }


def test_the_openapi_document_is_served(server: Served) -> None:
    assert json.loads(server.ask("/api/v1/openapi.json").body)["openapi"].startswith("3.")


def test_every_write_is_audited_wherever_it_ends(server: Served) -> None:
    asked = [
        ("POST", "/-/reload", 200),
        ("POST", "/nowhere", 404),
        ("POST", "/metrics", 405),
        ("DELETE", ONE, 405),
        ("PUT", f"{ONE}/ack", 405),
        ("X" * 50, "/" + "y" * 300, 404),
    ]
    for method, path, status in asked:
        assert server.ask(path, headers=BEARER, method=method).status == status
    assert server.ask("/metrics").status == 200
    told = [
        (event, said["method"], said["path"], said["status"], said["by"]) for event, said in server.told.lines
    ]
    assert told == [("write", method[:20], path[:200], status, "ci") for method, path, status in asked]


def test_a_write_that_ends_in_a_fault_is_audited_too(tmp_path: Path) -> None:
    def broken() -> tuple[str, ...]:
        raise LookupError("ours")

    (tmp_path / "ci").write_text(TOKEN)
    with served(Web(token_files=(tmp_path / "ci",)), reload=broken) as running:
        assert running.ask("/-/reload", headers=BEARER, method="POST").status == 500
    assert [said["status"] for _, said in running.told.lines] == [500]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"content-type": "application/json"}, 200),
        ({"content-type": "application/json", "origin": "https://driftd.example"}, 200),
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"origin": "https://elsewhere.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_no_web_page_can_have_a_browser_reload(server: Served, headers: dict[str, str], status: int) -> None:
    assert server.ask("/-/reload", headers={**BEARER, **headers}, method="POST").status == status
