"""OTLP: metrics, traces and logs to a collector. Imported only where it is configured.

The SDK makes spans and log records, and its encoders write them. Its exporters are not used: what they are
not told they take from the environment (endpoint, certificates, plug-ins for credentials), they add the
environment's headers to the given ones, and go through its proxies. Nothing may be sent where the
configuration does not say so.
"""
