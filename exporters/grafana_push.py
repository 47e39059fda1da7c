"""Dashboards, their folder and their data source, brought into a Grafana; a second time nothing changes."""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct

from exporters.base import Reason
from exporters.grafana import Connection, GrafanaError

Board = dict[str, Any]
"""A dashboard as Grafana imports it."""
NOT_FOUND, FORBIDDEN, GONE_BY = 404, 403, frozenset({409, 412})
SOURCE = "datasource"
"""The dashboards' variable for the data source."""
SOURCE_UID, SOURCE_NAME = "driftd-prometheus", "driftd Prometheus"
GIVEN = frozenset({"id", "version"})
"""Numbers of a dashboard that Grafana gives."""


class Wish(Struct, frozen=True):
    """What is to be in Grafana.

    folder: its title. datasource: the uid of a Prometheus data source, "" for whichever Grafana proposes.
    datasource_url: where the Prometheus is, for a data source that driftd is to make; "" for none.
    """

    boards: Sequence[Board]
    folder: str
    datasource: str = ""
    datasource_url: str = ""


class Done(Struct, frozen=True):
    """What became of one thing. path: where it is, below Grafana's address."""

    what: str
    change: Literal["created", "replaced", "unchanged", "not checked"]
    path: str = ""


def push(connection: Connection, wish: Wish) -> Iterator[Done]:
    """Make Grafana hold what is wished for, one thing after the other. Raises GrafanaError."""
    uid = wish.datasource
    if wish.datasource_url:
        uid = uid or SOURCE_UID
        yield _made_source(connection, uid, wish.datasource_url)
    elif uid:
        yield _known_source(connection, uid)
    folder, done = _folder(connection, wish.folder)
    yield done
    for board in wish.boards:
        yield _board(connection, pointed(board, uid), folder)


def pointed(board: Board, uid: str) -> Board:
    """Return the dashboard with its data source chosen, and without what Grafana numbers itself."""
    found = copy.deepcopy({key: value for key, value in board.items() if key not in GIVEN})
    for variable in found["templating"]["list"] if uid else ():
        if variable["name"] == SOURCE:
            variable["current"] = {"selected": False, "text": uid, "value": uid}
    return found


def _folder(connection: Connection, title: str) -> tuple[str, Done]:
    """Return the uid of the folder of this title at the root, made if need be."""
    doing = f"Grafana, folder {title}"
    there = connection.ask(doing, lambda api: api.folder.get_all_folders(), list)
    known = [f for f in there if isinstance(f, dict) and f.get("title") == title]
    if known:
        return _text(doing, known[0], "uid"), Done(f"folder {title}", "unchanged")
    made = connection.ask(doing, lambda api: api.folder.create_folder(title))
    return _text(doing, made, "uid"), Done(f"folder {title}", "created", str(made.get("url", "")))


def _board(connection: Connection, board: Board, folder: str) -> Done:
    title, uid = board["title"], board["uid"]
    doing = f"Grafana, dashboard {title}"
    known = _if_there(connection, doing, lambda api: api.dashboard.get_dashboard(uid))
    if known is not None and _same(board, known, folder):
        return Done(f"dashboard {title}", "unchanged", _path(known.get("meta", {})))
    saved = connection.ask(
        doing,
        lambda api: api.dashboard.update_dashboard(
            {"dashboard": {**board, "id": None}, "folderUid": folder, "overwrite": True, "message": "driftd"}
        ),
    )
    return Done(f"dashboard {title}", "created" if known is None else "replaced", _path(saved))


def _same(board: Board, known: Mapping[str, Any], folder: str) -> bool:
    meta = known.get("meta")
    return (
        isinstance(meta, dict) and meta.get("folderUid") == folder and _holds(known.get("dashboard"), board)
    )


def _holds(known: object, wanted: object) -> bool:
    """Tell whether all that is wanted is there; Grafana may have added keys, but no elements of lists."""
    if isinstance(wanted, dict):
        return isinstance(known, dict) and all(_holds(known.get(k), v) for k, v in wanted.items())
    if isinstance(wanted, list):
        same = isinstance(known, list) and len(known) == len(wanted)
        return same and all(_holds(k, w) for k, w in zip(known, wanted, strict=True))  # type: ignore[call-overload]
    return known == wanted


def _made_source(connection: Connection, uid: str, url: str) -> Done:
    doing, name = f"Grafana, data source {uid}", f"data source {uid}"
    known = _if_there(connection, doing, lambda api: api.datasource.get_datasource_by_uid(uid))
    wanted = {"type": "prometheus", "access": "proxy", "url": url}
    if known is None:
        new = {**wanted, "name": SOURCE_NAME, "uid": uid, "jsonData": {"httpMethod": "POST"}}
        connection.ask(doing, lambda api: api.datasource.create_datasource(new))
        return Done(name, "created")
    if _holds(known, wanted):
        return Done(name, "unchanged")
    _prometheus(doing, known)
    changed = {**known, **wanted}
    connection.ask(doing, lambda api: api.datasource.update_datasource_by_uid(uid, changed))
    return Done(name, "replaced")


def _known_source(connection: Connection, uid: str) -> Done:
    """Look for a data source that somebody else made; an editor's token may not look."""
    doing = f"Grafana, data source {uid}"
    try:
        known = connection.ask(doing, lambda api: api.datasource.get_datasource_by_uid(uid))
    except GrafanaError as error:
        if error.status == FORBIDDEN:
            return Done(f"data source {uid}", "not checked")
        raise
    _prometheus(doing, known)
    return Done(f"data source {uid}", "unchanged")


def _prometheus(doing: str, known: Mapping[str, Any]) -> None:
    if known.get("type") != "prometheus":
        raise GrafanaError(f"{doing}: it is not of type prometheus; name another uid", Reason.CLIENT_ERROR)


def _if_there(connection: Connection, doing: str, request: Any) -> dict[str, Any] | None:  # noqa: ANN401 - of the client
    try:
        found: dict[str, Any] = connection.ask(doing, request)
    except GrafanaError as error:
        if error.status == NOT_FOUND:
            return None
        raise
    return found


def _text(doing: str, answer: Mapping[str, Any], key: str) -> str:
    found = answer.get(key)
    if not isinstance(found, str) or not found:
        raise GrafanaError(f"{doing}: what answers there is not Grafana's API; correct url", Reason.PROTOCOL)
    return found


def _path(answer: Mapping[str, Any]) -> str:
    found = answer.get("url")
    return found if isinstance(found, str) else ""


def as_board(text: str) -> Board:
    """Read a dashboard's JSON."""
    board: Board = json.loads(text)
    return board
