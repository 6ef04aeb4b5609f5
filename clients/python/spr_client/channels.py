"""How a client's own channel behaves."""

import json

ADDRESS = "127.0.0.1:7400"
# A coordinator that stops or dies ends calls with these, of which its successor knows nothing: they are
# asked again. A coordinator's own refusals forbid that (grpc-retry-pushback-ms), so they are told at once.
_RETRY = {
    "maxAttempts": 4,
    "initialBackoff": "0.05s",
    "maxBackoff": "1s",
    "backoffMultiplier": 3,
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
}
OPTIONS = [
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # The default back-off grows to two minutes: a restarted service would seem dead for as long.
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.service_config", json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": _RETRY}]})),
]
