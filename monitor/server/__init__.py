"""HTTP: metrics, health, reload, the API and the status page; who may use them, and how much of it."""
