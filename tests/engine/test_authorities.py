"""Authorities of which one is to follow another."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from engine.access import certificates, making
from tests.engine.credentials import make


def test_one_that_is_renewed_for_later_keeps_none_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make(tmp_path).config()
    key: Any = load_pem_private_key((tmp_path / making.AUTHORITY_KEY).read_bytes(), None)
    monkeypatch.setattr(making, "_SKEW", timedelta(days=-1))
    monkeypatch.setattr(making, "AUTHORITY_DAYS", 2 * making.AUTHORITY_DAYS)
    renewed = making._pem(making._authority(key))
    config.authority.write_bytes(config.authority.read_bytes() + renewed)
    assert certificates.kept(config).value.path == config.certificate
