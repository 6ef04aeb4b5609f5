"""Access control: certificates, tokens, and what each caller may ask for."""

from typing import TYPE_CHECKING

from engine.access.settings import AccessConfig

if TYPE_CHECKING:
    from engine.access.process import Access


def opened(settings: AccessConfig | None) -> "Access | None":
    """Return the access control of a topology's [access], None without; InvalidInput if a file is bad."""
    if settings is None:
        return None
    # Imported late: cryptography is for those who use it.
    from engine.access.process import Access

    return Access(settings)
