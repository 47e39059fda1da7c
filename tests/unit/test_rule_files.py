"""`driftd rules write`: the shipped rules with the user's addresses in them."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from monitor.cli import main
from monitor.errors import DriftdError
from monitor.rule_files import shipped_rules, shipped_runbooks, write_rules

NAMES = ["daemon.yml", "drift.yml", "performance.yml", "quality.yml"]


def read(folder: Path) -> str:
    return "".join(path.read_text() for path in sorted(folder.glob("*.yml")))


def test_the_command_writes_rules_and_runbooks_and_says_which(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "driftd"

    ended = CliRunner().invoke(main, ["rules", "write", str(folder)])

    assert (ended.exit_code, ended.output.split()) == (0, [str(folder / name) for name in NAMES])
    pages = {p.name: p.read_bytes() for p in (folder / "runbooks").iterdir()}
    assert pages == {p.name: p.read_bytes() for p in shipped_runbooks().iterdir()}
    assert len(pages) > 20


def test_without_addresses_alerts_link_to_the_written_runbooks_and_to_no_dashboard(tmp_path: Path) -> None:
    write_rules(tmp_path)
    text = read(tmp_path)

    assert ".invalid" not in text
    assert "dashboard" not in text
    assert f"runbook_url: {tmp_path.resolve().as_uri()}/runbooks/DriftdDown.md\n" in text


def test_addresses_stand_in_every_alert(tmp_path: Path) -> None:
    write_rules(tmp_path, "https://wiki.example.org/driftd/", "https://grafana.example.org/")
    text = read(tmp_path)

    assert ".invalid" not in text
    assert text.count("runbook_url: https://wiki.example.org/driftd/Driftd") == text.count("- alert: ") > 20
    assert text.count("https://grafana.example.org/d/driftd-") == text.count("- alert: ")


def test_nothing_else_is_changed_and_nothing_else_is_touched(tmp_path: Path) -> None:
    (tmp_path / "own.yml").write_text("groups: []\n")

    write_rules(tmp_path, "https://runbooks.invalid", "https://grafana.invalid")
    write_rules(tmp_path, "https://runbooks.invalid", "https://grafana.invalid")

    assert (tmp_path / "own.yml").read_text() == "groups: []\n"
    for rules in shipped_rules():
        assert (tmp_path / rules.name).read_text() == rules.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "address", ["grafana.example.org", "https://", 'https://x/"', "https://x y", "https://{{x}}"]
)
def test_what_is_no_address_is_refused_before_anything_is_written(tmp_path: Path, address: str) -> None:
    with pytest.raises(DriftdError, match=r"^--grafana: .* is no address; write it like https://"):
        write_rules(tmp_path / "new", grafana=address)

    assert not (tmp_path / "new").exists()


def test_a_folder_that_does_not_take_them_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    ended = CliRunner().invoke(main, ["rules", "write", str(tmp_path / "file" / "below")])

    assert ended.exit_code == 1
    assert ended.output.startswith(
        f"driftd: {tmp_path / 'file' / 'below' / 'runbooks'}: the rules cannot be written: "
    )
