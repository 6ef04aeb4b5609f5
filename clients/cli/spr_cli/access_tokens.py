"""`spr access token`, `list` and `revoke`: the tokens of callers."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spr_cli.options import AS_JSON

if TYPE_CHECKING:
    from engine.access.rules import Scope
    from engine.access.tokens import Token

FOLDER = click.option(
    "--folder",
    default="access",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where tokens.toml is.",
)
_TIME = re.compile(r"([1-9][0-9]{0,4})([dh])")


class _Lifetime(click.ParamType[timedelta]):
    name = "time"

    def convert(
        self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Return how long a token is valid."""
        if isinstance(value, timedelta):
            return value
        if not (found := _TIME.fullmatch(value)):
            self.fail(f"{value!r} is no time; write days or hours, such as 90d or 12h", param, ctx)
        number = int(found[1])
        return timedelta(days=number) if found[2] == "d" else timedelta(hours=number)


@click.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(["search", "write", "admin"]),
    help="What it allows; several times for several.",
)
@click.option("--expires", type=_Lifetime(), help="When it ends, such as 90d or 12h.  [default: never]")
@FOLDER
@AS_JSON
def token(
    name: str, scopes: "tuple[Scope, ...]", expires: timedelta | None, folder: Path, as_json: bool
) -> None:
    """Make a token for the caller NAME and print it: the file keeps a hash, so nobody can print it again.

    search: to search; write: jobs that add and delete, and the state; admin: versions, and the state.
    Several tokens of a name are valid at once.

    \b
    spr access token web --scope search --expires 90d
    spr access token me --scope search --scope write --scope admin > me.token
    """
    from engine.access import settings, tokens

    now = datetime.now(UTC)
    path = folder / settings.TOKENS
    made = tokens.add(
        path, name, list(dict.fromkeys(scopes)), None if expires is None else now + expires, now
    )
    if as_json:
        from spr_cli.output import print_json

        print_json({"name": name, "token": made})
    else:
        click.echo(made)
    click.echo(f"{path} has its hash; it is shown this once", err=True)


@click.command("list")
@FOLDER
@AS_JSON
def listed(folder: Path, as_json: bool) -> None:
    """List the tokens, the oldest first.

    \b
    spr access list
    """
    from engine.access import settings, tokens
    from spr_cli.output import print_json, print_table

    found = tokens.read(folder / settings.TOKENS)
    now = datetime.now(UTC)
    if as_json:
        print_json({"tokens": [_values(one) for one in found]})
        return
    rows = []
    for one in found:
        end = f"{one.expires:%Y-%m-%d %H:%M}" if one.expires else "never"
        over = "expired" if one.expires and one.expires <= now else ""
        rows.append((one.name, " ".join(one.scopes), f"{one.created:%Y-%m-%d %H:%M}", end, over))
    print_table(("name", "scopes", "made", "ends", ""), rows)


def _values(one: "Token") -> dict[str, object]:
    ends = one.expires and one.expires.isoformat()
    return {"name": one.name, "scopes": one.scopes, "created": one.created.isoformat(), "expires": ends}


@click.command()
@click.argument("name")
@click.option("--old", is_flag=True, help="All but the newest, once the newest is in use.")
@FOLDER
@AS_JSON
def revoke(name: str, old: bool, folder: Path, as_json: bool) -> None:
    """Remove the tokens of NAME; a running service refuses them within a second.

    \b
    spr access revoke web --old
    """
    from engine.access import settings, tokens

    gone = tokens.revoke(folder / settings.TOKENS, name, keep_newest=old)
    if as_json:
        from spr_cli.output import print_json

        print_json({"name": name, "revoked": len(gone)})
        return
    click.echo(f"{len(gone)} token{'' if len(gone) == 1 else 's'} of {name} revoked")
