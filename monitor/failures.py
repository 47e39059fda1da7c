"""What is raised by others: by Polars on bad input, and by whatever part of a whole has a fault."""

from polars.exceptions import PanicException, PolarsError

POLARS_FAILURES: tuple[type[BaseException], ...] = (PolarsError, PanicException, OSError, ValueError)
"""What Polars raises on bad input. A panic derives from BaseException: `except Exception` misses it."""
UNEXPECTED: tuple[type[BaseException], ...] = (Exception, PanicException)
"""What a fault of our own may raise, where one part must not stop the others."""
