"""Dashboards into Grafana: a folder, a data source, nothing twice; and what is said when Grafana will not."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from exporters import grafana as module
from exporters.grafana import Grafana, GrafanaError
from exporters.grafana_push import Done, Wish, push
from monitor.dashboards import shipped_dashboards
from tests.grafana_api import TOKEN, GrafanaApi

BOARDS = [json.loads(text) for _, text in shipped_dashboards("https://wiki.example.org/runbooks")]
FAILURES: dict[str, tuple[tuple[int, Any], str]] = {
    "401": (
        (401, {"message": f"Invalid API key {TOKEN}"}),
        "Grafana does not know the token; make one for a service account (401: Invalid API key ***)",
    ),
    "403": (
        (403, {"message": "it is read only"}),
        "the token may not; give its service account the role Editor, or Admin (403: it is read only)",
    ),
    "404": (
        (404, b"<!DOCTYPE html>"),
        "there is no such thing; if it is the API that is missing, correct url (404)",
    ),
    "412": (
        (412, {"status": "version-mismatch", "message": "changed\n"}),
        "Grafana holds another one, which it does not let driftd replace (412: version-mismatch changed)",
    ),
    "422": ((422, {}), "Grafana refuses it (422)"),
    "429": ((429, {}), "Grafana asks for fewer requests; try again later (429)"),
    "500": ((500, b"oops"), "Grafana itself failed; its log says why, try again later (500)"),
    "302": (
        (302, b""),
        "it leads elsewhere, which is not followed; write the address that answers as url (302)",
    ),
    "page": ((200, b"<!DOCTYPE html>"), "what answers there is not Grafana's API; correct url"),
    "object": ((200, {"no": "list"}), "what answers there is not Grafana's API; correct url"),
}


@pytest.fixture
def api() -> Iterator[GrafanaApi]:
    with GrafanaApi() as found:
        yield found
        assert found.broken == []


def pushed(api: GrafanaApi, wish: Wish, seconds: float = 30.0, token: str = TOKEN) -> list[Done]:
    with Grafana(api.url, lambda: token, seconds).connected() as connection:
        return list(push(connection, wish))


def changes(done: list[Done]) -> set[str]:
    return {one.change for one in done}


def test_a_new_grafana_gets_everything_and_a_second_push_changes_nothing(api: GrafanaApi) -> None:
    wish = Wish(BOARDS, "Models", datasource_url="http://prometheus.example.org:9090")

    first = pushed(api, wish)
    sent = api.changes()
    again = pushed(api, wish)

    assert changes(first) == {"created"}
    assert changes(again) == {"unchanged"}
    assert (
        sent
        == api.changes()
        == [("POST", "/datasources"), ("POST", "/folders"), *[("POST", "/dashboards/db")] * 3]
    )
    assert set(api.boards) == {"driftd-fleet", "driftd-model", "driftd-daemon"}
    assert {board["meta"]["folderUid"] for board in api.boards.values()} == {api.folders[0]["uid"]}
    assert api.sources["driftd-prometheus"]["url"] == "http://prometheus.example.org:9090"
    assert [done.path for done in first if done.what == "dashboard driftd / Fleet"] == [
        "/d/driftd-fleet/driftd-fleet"
    ]


def test_what_is_saved_is_what_is_shipped_with_its_data_source_chosen(api: GrafanaApi) -> None:
    pushed(api, Wish(BOARDS, "driftd", datasource_url="http://p:9090"))

    for board in BOARDS:
        saved = api.boards[board["uid"]]["dashboard"]
        (source,) = [v for v in saved["templating"]["list"] if v["name"] == "datasource"]
        assert source["current"] == {
            "selected": False,
            "text": "driftd-prometheus",
            "value": "driftd-prometheus",
        }
        assert saved["panels"] == board["panels"]


@pytest.mark.parametrize("change", ["panel", "folder", "variable"])
def test_what_somebody_changed_is_put_right(api: GrafanaApi, change: str) -> None:
    pushed(api, Wish(BOARDS, "driftd"))
    known = api.boards["driftd-fleet"]
    if change == "panel":
        known["dashboard"]["panels"].append({"id": 99, "title": "mine"})
    elif change == "variable":
        known["dashboard"]["templating"]["list"][0]["label"] = "mine"
    else:
        known["meta"]["folderUid"] = "elsewhere"

    again = {done.what: done.change for done in pushed(api, Wish(BOARDS, "driftd"))}

    assert again.pop("dashboard driftd / Fleet") == "replaced"
    assert set(again.values()) == {"unchanged"}
    assert changes(pushed(api, Wish(BOARDS, "driftd"))) == {"unchanged"}


def test_keys_that_grafana_adds_are_no_change(api: GrafanaApi) -> None:
    pushed(api, Wish(BOARDS, "driftd"))
    for known in api.boards.values():
        known["dashboard"] |= {"version": 7, "weekStart": "", "liveNow": False}
        known["dashboard"]["panels"][0]["pluginVersion"] = "12.0.0"

    assert changes(pushed(api, Wish(BOARDS, "driftd"))) == {"unchanged"}


def test_a_folder_made_by_hand_is_used(api: GrafanaApi) -> None:
    api.folders.append({"id": 1, "uid": "by-hand", "title": "Models", "url": "/f"})

    pushed(api, Wish(BOARDS[:1], "Models"))

    assert len(api.folders) == 1
    assert next(iter(api.boards.values()))["meta"]["folderUid"] == "by-hand"


def test_a_data_source_that_moved_is_told_so_and_keeps_the_rest(api: GrafanaApi) -> None:
    pushed(api, Wish((), "driftd", datasource_url="http://old:9090"))
    api.sources["driftd-prometheus"]["jsonData"]["timeInterval"] = "15s"

    done = pushed(api, Wish((), "driftd", datasource_url="http://new:9090"))

    assert [one.change for one in done] == ["replaced", "unchanged"]
    assert api.sources["driftd-prometheus"]["url"] == "http://new:9090"
    assert api.sources["driftd-prometheus"]["jsonData"] == {"httpMethod": "POST", "timeInterval": "15s"}


def test_a_data_source_of_somebody_elses_is_chosen_and_never_changed(api: GrafanaApi) -> None:
    api.sources["mimir"] = {"id": 1, "uid": "mimir", "name": "Mimir", "type": "prometheus"}

    done = pushed(api, Wish(BOARDS, "driftd", datasource="mimir"))

    assert done[0] == Done("data source mimir", "unchanged")
    assert "mimir" in json.dumps(api.boards["driftd-fleet"]["dashboard"]["templating"])
    assert not [path for _, path in api.changes() if "datasources" in path]


def test_a_token_that_may_not_see_data_sources_can_still_choose_one(api: GrafanaApi) -> None:
    api.failing[("GET", "/datasources")] = (403, {"message": "no"})

    assert pushed(api, Wish(BOARDS[:1], "driftd", datasource="mimir"))[0].change == "not checked"
    assert len(api.boards) == 1


@pytest.mark.parametrize("url", ["", "http://new:9090"])
def test_a_data_source_of_another_kind_is_left_alone(api: GrafanaApi, url: str) -> None:
    api.sources["loki"] = {"id": 1, "uid": "loki", "name": "Loki", "type": "loki"}

    with pytest.raises(
        GrafanaError, match="data source loki: it is not of type prometheus; name another uid"
    ):
        pushed(api, Wish(BOARDS, "driftd", datasource="loki", datasource_url=url))
    assert api.changes() == []


def test_a_data_source_that_is_not_there_is_said(api: GrafanaApi) -> None:
    with pytest.raises(GrafanaError, match="data source mimir: there is no such thing"):
        pushed(api, Wish(BOARDS, "driftd", datasource="mimir"))


@pytest.mark.parametrize("name", FAILURES)
@pytest.mark.parametrize("at", ["/folders", "/dashboards"])
def test_each_failure_is_one_line_without_the_token(api: GrafanaApi, name: str, at: str) -> None:
    given, says = FAILURES[name]
    api.failing[("GET" if at == "/folders" else "POST", at)] = given
    if name == "object" and at == "/dashboards":
        api.failing[("POST", at)] = (200, ["no object"])
    doing = "folder driftd" if at == "/folders" else f"dashboard {BOARDS[0]['title']}"

    with pytest.raises(GrafanaError) as caught:
        pushed(api, Wish(BOARDS, "driftd"))

    assert str(caught.value) == f"Grafana, {doing}: {says}"


def test_a_wrong_token_is_known_by_the_header(api: GrafanaApi) -> None:
    with pytest.raises(GrafanaError, match="does not know the token"):
        pushed(api, Wish(BOARDS, "driftd"), token=TOKEN[::-1])
    assert api.asked == []


def test_a_grafana_that_hangs_is_given_up(api: GrafanaApi) -> None:
    api.failing[("GET", "/folders")] = threading.Event()

    with pytest.raises(GrafanaError, match="folder driftd: no answer in time; try again later"):
        pushed(api, Wish(BOARDS, "driftd"), seconds=0.2)


@pytest.mark.parametrize("part", ["head", "body"])
def test_a_grafana_that_speaks_a_byte_at_a_time_is_given_up(part: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=trickle, args=(listening, part), daemon=True).start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        with (
            pytest.raises(GrafanaError) as caught,
            Grafana(url, lambda: TOKEN, 0.5).connected() as connection,
        ):
            list(push(connection, Wish(BOARDS, "driftd")))

    assert re.fullmatch(
        "Grafana, folder driftd: no (whole )?answer in time; try again later", str(caught.value)
    )


def trickle(listening: socket.socket, part: str) -> None:
    """Answer one request, the head or the body one byte at a time until nobody listens."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9999\r\n\r\n"
    with listening.accept()[0] as client, suppress(OSError):
        client.recv(65_536)
        if part == "body":
            client.sendall(head)
        for byte in head * 9999:
            client.sendall(bytes([byte]))
            time.sleep(0.1)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1:9", "nobody listens there; start Grafana or correct url"),
        ("http://[::1]:9/grafana", "nobody listens there; start Grafana or correct url"),
        ("http://grafana.invalid", "the host's name has no address; correct url"),
    ],
)
def test_a_grafana_that_is_not_there_is_one_line(url: str, says: str) -> None:
    with pytest.raises(GrafanaError) as caught, Grafana(url, lambda: TOKEN, 5.0).connected() as connection:
        list(push(connection, Wish(BOARDS, "driftd")))
    assert str(caught.value) == f"Grafana, folder driftd: {says}"


def test_https_that_is_none_is_said(api: GrafanaApi) -> None:
    url = api.url.replace("http://", "https://")
    with pytest.raises(GrafanaError) as caught, Grafana(url, lambda: TOKEN, 5.0).connected() as connection:
        list(push(connection, Wish(BOARDS, "driftd")))
    assert str(caught.value).startswith("Grafana, folder driftd: no TLS")


def test_an_answer_without_an_end_is_not_read(api: GrafanaApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RESPONSE_BYTES", 1000)
    api.failing[("GET", "/folders")] = (200, b" " * 5000)

    with pytest.raises(GrafanaError, match="the answer is too long for Grafana's; correct url"):
        pushed(api, Wish(BOARDS, "driftd"))


@pytest.mark.parametrize("prefix", ["", "/grafana", "/a/b"])
def test_a_grafana_below_a_path_is_asked_there(prefix: str) -> None:
    with GrafanaApi(prefix=prefix) as api:
        assert changes(pushed(api, Wish(BOARDS, "driftd"))) == {"created"}
        assert changes(pushed(api, Wish(BOARDS, "driftd"))) == {"unchanged"}
        assert api.broken == []


def test_nothing_of_the_environment_is_used(
    api: GrafanaApi, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password mine\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("GRAFANA_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("GRAFANA_TOKEN", "another")

    assert changes(pushed(api, Wish(BOARDS[:1], "driftd"))) == {"created"}


def test_the_token_is_asked_for_each_time(api: GrafanaApi) -> None:
    tokens = iter([TOKEN, TOKEN[::-1]])
    grafana = Grafana(api.url, lambda: next(tokens), 30.0)
    for _ in range(2):
        with grafana.connected() as connection:
            list(push(connection, Wish((), "driftd")))
        api.token = TOKEN[::-1]
    assert TOKEN not in repr(grafana)
    assert TOKEN not in repr(connection)


def test_without_the_extra_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with (
        pytest.raises(GrafanaError, match=r"needs the extra grafana, .*; install driftd\[grafana\]"),
        Grafana("http://127.0.0.1:9", lambda: TOKEN, 1.0).connected(),
    ):
        pass
