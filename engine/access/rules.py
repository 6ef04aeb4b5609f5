"""What each RPC asks of its caller: one table.

An RPC that is not in it is refused to everybody.
"""

from typing import Final, Literal, get_args

Scope = Literal["search", "write", "admin"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)

# Instead of scopes: everybody; whoever has a token; the service's own processes, by their certificate.
OPEN: Final = "open"
ANY_TOKEN: Final = "any token"
FLEET: Final = "fleet"

# One of the scopes is needed.
Need = frozenset[Scope] | Literal["open", "any token", "fleet"]
_SEARCH: Need = frozenset({"search"})
_WRITE: Need = frozenset({"write"})
_ADMIN: Need = frozenset({"admin"})
# Who changes a corpus sees what became of it.
_READ: Need = frozenset({"write", "admin"})
_MATCHES: Need = frozenset({"search", "admin"})

RULES: Final[dict[str, dict[str, Need]]] = {
    "spr.v1.SearchService": {
        "Search": _SEARCH,
        "BatchSearch": _SEARCH,
        "ProgressiveSearch": _SEARCH,
        "Explain": _SEARCH,
        "ListVideos": _SEARCH,
    },
    "spr.v1.AdminService": {
        "GetStatus": _READ,
        "ListCollections": _READ,
        "ListVersions": _READ,
        "ListJobs": _READ,
        "SubmitJob": _WRITE,
        "ActivateVersion": _ADMIN,
        "DrainWorker": _ADMIN,
    },
    # What a search would show is for whoever may search, too.
    "spr.v1.StandingService": {
        "CreateStandingSearch": _ADMIN,
        "DeleteStandingSearch": _ADMIN,
        "ListStandingSearches": _MATCHES,
        "ListMatches": _MATCHES,
        "WatchMatches": _MATCHES,
    },
    # What people say decides what is trained.
    "spr.v1.FeedbackService": {
        "RecordJudgements": _WRITE,
        "ListJudgements": _READ,
        "DeleteJudgements": _WRITE,
    },
    "spr.internal.v1.EncoderService": {"Encode": FLEET, "EncodeExamples": FLEET},
    "spr.internal.v1.IndexShardService": {
        "SearchSegments": FLEET,
        "SearchTogether": FLEET,
        "GetShardInfo": FLEET,
    },
    "spr.internal.v1.LibraryService": {
        "Submit": FLEET,
        "List": FLEET,
        "WatchCurrent": FLEET,
        "GetLibraryInfo": FLEET,
        "RecordJudgements": FLEET,
        "ListJudgements": FLEET,
        "DeleteJudgements": FLEET,
    },
    "spr.internal.v1.RankerService": {
        "Rank": FLEET,
        "RankTogether": FLEET,
        "Compare": FLEET,
        "GetRankerInfo": FLEET,
    },
    "spr.internal.v1.VersionService": {"PrepareVersion": FLEET, "DropVersion": FLEET, "Drain": FLEET},
    "grpc.health.v1.Health": {"Check": OPEN, "Watch": OPEN, "List": OPEN},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": ANY_TOKEN},
}
_BY_METHOD = {f"/{service}/{rpc}": need for service, rpcs in RULES.items() for rpc, need in rpcs.items()}


def need_of(method: str) -> Need:
    """Return what a method (/service/rpc) needs; a token where it is not ours, and nobody serves it."""
    return _BY_METHOD.get(method, frozenset() if method.startswith("/spr.") else ANY_TOKEN)
