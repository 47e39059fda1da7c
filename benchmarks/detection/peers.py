"""Judge the simulated streams with other tools too, and write PEERS.md beside this file.

`python -m benchmarks.detection.peers [--seeds N] [--first SEED] [--only NAME ...] [--to FILE]`, about half an
hour on one core with all of its seeds, which are in this file. NannyML and Evidently have environments of
their own (benchmarks/environments.py); river is among the development requirements.
"""

import argparse
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.detection.families import CHANGES, FAMILIES, Family
from benchmarks.detection.rules import RULES, Feature, Rule, feature, same_as_river, windows_with
from benchmarks.detection.sampling import Floats, rowwise, stream
from benchmarks.detection.tools import EVIDENTLY, NANNYML, TOOLS, Tool, quiet_limit, scored
from benchmarks.detection.trial import delay, episodes, first, outcome, watched
from benchmarks.environments import Peer, prepare

SEEDS, FIRST_SEED = 3, 1000
BUDGET = 1.0
HERE = Path(__file__).parent
TABLE = """
## {name}

| detector | setting | false episodes | no change | {changes} |
|---|---|---|---|{rule}|
"""
Found = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Case:
    """One seed of a family. onset: window of the changes, windows: how many, both after the reference.

    scores: of each tool [T, F].
    """

    family: Family
    onset: int
    windows: int
    features: Sequence[Feature]
    scores: Sequence[Floats]
    driftd: Found

    def found(self, rule: Rule, setting: float, *, mapped: bool) -> Found:
        """Return which windows have an alarm of a rule in which feature [T, F]."""
        return np.stack([self.in_feature(rule, setting, f, mapped=mapped) for f in self.features], axis=1)

    def in_feature(self, rule: Rule, setting: float, feature: Feature, *, mapped: bool) -> Found:
        """Return which windows have an alarm of a rule in one feature [T]."""
        values = feature.places if mapped else feature.values
        return windows_with(rule.alarms(values.astype(np.float64), setting), feature.window, self.windows)


@dataclass(frozen=True, eq=False)
class Line:
    """A row of a table. found: the breaches [T, F] in each seed."""

    name: str
    setting: str
    found: Sequence[Found]


def main() -> None:
    """Run the families, saying each as it is done, and write the tables."""
    options = _options()
    reasons = {peer.name: prepare(peer) for peer in (NANNYML, EVIDENTLY)}
    peers = [peer for peer in (NANNYML, EVIDENTLY) if not reasons[peer.name]]
    last = options.first + options.seeds - 1
    tables = "".join(f"\n{name} is left out, not installed: {why}\n" for name, why in reasons.items() if why)
    for family in FAMILIES:
        if not options.only or family.name in options.only:
            cases = [case(family, seed, peers) for seed in range(options.first, last + 1)]
            tables += table(cases, peers)
            text = (HERE / "peers_template.md").read_text("utf-8")
            seeds = f"{options.seeds} of each family, {options.first} to {last}"
            Path(options.to).write_text(text.replace("{seeds}", seeds) + tables, "utf-8")
            print(f"{family.name}: done", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.detection.peers")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of each family")
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="the first seed")
    parser.add_argument("--only", nargs="*", default=[], help="names of families")
    parser.add_argument("--to", default=str(HERE / "PEERS.md"))
    return parser.parse_args()


def case(family: Family, seed: int, peers: Sequence[Peer]) -> Case:
    """Draw the rows of one seed and let those judge it who need all of them at once."""
    drawn = rowwise(family, seed)
    columns = list(drawn.columns)
    features = [feature(drawn, column) for column in columns]
    same_as_river(features[0])
    reference = family.calendar.reference
    return Case(
        family,
        drawn.onset - reference,
        family.calendar.windows - reference,
        features,
        scored(drawn, columns, peers),
        by_driftd(family, seed),
    )


def table(cases: Sequence[Case], peers: Sequence[Peer]) -> str:
    """Return one family's table."""
    head = TABLE.format(
        name=cases[0].family.name, changes=" | ".join(CHANGES), rule="---|" * (len(CHANGES) - 1) + "---"
    )
    return head + "".join(f"{row(line, cases)}\n" for line in lines(cases, peers))


def lines(cases: Sequence[Case], peers: Sequence[Peer]) -> Iterator[Line]:
    """Yield everybody's breaches: with its own setting, then with one as quiet as asked for."""
    yield Line("driftd", "1 per 30 days", [case.driftd for case in cases])
    for rule in RULES:
        yield from of_rule(rule, cases)
    for place, tool in enumerate(tool for tool in TOOLS if tool.peer in peers):
        yield from of_tool(tool, [case.scores[place] for case in cases], cases[0].family.features)


def of_rule(rule: Rule, cases: Sequence[Case]) -> Iterator[Line]:
    """Yield a rule's breaches on the values as they are, and mapped; and mapped with the equal setting."""
    own, mapped = f"{rule.parameter} {rule.own:g}", f"mapped, {rule.parameter}"
    yield Line(rule.name, f"own: {own}", [case.found(rule, rule.own, mapped=False) for case in cases])
    yield Line(rule.name, f"own: mapped, {own}", [case.found(rule, rule.own, mapped=True) for case in cases])
    place = bisect_left(rule.ladder, 1, key=lambda setting: quiet(rule, setting, cases))
    if place == len(rule.ladder):
        yield Line(rule.name, f"equal: {mapped}: cannot", [])
        return
    setting = rule.ladder[place]
    found = [case.found(rule, setting, mapped=True) for case in cases]
    yield Line(rule.name, f"equal: {mapped} {setting:g}", found)


def quiet(rule: Rule, setting: float, cases: Sequence[Case]) -> bool:
    """Return whether the calm features of a stream have at most one episode on average."""
    false = 0
    for case in cases:
        for calm in case.features[: case.family.features]:
            false += episodes(case.in_feature(rule, setting, calm, mapped=True))
            if false > len(cases):
                return False
    return True


def of_tool(tool: Tool, scores: Sequence[Floats], calm: int) -> Iterator[Line]:
    """Yield a tool's breaches at its own limit, and at the lowest that is quiet enough."""
    equal = quiet_limit([each[:, :calm] for each in scores])
    for said, limit in (("own", tool.own), ("equal", equal)):
        yield Line(tool.name, f"{said}: {tool.said.format(limit)}", [each >= limit for each in scores])


def by_driftd(family: Family, seed: int) -> Found:
    """Return the breaches of the windows' null model at its budget, on the counts of the same rows."""
    return next(watched(family, stream(family, seed), (BUDGET,)))


def row(line: Line, cases: Sequence[Case]) -> str:
    """Return one row of a table."""
    if not line.found:
        return f"| {line.name} | {line.setting} |" + " |" * (2 + len(CHANGES))
    said = [outcome(c.family, c.onset, found) for c, found in zip(cases, line.found, strict=True)]
    false = sum(each.episodes for each in said) / len(said)
    late = [found[c.onset :, : c.family.features] for c, found in zip(cases, line.found, strict=True)]
    still = delay(first(column) for calm in late for column in calm.T)
    delays = (delay(each.delays[place] for each in said) for place in range(len(CHANGES)))
    return f"| {line.name} | {line.setting} | {false:.2f} | {still} | {' | '.join(delays)} |"


if __name__ == "__main__":
    main()
