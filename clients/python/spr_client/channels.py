"""How a client's own channel behaves."""

ADDRESS = "127.0.0.1:7400"
OPTIONS = [
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # The default back-off grows to two minutes: a restarted service would seem dead for as long.
    ("grpc.max_reconnect_backoff_ms", 1_000),
]
