"""Grafana dashboards, shipped as data."""
