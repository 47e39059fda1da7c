"""What the configuration may say of alibi-detect, what is refused, and what `driftd check` says of it."""

from pathlib import Path

import pytest

from detectors.alibi import ALIBI
from monitor.alibi_checks import alibi_detector_lines, alibi_lines
from monitor.core.judging import detector_names
from monitor.errors import ConfigError
from monitor.loading import load

WRONG = """
[[models]]
name = "m"

[models.columns]
prediction = "y"

[models.features]
numeric = ["a", "b"]
categorical = ["c"]
embeddings = { text = 384 }

[models.reference]
first = "30d"

[[models.sources]]
role = "predictions"
type = "files"
path = "logs/*.jsonl"

[[models.monitors]]
detector = "alibi.ks"

[[models.monitors]]
detector = "alibi.chi2"
on = ["a", "c"]

[[models.monitors]]
detector = "alibi.mmd"
parameters = { n_permutations = 10 }

[[models.monitors]]
detector = "alibi.online_cvm"
on = "numeric"
parameters = { ert = 5000 }

[[models.monitors]]
detector = "alibi.cvm"
on = "numeric"
parameters = { corection = "fdr" }

[[models.monitors]]
detector = "alibi.online_cvm"
on = "text"

[[models.monitors]]
detector = "alibi.spot_the_diff"
on = "text"

[alibi]
memory = "100MiB"
timeout = "0s"
"""
COMPLAINTS = """
alibi.timeout: "0s" is out of range; write at least "1s" and less than "1d"
alibi.memory: "100MiB" is too little for alibi-detect; write at least "512MiB"
models[0].monitors[0].on: alibi.ks takes numeric columns; write on = "numeric", or a list of them
models[0].monitors[1].on: alibi.chi2 takes categorical columns; remove a
models[0].monitors[2].parameters.n_permutations: must be a whole number from 30 to 10000
models[0].monitors[3].parameters.n_bootstraps: must be at least 10 times ert, which is 5000
models[0].monitors[4].parameters.corection: is no option of alibi.cvm; it has correction, rows
models[0].monitors[5].on: "text" is an embedding, and alibi.online_cvm takes numeric columns; write another \
detector, as alibi.mmd
"""
RIGHT = """
[[models]]
name = "m"
columns = { prediction = "y" }
features = { numeric = ["a"], categorical = ["c"] }
reference = { first = "30d" }
sources = [{ role = "predictions", type = "files", path = "logs/*.jsonl" }]

[[models.monitors]]
detector = "alibi.DETECTOR"

[alibi]
python = "env/bin/python"
"""


def test_each_mistake_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(WRONG, encoding="utf-8")

    with pytest.raises(ConfigError) as refused:
        load(path, {}, detector_names())
    said = [says.removeprefix(f"{path}:") for says in refused.value.complaints]
    assert said == COMPLAINTS.strip().split("\n")


@pytest.mark.parametrize(
    ("detector", "packages", "says"),
    [
        ("tabular", (), "ABSENT at {python}: its monitors will be errors; run `driftd alibi install`"),
        ("tabular", ("alibi_detect",), "{python}, under its own licence (docs/alibi.md)"),
        (
            "mmd",
            ("alibi_detect",),
            "{python}, NO PyTorch there, which alibi.mmd needs: run `driftd alibi install --torch`",
        ),
        ("mmd", ("alibi_detect", "torch"), "{python}, under its own licence (docs/alibi.md)"),
    ],
)
def test_check_says_whether_there_is_an_environment(
    tmp_path: Path, detector: str, packages: tuple[str, ...], says: str
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(RIGHT.replace("DETECTOR", detector), encoding="utf-8")
    for package in packages:
        (tmp_path / "env" / "lib" / "python3.11" / "site-packages" / package).mkdir(parents=True)

    python = tmp_path / "env" / "bin" / "python"
    config = load(path, {}, detector_names())
    assert list(alibi_lines(config)) == [f"alibi-detect: {says.format(python=python)}"]


def test_a_configuration_without_it_hears_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(RIGHT.replace("alibi.DETECTOR", "mmd"), encoding="utf-8")

    assert list(alibi_lines(load(path, {}, detector_names()))) == []


def test_the_list_of_detectors_has_them_all() -> None:
    assert [line.split()[0] for line in alibi_detector_lines()] == [f"alibi.{name}" for name in ALIBI]
