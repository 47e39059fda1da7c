"""The daemon: moves rows, keeps state, decides. Imports detectors and exporters, never the other way."""
