"""truth.csv: incidents as people write them down, and every mistake told at once."""

from pathlib import Path

import pytest

from monitor.errors import ConfigError
from monitor.truth import Incident, known_incidents, read_time, read_truth, unknown_features
from tests.histories import BEGIN, HOUR

HEADER = "model,start,end,kind,feature\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "truth.csv"
    path.write_text(text, encoding="utf-8")
    return path


def complaints(folder: Path, text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read_truth(written(folder, text))
    return [line.removeprefix(f"{folder}/") for line in caught.value.complaints]


def test_an_incident_has_what_its_line_says(tmp_path: Path) -> None:
    text = f"{HEADER}m,2026-03-01T00:00:00Z,2026-03-01T02:00:00+01:00,drift,x\n"

    assert read_truth(written(tmp_path, text)) == (
        Incident("m", BEGIN, BEGIN + HOUR, "drift", "x", "truth.csv:2"),
    )


def test_end_kind_and_feature_may_be_empty(tmp_path: Path) -> None:
    (found,) = read_truth(written(tmp_path, f"{HEADER}m,2026-03-01,,,\n"))

    assert (found.start, found.end, found.kind, found.feature) == (BEGIN, None, "", "")


def test_columns_may_come_in_any_order_with_spaces_quotes_and_blank_lines(tmp_path: Path) -> None:
    text = '\ufefffeature, kind,start,end,model\r\n\r\n"a, b",quality ,2026-03-01 00:00,,m\r\n'

    (found,) = read_truth(written(tmp_path, text))

    assert (found.feature, found.kind, found.model, found.origin) == ("a, b", "quality", "m", "truth.csv:3")


def test_a_file_with_nothing_but_a_header_knows_of_no_incident(tmp_path: Path) -> None:
    assert read_truth(written(tmp_path, HEADER)) == ()


def test_a_value_over_two_lines_does_not_shift_the_numbers_of_those_after_it(tmp_path: Path) -> None:
    text = f'{HEADER}m,2026-03-01,,,"a\nb"\nm,never,,,\n'

    assert complaints(tmp_path, text)[0].startswith("truth.csv:4: start: ")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("m,yesterday,,,", 'start: "yesterday" is not a time; write it like 2026-01-31'),
        ("m,,,,", 'start: "" is not a time; write it like 2026-01-31'),
        ("m,2026-03-01,soon,,", 'end: "soon" is not a time'),
        ("m,2026-03-02,2026-03-01,,", "end 2026-03-01 is not after start 2026-03-02; leave end empty"),
        ("m,2026-03-02,2026-03-02,,", "end 2026-03-02 is not after start"),
        (",2026-03-02,,,", "model is empty; name the model"),
        ("m,2026-03-02,,drifts,", 'kind: "drifts" is no kind of alarm; did you mean "drift"?'),
        ("m,2026-03-02,,", "has 4 values instead of 5; write model,start,end,kind,feature"),
        ("m,2026-03-02,,,,", "has 6 values instead of 5; write model,start,end,kind,feature"),
        ('m,2026-03-02,,,"x', "is not CSV (unexpected end of data); correct the line's quotes"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_what_to_do(tmp_path: Path, line: str, says: str) -> None:
    (complaint,) = complaints(tmp_path, f"{HEADER}{line}\n")

    assert complaint.startswith(f"truth.csv:2: {says}")


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    found = complaints(tmp_path, f"{HEADER}m,x,y,,\nm,2026-03-01,,,\n,2026-03-01,,no,\nm,\n")

    assert [int(line.split(":")[1]) for line in found] == [2, 2, 4, 4, 5]


@pytest.mark.parametrize("text", ["", "model,start\nm,2026-03-01\n", "m,2026-03-01,,,\n"])
def test_another_header_is_refused(tmp_path: Path, text: str) -> None:
    says = "truth.csv:1: has other columns; the first line must be model,start,end,kind,feature"

    assert complaints(tmp_path, text) == [says]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none.csv: cannot be read \(No such file or directory\); give"):
        read_truth(tmp_path / "none.csv")


def test_a_file_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    path = tmp_path / "truth.csv"
    path.write_bytes(HEADER.encode() + b"\xff\n")

    with pytest.raises(ConfigError, match=f"is not UTF-8 at byte {len(HEADER)}; save it as UTF-8"):
        read_truth(path)


def test_a_model_that_nobody_configured_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, f"{HEADER}loan,2026-03-01,,,\n")

    with pytest.raises(ConfigError, match=r'/truth.csv:2: there is no model "loan"; did you mean "loans"\?$'):
        known_incidents(path, ["cards", "loans"])
    assert len(known_incidents(path, ["loan"])) == 1


def test_without_a_file_nothing_is_known() -> None:
    assert known_incidents(None, ["m"]) == ()


def test_a_feature_that_the_model_does_not_watch_is_told() -> None:
    known = [Incident("m", 0, feature="agee", origin="truth.csv:2"), Incident("n", 0, feature="z")]

    assert unknown_features([*known, Incident("m", 0)], "m", ["age", "x"]) == [
        'truth.csv:2: m watches no feature "agee"; did you mean "age"?'
    ]


@pytest.mark.parametrize("text", ["2026-03-01", "2026-03-01T00:00Z", "2026-03-01 01:00:00+01:00"])
def test_a_time_without_a_zone_is_utc(text: str) -> None:
    assert read_time(text) == BEGIN
