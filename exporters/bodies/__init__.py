"""What an event looks like to its receiver: one form for each kind of pipeline, each a pure function."""
