"""scouter-ml: its PSI profile (10 quantile bins, one bin per category), PSI per hourly window.

scouter's daemon is a server with a database; its Python package holds the same Rust routines, and these are
measured: `Drifter.create_drift_profile` and `Drifter.compute_drift` on Polars frames. It wants data without
missing values, so nulls are filled with the reference's median; that is reading, not computing.
"""

import polars as pl
from job import CATEGORICAL, NUMERIC, TIME, WATCHED, Stopwatch, begin, finish, read_job
from scouter.drift import Drifter, PsiDriftConfig


def main() -> None:
    """Judge every window and report."""
    job = read_job()
    answer = begin("scouter-ml", "PSI alone (10 quantile bins, a bin per category), in memory, no state kept")
    setup, reading, computing = Stopwatch(), Stopwatch(), Stopwatch()
    with setup:
        reference = pl.read_parquet(job.reference, columns=WATCHED)
        medians = reference.select(pl.col(NUMERIC).median()).row(0, named=True)
        filled = [pl.col(name).cast(pl.Float64).fill_null(value) for name, value in medians.items()]
        config = PsiDriftConfig("bench", "bench", categorical_features=CATEGORICAL)
        drifter = Drifter()
        profile = drifter.create_drift_profile(reference.with_columns(filled), config)
    with reading:
        log = pl.scan_parquet(job.log).select(*WATCHED, TIME).filter(pl.col(TIME) < job.end)
        hourly = log.with_columns(*filled, pl.col(TIME).dt.truncate("1h"))
        windows = hourly.collect().partition_by(TIME, include_key=False)
    for window in windows:
        with computing:
            drift = drifter.compute_drift(window, profile)
        answer.add(window.height, len(drift.features))
    finish(answer, setup, reading, computing)


if __name__ == "__main__":
    main()
