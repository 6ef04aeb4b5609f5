"""`spr admin`: operate a running service."""

import click

from spr_cli.lazy import lazy_group

COMMANDS = {
    "status": ("spr_cli.admin_status", "Show what is served, by whom, and how it went."),
    "drain": ("spr_cli.admin_drain", "Have a worker answer no new searches, so that it can be stopped."),
    "collections": ("spr_cli.admin_versions:collections", "List the collections that are served."),
    "versions": ("spr_cli.admin_versions:versions", "List all versions of a collection."),
    "activate": ("spr_cli.admin_activate:activate", "Switch to another version, while searches go on."),
    "rollback": ("spr_cli.admin_activate:rollback", "Switch back to the version before the active one."),
    "add": ("spr_cli.admin_jobs:add", "Add videos."),
    "delete": ("spr_cli.admin_jobs:delete", "Delete videos."),
    "jobs": ("spr_cli.admin_jobs:jobs", "Show what the library process does and did."),
    "compact": ("spr_cli.admin_jobs:compact", "Merge small parts."),
    "snapshot": ("spr_cli.admin_copies:snapshot", "Copy a version to another place."),
    "restore": ("spr_cli.admin_copies:restore", "Take a version from a copy."),
    "verify": ("spr_cli.admin_copies:verify", "Check every byte of a collection."),
    "watch": ("spr_cli.admin_watch:watch", "Judge every added video by a standing search."),
    "watches": ("spr_cli.admin_watch:watches", "List the standing searches."),
    "unwatch": ("spr_cli.admin_watch:unwatch", "End a standing search."),
    "matches": ("spr_cli.admin_matches:matches", "Show what standing searches found."),
    "gc": ("spr_cli.admin_copies:collect_garbage", "Remove what no kept version lists."),
}


@click.group(cls=lazy_group(COMMANDS))
def command() -> None:
    """Operate a running service: its workers, versions and videos.

    \b
    spr admin status
    spr admin add new_videos --wait
    spr admin activate 42
    """
