"""Two configurations side by side, for a pull request."""

from msgspec.structs import replace

from monitor.backtest_compare import Side, as_markdown, only_in
from tests.histories import HOURLY, Alarm, at, incident, replayed
from tests.logs import model, plan_of


def compared(*sides: Side) -> list[str]:
    return as_markdown(*sides).splitlines()


def test_numbers_stand_side_by_side() -> None:
    mine, theirs = replayed(Alarm(1, 2), Alarm(5)), replayed(Alarm(1, 2))
    lines = compared(Side("new.toml", [mine]), Side("main/old.toml", [theirs]))

    assert lines[0] == "## Backtest: `new.toml` against `main/old.toml`"
    assert lines[2] == "### m"
    assert "|  | `new.toml` | `main/old.toml` |" in lines
    assert "| windows | 720 of 1h | 720 of 1h |" in lines
    assert "| false alarms | 2, 2.00 per 30d | 1, 1.00 per 30d |" in lines
    assert "| tickets | x 2 | x 1 |" in lines


def test_it_says_what_a_false_alarm_is() -> None:
    nothing, known = replayed(), replayed(known=(incident(1),))

    assert "False alarms: episodes, as if nothing was wrong; their number, and" in as_markdown(
        Side("a", [nothing]), Side("b", [nothing])
    )
    assert "False alarms: episodes that touch no known incident; their number" in as_markdown(
        Side("a", [known]), Side("b", [known])
    )


def test_delays_stand_side_by_side() -> None:
    known = (incident(10, feature="x"),)
    lines = compared(
        Side("a", [replayed(Alarm(10), known=known)]), Side("b", [replayed(Alarm(1), known=known)])
    )

    (row,) = [line for line in lines if line.startswith("| from")]
    one, other = row.split(" | ")[1:]
    assert one == "found after 0 windows, 1h, by x ks [all] (ep_x_ks_all_10)"
    assert other == "NOT FOUND (x ks ep_x_ks_all_1 was firing already) |"


def test_an_incident_of_one_side_alone_has_a_dash_on_the_other() -> None:
    lines = compared(Side("a", [replayed(known=(incident(10),))]), Side("b", [replayed()]))

    assert "| from 2026-03-01T10:00:00Z on (truth.csv:2) | NOT FOUND | - |" in lines


def test_without_incidents_there_is_no_table_of_them() -> None:
    assert "**Known incidents**" not in compared(Side("a", [replayed()]), Side("b", [replayed()]))


def test_episodes_of_one_side_alone_are_listed() -> None:
    mine, theirs = replayed(Alarm(1, 2), Alarm(5)), replayed(Alarm(1, 2))
    lines = compared(Side("a", [mine]), Side("b", [theirs]))

    at_a = lines.index("**Episodes only in `a`**: 1")
    assert lines[at_a + 2] == "| started | ended | kind | monitor | score / threshold |"
    assert lines[at_a + 4] == "| 2026-03-01T05:00:00Z | firing | drift | x ks [all v1] | 0.5 / 0.25 |"
    assert lines[-1] == "**Episodes only in `b`**: 0"


def test_a_long_list_is_cut() -> None:
    mine = replayed(*(Alarm(i, i + 1) for i in range(33)))
    lines = compared(Side("a", [mine]), Side("b", [replayed()]))

    assert sum("0.5 / 0.25" in line for line in lines) == 30
    assert "... and 3 more." in lines


def test_episodes_of_the_same_monitor_at_the_same_time_are_the_same() -> None:
    mine = tuple(a.episode for a in (Alarm(1, 3), Alarm(5, 6), Alarm(8), Alarm(2, 3, segment="a=1")))
    theirs = tuple(a.episode for a in (Alarm(2, 4), Alarm(6, 7), Alarm(9, 10)))

    assert [(e.started, e.key.segment) for e in only_in(mine, theirs)] == [
        (at(5), "all"),
        (at(2), "a=1"),
    ]


def test_a_model_of_one_side_alone_is_named() -> None:
    other = replace(HOURLY, model=model(name="other"))
    lines = compared(Side("a", [replayed()]), Side("b", [replayed(), replace(replayed(), plan=other)]))

    assert lines[-3:] == ["### other", "", "Only in `b`."]


def test_what_markdown_would_take_for_its_own_is_escaped() -> None:
    mine = replayed(Alarm(1, feature="a|b_c", segment="_d_=<e>`*"))
    named = replace(mine, plan=plan_of(model(name="a_b.c")))
    lines = compared(Side("`a`", [named]), Side("b", [named]))

    assert lines[0] == "## Backtest: `a` against `b`"
    lines = compared(Side("a", [mine]), Side("b", [replayed()]))
    assert r"| a\|b_c ks [\_d\_=\<e>\`\* v1] |" in next(line for line in lines if "firing" in line)
