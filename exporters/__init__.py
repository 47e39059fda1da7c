"""Facts out: metrics and webhooks. Knows neither the daemon nor the detectors."""
