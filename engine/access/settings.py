"""The table [access] of a topology."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# Files that `spr access` makes in a folder.
CERTIFICATE, KEY, AUTHORITY, TOKENS = "fleet.pem", "fleet-key.pem", "authority.pem", "tokens.toml"
FLEET = "spr-fleet"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessConfig:
    """Encryption and access control of all processes of a topology; paths are relative to its file.

    certificate, key: PEM files of the service's own processes, the certificate first in its chain.
    authority: PEM file of the authorities that certificates of the service and of callers are checked by.
    tokens: TOML file of the callers' tokens, see `spr access token`.
    callers: "certificate" asks callers for one too, of the same authority; "none" does not.
    name: DNS name in the certificate, by which the service's processes know each other.
    """

    certificate: Path
    key: Path
    authority: Path
    tokens: Path
    callers: Literal["none", "certificate"] = "none"
    name: str = FLEET

    def within(self, folder: Path) -> "AccessConfig":
        """Return it with absolute paths, those that are relative taken from `folder`.

        Links are not followed here: a mounted Kubernetes secret is changed by switching one.
        """
        paths = {name: (folder / getattr(self, name)).absolute() for name in PATHS}
        return dataclasses.replace(self, **paths)


PATHS = ("certificate", "key", "authority", "tokens")


def of_folder(folder: Path) -> dict[str, str]:
    """Return the values of [access] for a folder that `spr access` filled."""
    files = (CERTIFICATE, KEY, AUTHORITY, TOKENS)
    return {name: str(folder / file) for name, file in zip(PATHS, files, strict=True)}
