"""NannyML on a simulated stream: its univariate drift and its missing values, with their defaults, per chunk.

A score is how many standard deviations of the reference's chunks the value lies above (missing values: above
or below) their mean. 3 is the tool's own threshold, which is checked here against the alerts it gives.
"""

import numpy as np
import pandas as pd
from nannyml import MissingValuesCalculator, UnivariateDriftCalculator
from stream import answer, read


def scores(result: pd.DataFrame, names: list[str], part: str) -> np.ndarray:
    """Return the scores of the later chunks [windows, columns]."""
    old = result["chunk_period"] == "reference"
    found = []
    for name in names:
        value = result[f"{name}{part}_value"].to_numpy(float)
        middle, spread = value[old].mean(), value[old].std()
        assert np.allclose(result[f"{name}{part}_upper_threshold"].astype(float), middle + 3 * spread), name
        score = (value - middle) / spread
        if result[f"{name}{part}_lower_threshold"].notna().any():
            score = abs(score)
        alerts = result[f"{name}{part}_alert"].to_numpy(bool)
        sure = ~old & (abs(score - 3) > 1e-9)
        assert ((score > 3) == alerts)[sure].all(), name
        found.append(score[~old])
    return np.column_stack(found)


def main() -> None:
    """Judge every window."""
    stream = read()
    names = stream.names
    frame = pd.DataFrame(stream.columns)
    frame["time"] = pd.Timestamp("2025-01-06") + pd.to_timedelta(stream.window, unit="h")
    old = stream.window < stream.reference
    chunks = {"timestamp_column_name": "time", "chunk_period": "h"}
    drift = UnivariateDriftCalculator(column_names=names, treat_as_categorical=stream.categories, **chunks)
    drift.fit(frame[old])
    answer(
        stream,
        scores(drift.calculate(frame[~old]).to_df(multilevel=False), names, "_jensen_shannon"),
        "drift",
    )
    missing = MissingValuesCalculator(column_names=names, **chunks)
    missing.fit(frame[old])
    answer(stream, scores(missing.calculate(frame[~old]).to_df(multilevel=False), names, ""), "missing")


if __name__ == "__main__":
    main()
