"""HTTP: /metrics, /healthz, /readyz."""
