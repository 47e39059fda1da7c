"""Evidently: a Report with the DataDriftPreset per hourly window.

The preset chooses the method: at this size the normed Wasserstein distance for numbers and the
Jensen-Shannon distance for categories.
"""

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataDriftPreset
from job import CATEGORICAL, NUMERIC, TIME, WATCHED, Stopwatch, begin, finish, read_job


def main() -> None:
    """Judge every window and report."""
    job = read_job()
    answer = begin(
        "evidently", "DataDriftPreset per window: Wasserstein or Jensen-Shannon, chosen by the tool"
    )
    definition = DataDefinition(numerical_columns=NUMERIC, categorical_columns=CATEGORICAL)
    setup, reading, computing = Stopwatch(), Stopwatch(), Stopwatch()
    with setup:
        frame = pd.read_parquet(job.reference, columns=WATCHED)
        reference = Dataset.from_pandas(frame, data_definition=definition)
        report = Report([DataDriftPreset()])
    with reading:
        log = pd.read_parquet(job.log, columns=[*WATCHED, TIME], filters=[(TIME, "<", job.end)])
        windows = [window[WATCHED] for _, window in log.groupby(log.pop(TIME).dt.floor("h"))]
        del log
    for window in windows:
        with computing:
            result = report.run(Dataset.from_pandas(window, data_definition=definition), reference).dict()
        answer.add(len(window), sum("ValueDrift" in metric["metric_name"] for metric in result["metrics"]))
    finish(answer, setup, reading, computing)


if __name__ == "__main__":
    main()
