"""The pure core: no clock, no files, no threads. Batches in, one Commit out."""
