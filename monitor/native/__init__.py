"""The hot loops in C, optional: each gives byte for byte what NumPy and Polars give without it."""
