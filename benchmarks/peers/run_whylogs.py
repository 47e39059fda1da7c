"""whylogs: a profile of sketches per hourly window, then its own choice of drift score for each column.

`why.log(pandas=...)` and `calculate_drift_scores`: KS on the KLL sketch for numbers, chi-square on the
frequent items for categories. Building the profile is what whylogs is for, and takes nearly all of the time.
"""

import pandas as pd
import whylogs as why
from job import TIME, WATCHED, Stopwatch, begin, finish, read_job
from whylogs.viz.drift.column_drift_algorithms import calculate_drift_scores


def main() -> None:
    """Judge every window and report."""
    job = read_job()
    answer = begin("whylogs", "a profile of sketches per window, KS or chi-square from it")
    setup, reading, computing = Stopwatch(), Stopwatch(), Stopwatch()
    with setup:
        reference = why.log(pandas=pd.read_parquet(job.reference, columns=WATCHED)).view()
    with reading:
        log = pd.read_parquet(job.log, columns=[*WATCHED, TIME], filters=[(TIME, "<", job.end)])
        windows = [window[WATCHED] for _, window in log.groupby(log.pop(TIME).dt.floor("h"))]
        del log
    for window in windows:
        with computing:
            scores = calculate_drift_scores(why.log(pandas=window).view(), reference, with_thresholds=True)
        answer.add(len(window), sum(score is not None for score in scores.values()))
    finish(answer, setup, reading, computing)


if __name__ == "__main__":
    main()
