"""Bytes or frames to columns. One file per family of formats."""
