"""Prometheus alert rules, shipped as data."""
