"""--inject as it is written, and what it means for one model."""

import pytest
from msgspec.structs import replace

from monitor.core.reference import Baseline
from monitor.core.schema import Schema
from monitor.errors import ConfigError
from monitor.injection import Change, How, Injection, What, change_of, concerns, parse_injection
from tests.histories import BEGIN, HOUR
from tests.logs import model, reference, schema_for

MADE = model()
SCHEMA = schema_for(MADE)
FROM = "from=2026-03-01T00:00:00Z"


def change(text: str, schema: Schema = SCHEMA, baseline: Baseline | None = None) -> Change:
    return change_of(parse_injection(f"{text} {FROM}"), schema, baseline or reference(MADE))


def refusal(text: str, schema: Schema = SCHEMA) -> str:
    with pytest.raises(ConfigError) as caught:
        change(text, schema)
    (line,) = caught.value.complaints
    return line.partition(f'{FROM}": ')[2]


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("shift=0.25sd", What(How.SHIFT, 0.25, in_sd=True)),
        ("shift=-3", What(How.SHIFT, -3.0)),
        ("shift=+.5sd", None),
        ("scale=1.5", What(How.SCALE, 1.5)),
        ("share=red:+5%", What(How.SHARE, 0.05, value="red")),
        ("share='a: b':-2.5%", What(How.SHARE, -0.025, value="a: b")),
        ("null=+2%", What(How.NULL, 0.02)),
        ("null=100%", What(How.NULL, 1.0)),
    ],
)
def test_a_change_is_read_as_it_is_written(how: str, what: What | None) -> None:
    text = f"feature=x {how} {FROM}"
    if what is None:
        with pytest.raises(ConfigError):
            parse_injection(text)
        return

    assert parse_injection(text) == Injection(text, "x", what, BEGIN)


def test_an_end_and_a_model_may_be_named() -> None:
    found = parse_injection(f'feature="monthly income" scale=2 {FROM} to=2026-03-01T01:00:00Z model=m')

    assert (found.feature, found.end, found.model) == ("monthly income", BEGIN + HOUR, "m")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"shift=1 {FROM}", "needs feature=...; write it like"),
        ("feature=x shift=1", "needs from=...; write it like"),
        (f"feature=x {FROM}", "needs one of shift=0.25sd or shift=-3, scale=1.5, share=red:+5%, null=+2%"),
        (f"feature=x shift=1 scale=2 {FROM}", "needs one of"),
        (f"feature=x shift=much {FROM}", 'shift: "much" is not understood; write shift=0.25sd or shift=-3'),
        (f"feature=x shift=0 {FROM}", 'shift: "0" is not understood'),
        (f"feature=x scale=-1 {FROM}", 'scale: "-1" is not understood'),
        (f"feature=x null=101% {FROM}", 'null: "101%" is not understood; write null=+2%'),
        (f"feature=x null=-1% {FROM}", 'null: "-1%" is not understood'),
        (f"feature=x share=red:5% {FROM}", 'share: "red:5%" is not understood; write share=red:+5%'),
        ("feature=x shift=1 from=then", 'from: "then" is not a time; write it like 2026-01-31'),
        (f"feature=x shift=1 {FROM} to=2026-03-01", "to is not after from; leave it out"),
        (f"feature=x shif=1 null=1% {FROM}", 'has no key "shif"; did you mean "shift"?'),
        ('feature="x', "no closing quotation; write it like"),
    ],
)
def test_a_mistake_is_told_with_what_to_do(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_injection(text)

    (complaint,) = caught.value.complaints
    assert complaint.startswith(f'--inject "{text}": {says}')


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_injection("shift=x from=then colour=red")

    assert len(caught.value.complaints) == 4


def test_an_injection_concerns_the_models_that_watch_its_feature() -> None:
    wish = parse_injection(f"feature=x scale=2 {FROM}")

    assert concerns(wish, "m", SCHEMA)
    assert not concerns(replace(wish, model="other"), "m", SCHEMA)
    assert not concerns(replace(wish, feature="y"), "m", SCHEMA)


def test_standard_deviations_are_the_references() -> None:
    (grid,) = reference(MADE).grid.numeric

    assert change("feature=x shift=0.5sd").amount == pytest.approx(0.5 * grid.sd)
    assert change("feature=x shift=0.5").amount == 0.5


def test_points_of_a_share_become_the_chance_of_the_rows_that_can_change() -> None:
    profile = reference(MADE).profiles["all"]
    grid = reference(MADE).grid.categorical[0]
    cells = profile.cells[reference(MADE).grid.slices["colour"]]
    red = int(cells[grid.categories.index("red")]) / profile.rows

    assert change("feature=colour share=red:+5%").amount == pytest.approx(0.05 / (1 - red))
    fewer = change("feature=colour share=red:-5%")
    assert fewer.amount == pytest.approx(0.05 / red)
    assert (fewer.others, fewer.odds) == (("blue",), (1.0,))
    assert change("feature=colour share=green:+5%").amount == pytest.approx(0.05)


def test_missing_values_are_points_of_all_rows() -> None:
    assert change("feature=x null=+2%").amount == pytest.approx(0.02)
    assert change("feature=colour null=+2%").column == "colour"


def test_a_canonical_name_changes_the_column_of_the_log() -> None:
    columns = MADE.columns.model_copy(update={"score": "p"})
    schema = Schema(columns, ("x",), ("colour",), "binary")

    assert change("feature=score shift=0.1", schema).column == "p"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("feature=colour shift=1", "colour is a category; use share or null"),
        ("feature=colour scale=2", "colour is a category; use share or null"),
        ("feature=x share=1:+5%", "x is a number; use shift, scale or null"),
    ],
)
def test_a_change_that_does_not_fit_the_feature_is_refused(text: str, says: str) -> None:
    assert refusal(text) == says


def test_more_points_than_there_are_rows_are_refused() -> None:
    assert "of the rows can change so; choose less" in refusal("feature=colour share=red:+90%")


def test_a_number_that_is_text_as_well_is_refused() -> None:
    schema = replace(SCHEMA, numeric=("x", "place"))

    assert refusal("feature=place shift=1", schema) == "place is read as text as well; choose another feature"


def test_what_needs_a_reference_is_refused_without_one() -> None:
    wishes = {how: parse_injection(f"feature=x {how} {FROM}") for how in ("shift=1sd", "null=1%", "shift=1")}

    with pytest.raises(ConfigError, match="needs a reference file; the first part of the log is known too"):
        change_of(wishes["shift=1sd"], SCHEMA, None)
    with pytest.raises(ConfigError, match="needs a reference file"):
        change_of(wishes["null=1%"], SCHEMA, None)
    assert change_of(wishes["shift=1"], SCHEMA, None).amount == 1


def test_an_injection_is_an_incident_of_its_own() -> None:
    wish = parse_injection(f"feature=x scale=2 {FROM} to=2026-03-02")
    found = wish.incident("m")

    assert (found.model, found.start, found.end, found.feature) == ("m", wish.start, wish.end, "x")
    assert found.exact
    assert (found.kind, found.origin) == ("", f"inject feature=x scale=2 {FROM} to=2026-03-02")
