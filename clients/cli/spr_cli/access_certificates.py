"""`spr access certificates`: an authority of your own, and what it issues."""

from pathlib import Path

import click

from spr_cli.options import AS_JSON


@click.command()
@click.argument("folder", default="access", type=click.Path(file_okay=False, path_type=Path))
@click.option("--host", "hosts", multiple=True, help="Name or address by which callers reach the service.")
@click.option(
    "--caller", "callers", multiple=True, help="Also a caller's certificate, where they are asked for one."
)
@click.option("--days", default=365, show_default=True, type=click.IntRange(1, 3650), help="Until it ends.")
@AS_JSON
def command(folder: Path, hosts: tuple[str, ...], callers: tuple[str, ...], days: int, as_json: bool) -> None:
    """Make an authority in FOLDER (default: access) and the certificate of a service's processes.

    Again, it makes another certificate of the same authority and names: a running service takes it without
    a restart. The authority's key is needed for that alone; keep it where the service does not run.

    \b
    spr access certificates
    spr access certificates access --host search.example.org --host 10.0.0.7
    """
    from engine.access import making, settings

    names = making.make(folder, hosts, days, callers)
    certificate = folder / settings.CERTIFICATE
    if as_json:
        from spr_cli.output import print_json

        authority = str(folder / settings.AUTHORITY)
        print_json(
            {"certificate": str(certificate), "names": names[1:], "authority": authority, "days": days}
        )
        return
    click.echo(f"{certificate} is valid for {days} days, for {', '.join(names[1:])}")
    for name in callers:
        click.echo(f"{folder / name}.pem and {name}-key.pem are for the caller {name}")
    click.echo(f"callers need {folder / settings.AUTHORITY}: export SPR_CA={folder / settings.AUTHORITY}")
    click.echo(f"keep {folder / making.AUTHORITY_KEY} away from the service")
