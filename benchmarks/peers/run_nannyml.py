"""NannyML: the UnivariateDriftCalculator with hourly chunks and its default, the Jensen-Shannon distance.

The calculator takes the whole analysis frame at once and cuts it into chunks itself.
"""

import pandas as pd
from job import CATEGORICAL, TIME, WATCHED, Stopwatch, begin, finish, read_job
from nannyml import UnivariateDriftCalculator


def main() -> None:
    """Judge every window and report."""
    job = read_job()
    answer = begin("nannyml", "Jensen-Shannon distance per hourly chunk, the whole frame in memory")
    setup, reading, computing = Stopwatch(), Stopwatch(), Stopwatch()
    columns = [*WATCHED, TIME]
    with setup:
        calculator = UnivariateDriftCalculator(
            column_names=WATCHED,
            treat_as_categorical=CATEGORICAL,
            timestamp_column_name=TIME,
            chunk_period="h",
        )
        calculator.fit(pd.read_parquet(job.reference, columns=columns))
    with reading:
        log = pd.read_parquet(job.log, columns=columns, filters=[(TIME, "<", job.end)])
    with computing:
        result = calculator.calculate(log).to_df(multilevel=False)
    hours = result[result["chunk_period"] == "analysis"]
    scores = hours.filter(regex="_value$").notna().sum(axis=1)
    for rows, count in zip(hours["chunk_end_index"] - hours["chunk_start_index"] + 1, scores, strict=True):
        answer.add(int(rows), int(count))
    finish(answer, setup, reading, computing)


if __name__ == "__main__":
    main()
