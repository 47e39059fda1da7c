"""The configuration: strict, complete in its complaints, never a secret in them."""

import base64
import copy
import json
import re
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.config import Config, json_schema, keys
from monitor.errors import ConfigError
from monitor.grafana_token import current_token
from monitor.loading import load

BAD = sorted((Path(__file__).parent / "bad_configs").glob("*.toml"))
KEY = bytes(range(32))
ENVIRON = {
    "GOOD_SECRET": base64.b64encode(KEY).decode(),
    "SHORT_SECRET": base64.b64encode(b"short").decode(),
    "TOKEN": "token-of-ours",
}
DETECTORS = (
    "psi",
    "ks",
    "adwin",
    "ddm",
    "e_sr",
    "mmd",
    "label_shift",
    "prior_drift",
    "accuracy",
    "cost",
    "mae",
    "mcc",
    "mrr",
    "ndcg",
    "recall",
    "roc_auc",
)
EXAMPLE = Path(__file__).parents[3] / "shared" / "config.example.toml"
MINIMAL = """
[[models]]
name = "m"
columns = { prediction = "y" }
reference = { first = "30d" }
sources = [{ role = "predictions", type = "files", path = "logs/*.jsonl" }]
"""
FULL = tomllib.loads((Path(__file__).parent / "good_config.toml").read_text(encoding="utf-8"))


def toml(value: object) -> str:
    """Write a value as inline TOML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("NaN", "nan").replace("Infinity", "inf")


def write(folder: Path, raw: dict[str, Any]) -> Path:
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets/training").write_text("whsec_" + base64.b64encode(KEY[::-1]).decode() + "\n")
    (folder / "reference.parquet").touch()
    path = folder / "config.toml"
    path.write_text("".join(f"{json.dumps(k)} = {toml(v)}\n" for k, v in raw.items()), encoding="utf-8")
    return path


def places(node: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:  # noqa: ANN401  # parsed TOML
    if at:
        yield at
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in inside:
        yield from places(value, (*at, key))


def replaced(at: tuple[Any, ...], value: object) -> dict[str, Any]:
    raw: Any = copy.deepcopy(FULL)
    node = raw
    for part in at[:-1]:
        node = node[part]
    node[at[-1]] = value
    return dict(raw)


def complaints(path: Path) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(path, ENVIRON, DETECTORS)
    return caught.value.complaints


@pytest.mark.parametrize("path", BAD, ids=lambda p: p.stem)
def test_a_bad_config_gets_exactly_its_complaints(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("{folder}", str(path.parent))
    expected = [f"{path}:{line}" for line in re.findall(r"^# expect: (.*)$", text, re.MULTILINE)]

    assert expected
    assert list(complaints(path)) == expected


def test_a_full_config_is_read(tmp_path: Path) -> None:
    config = load(write(tmp_path, FULL), ENVIRON, DETECTORS)
    model = config.models[0]

    assert config.daemon.address == ("::1", 0)
    assert (config.daemon.max_line, config.daemon.rejects_max) == (65536, 0)
    assert (model.window, model.label_horizon) == (timedelta(hours=1), timedelta(days=60))
    assert model.alarms.rate == (2.0, timedelta(days=7))
    assert model.columns.score == {"low": "p_low", "mid": "p_mid", "high": "p_high"}
    assert model.monitors[1].on == ("a", "b")
    assert model.performance.costs[2] == (9.0, 4.0, -1.0)
    assert model.compare is not None
    assert (model.compare.champion, model.compare.level) == ("v1", 0.01)


def test_every_path_is_absolute_and_relative_to_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, FULL)
    monkeypatch.chdir(tmp_path)
    config = load(Path("config.toml"), ENVIRON, DETECTORS)

    assert config.daemon.state == tmp_path / "s"
    assert config.models[0].reference.path == tmp_path / "reference.parquet"
    assert [s.path for s in config.models[0].sources] == [
        f"{tmp_path}/logs/*.csv",
        "/var/log/model/*.parquet",
        f"{tmp_path}/outcomes/*.jsonl",
    ]
    assert config.webhooks["training"].secret_file == tmp_path / "secrets/training"


def test_a_folder_with_glob_characters_is_taken_literally(tmp_path: Path) -> None:
    folder = tmp_path / "a[1]*"
    (folder / "logs").mkdir(parents=True)
    (folder / "config.toml").write_text(MINIMAL)

    assert load(folder / "config.toml", {}).models[0].sources[0].path.endswith("/a[[]1][*]/logs/*.jsonl")


def test_secrets_are_decoded(tmp_path: Path) -> None:
    hooks = load(write(tmp_path, FULL), ENVIRON, DETECTORS).webhooks

    assert hooks["training"].secret.get_secret_value() == KEY[::-1]
    assert hooks["other"].secret.get_secret_value() == KEY


def test_grafanas_token_is_read_and_read_again(tmp_path: Path) -> None:
    raw = copy.deepcopy(FULL)
    del raw["exporters"]["grafana"]["token_env"]
    raw["exporters"]["grafana"]["token_file"] = "token"  # noqa: S105  # a file's name
    (tmp_path / "token").write_text("glsa_first\n")
    grafana = load(write(tmp_path, raw), ENVIRON, DETECTORS).exporters.grafana
    assert grafana is not None

    token = current_token(grafana)
    assert token() == "glsa_first"
    (tmp_path / "token").write_text("glsa_second\n")
    assert token() == "glsa_second"
    for broken in ("", "two words", "schlüssel", "x" * 5000):
        (tmp_path / "token").write_text(broken)
        assert token() == "glsa_second"
    (tmp_path / "token").unlink()
    assert token() == "glsa_second"
    assert "glsa" not in f"{grafana!r} {grafana.model_dump_json()}"


def test_without_the_extra_grafana_is_refused_by_those_who_send(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("monitor.grafana_token.available", lambda: False)
    path = write(tmp_path, FULL)

    assert complaints(path) == (
        f"{path}:exporters.grafana: needs the extra grafana, which is not installed; install driftd[grafana]",
    )
    assert load(path, None, DETECTORS).exporters.grafana is not None


def test_who_sends_nothing_needs_no_secret(tmp_path: Path) -> None:
    hooks = load(write(tmp_path, FULL), None, DETECTORS).webhooks

    assert {name: hook.secret.get_secret_value() for name, hook in hooks.items()} == dict.fromkeys(hooks, b"")


def test_a_good_config_shows_no_secret(tmp_path: Path) -> None:
    config = load(write(tmp_path, FULL), ENVIRON, DETECTORS)
    shown = f"{config!r} {config} {config.model_dump_json()} {config.webhooks!r} {json.dumps(json_schema())}"

    for key in (KEY, KEY[::-1]):
        assert base64.b64encode(key).decode() not in shown
        assert repr(key)[2:-1] not in shown
        assert key.hex() not in shown


def takes_any_text(at: tuple[str, ...]) -> bool:
    return at[-1] in {"username", "folder"} or "parameters" in at[:-1]


@pytest.mark.parametrize("at", [p for t in ("webhooks", "exporters") for p in places(FULL[t], (t,))], ids=str)
def test_a_secret_in_the_wrong_place_of_who_gets_one_is_not_printed(
    tmp_path: Path, at: tuple[str, ...]
) -> None:
    secret = base64.b64encode(b"a secret of thirty-two bytes ...").decode()

    for written in (secret, [secret], {"a": secret}):
        try:
            load(write(tmp_path, replaced(at, written)), ENVIRON, DETECTORS)
        except ConfigError as error:
            assert secret not in str(error)  # noqa: PT017  # some places take any text: no error there
        else:
            assert takes_any_text(at)


@pytest.mark.parametrize("at", [p for p in places(FULL) if isinstance(p[-1], str)], ids=str)
def test_a_marked_secret_anywhere_is_not_printed(tmp_path: Path, at: tuple[str, ...]) -> None:
    for written in ("whsec_AAAAAAAAAAAAAAAA", "https://user:whsec_AAAAAAAAAAAAAAAA@host/x"):
        try:
            load(write(tmp_path, replaced(at, written)), ENVIRON, DETECTORS)
        except ConfigError as error:
            assert "AAAAAAAA" not in str(error)  # noqa: PT017  # some places take any text: no error there


JUNK = st.recursive(
    st.none().map(lambda _: "x") | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)


@given(at=st.sampled_from(list(places(FULL))), junk=JUNK)
def test_whatever_a_key_holds_the_answer_is_a_config_or_whole_lines(
    tmp_path_factory: pytest.TempPathFactory, at: tuple[Any, ...], junk: object
) -> None:
    path = write(tmp_path_factory.getbasetemp(), replaced(at, junk))
    try:
        load(path, ENVIRON, DETECTORS)
    except ConfigError as error:
        lines = str(error).splitlines()
        assert lines == list(error.complaints)  # noqa: PT017  # some junk is right: no error there
        assert all(line.startswith(f"{path}:") for line in lines)


def test_errors_in_every_table_are_reported_at_once(tmp_path: Path) -> None:
    raw = copy.deepcopy(FULL)
    raw["daemon"]["listen"] = "nowhere"
    raw["models"][0]["window"] = "soon"
    raw["models"][0]["features"]["categorical"] = ["a"]
    raw["models"][0]["reference"] = {"path": "gone.parquet"}
    raw["models"][0]["retrain"][0]["webhook"] = "nobody"
    raw["webhooks"]["other"]["secret_env"] = "UNSET"  # noqa: S105  # a variable's name
    raw["webhooks"]["training"]["url"] = "ftp://example.org"
    found = complaints(write(tmp_path, raw))
    places_named = {line.removeprefix(f"{tmp_path}/config.toml:").split(": ")[0] for line in found}

    assert places_named == {
        "daemon.listen",
        "models[0].window",
        "models[0].features.categorical[0]",
        "models[0].reference.path",
        "models[0].retrain[0].webhook",
        "webhooks.other.secret_env",
        "webhooks.training.url",
    }


def test_a_broken_value_causes_no_second_complaint(tmp_path: Path) -> None:
    raw = replaced(("models", 0, "reference"), {"first": "3h"})
    raw["models"][0]["window"] = "2 hours"

    assert len(complaints(write(tmp_path, raw))) == 1


def test_of_the_shared_example_only_files_and_a_private_address_are_missed(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(EXAMPLE.read_bytes())

    assert {line.removeprefix(f"{path}:").partition(":")[0] for line in complaints(path)} == {
        "models[0].reference.path",
        "webhooks.training.url",
        "webhooks.training.secret_file",
        "exporters.grafana.token_file",
    }


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe", "is not UTF-8 at byte 0; save it as UTF-8"),
        (b"x = " + b"[" * 5000, "is not TOML (a number too long or tables too deep); correct the file"),
        (b"x = " + b"9" * 5000, "is not TOML (a number too long or tables too deep); correct the file"),
    ],
)
def test_a_file_that_is_no_toml_is_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(content)

    assert complaints(path) == (f"{path}: {says}",)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"

    assert complaints(path) == (
        f"{path}: cannot be read (No such file or directory); give the path with --config",
    )


def test_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("\ufeff" + MINIMAL, encoding="utf-8")
    config = load(path, {})
    model = config.models[0]

    assert config.daemon.state == tmp_path / "state"
    assert config.daemon.address == ("127.0.0.1", 9478)
    assert config.daemon.commit_every == timedelta(seconds=1)
    assert (model.task, model.window, model.lateness) == ("none", timedelta(days=1), timedelta(hours=1))
    assert model.alarms.rate == (1.0, timedelta(days=30))
    assert (model.alarms.min_effect, model.alarms.min_rows) == (0.1, 100)
    assert model.features is None
    assert model.compare is None
    assert (model.performance.matured, model.performance.tolerance) == (0.9, 0.01)
    assert (model.performance.quantiles, model.performance.k) == ((0.5,), (10,))
    assert config.webhooks == {}


def test_the_schema_knows_every_key_and_speaks_the_files_language() -> None:
    schema = json_schema()
    text = json.dumps(schema)

    assert {key.rsplit(".", 1)[-1] for key in keys()} <= set(re.findall(r'"(\w+)": \{', text))
    assert schema["$defs"]["Model"]["properties"]["window"]["default"] == "1d"
    assert schema["$defs"]["Daemon"]["properties"]["max_line"]["default"] == "1MiB"
    assert "secret" not in schema["$defs"]["Webhook"]["properties"]


def test_the_config_is_frozen(tmp_path: Path) -> None:
    config: Config = load(write(tmp_path, FULL), ENVIRON, DETECTORS)

    with pytest.raises(ValueError, match="frozen"):
        config.daemon.listen = "0.0.0.0:1"  # type: ignore[misc]  # what the test is about
