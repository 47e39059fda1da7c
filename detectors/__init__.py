"""Numbers in, verdicts out: no I/O, no clock."""
