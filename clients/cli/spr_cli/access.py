"""`spr access`: who may use a service."""

import click

from spr_cli.lazy import lazy_group

COMMANDS = {
    "certificates": ("spr_cli.access_certificates", "Make an authority and the service's certificate."),
    "token": ("spr_cli.access_tokens:token", "Make a token for a caller."),
    "list": ("spr_cli.access_tokens:listed", "List the tokens: names, scopes, times."),
    "revoke": ("spr_cli.access_tokens:revoke", "Remove the tokens of a caller."),
}


@click.group(cls=lazy_group(COMMANDS))
def command() -> None:
    """Make the certificates and tokens of a service, in a folder that [access] names.

    \b
    spr access certificates
    spr access token me --scope search --scope write --scope admin > me.token
    spr serve --collection videos --access access --root ~/videos
    """
