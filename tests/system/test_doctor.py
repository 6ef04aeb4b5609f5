"""`spr doctor`: each fault is a sentence with its remedy."""

import dataclasses
import json
import shutil
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from engine import parts, versions
from engine.entries import EncoderEntry, TextsEntry
from spr_cli import doctor, doctor_certificates, doctor_collection, doctor_encoder, plan
from tests.system.service import write_topology
from tests.workers.ranker.families import make

TORCHLESS = """
import sys
from spr_cli.doctor import command
try:
    command([sys.argv[1], "--json"])
finally:
    assert "torch" not in sys.modules
"""


@pytest.fixture
def copy(collection: Path, tmp_path: Path) -> Path:
    return shutil.copytree(collection, tmp_path / "collection")


def examine(*words: Any) -> tuple[Result, dict[str, list[str]]]:
    """Return the result, and by severity what was said, "about: sentence"."""
    result = CliRunner().invoke(doctor.command, [*map(str, words), "--json"])
    found: dict[str, list[str]] = {"ok": [], "warning": [], "error": []}
    for one in json.loads(result.stdout)["findings"]:
        found[one["severity"]].append(f"{one['about']}: {one['said']}")
    return result, found


def test_a_sound_topology_has_no_errors_and_needs_no_torch(collection: Path, tmp_path: Path) -> None:
    topology = write_topology(tmp_path / "topology.toml", collection)
    command = [sys.executable, "-c", TORCHLESS, str(topology)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert (told["healthy"], told["error"]) == (True, 0)
    about = {one["about"] for one in told["findings"]}
    assert about >= {"installed", "faiss", "processor", "memory", "files", "clock", "config", "collection"}
    assert about >= {"parts", "models", "permissions", "disk", "ports"}


def test_files_that_are_cut_or_gone_are_named(copy: Path) -> None:
    first, second = versions.read(copy).parts
    cut = parts.directory(copy, first.id) / "index" / "index.faiss"
    cut.chmod(0o644)
    cut.write_bytes(cut.read_bytes()[:-1])
    (parts.directory(copy, second.id) / "part.json").unlink()
    shutil.rmtree(versions.model_path(copy, versions.read(copy).encoder))
    result, found = examine(copy)
    assert result.exit_code == 1
    assert any(f"{cut} has " in said and "spr restore BACKUP" in said for said in found["error"])
    assert any(second.id in said for said in found["error"])
    assert any(said.startswith("models: encoder ") and "is not at" in said for said in found["error"])
    assert len(found["error"]) == 3


def test_a_sentence_encoder_is_named_or_said_to_be_gone(collection: Path) -> None:
    for path, severity, said in (
        ("", "ok", "sentence encoder mine ab"),
        ("models/x", "error", "ab is not at"),
    ):
        texts = TextsEntry("", EncoderEntry("mine", "ab", path), 8)
        version = dataclasses.replace(versions.read(collection), texts=texts)
        (found,) = doctor_collection._models(collection, version)
        assert (found.severity, said in found.said) == (severity, True)


def test_a_folder_that_is_no_collection_and_a_wrong_topology_say_what_to_do(tmp_path: Path) -> None:
    result, found = examine(tmp_path)
    assert result.exit_code == 1
    assert found["error"] == [
        f"collection: Collection {tmp_path} has no active version: run `spr build {tmp_path}`."
    ]
    wrong = tmp_path / "topology.toml"
    wrong.write_text('collection = "."\n')
    assert examine(wrong)[1]["error"] == [f"config: {wrong} has no [[index]]; every shard needs one"]


def test_ports_shards_and_addresses_are_looked_at(collection: Path, tmp_path: Path) -> None:
    topology = write_topology(tmp_path / "topology.toml", collection, shards=1)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        # Somebody who takes connections and is no process of ours.
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        more = f'[[ranker]]\nlisten = "{taken}"\n'
        more += '[[ranker]]\nlisten = "0.0.0.0:7499"\naddress = "127.0.0.1:1"\n'
        more += f'[[ranker]]\nlisten = "0.0.0.0:7498"\naddress = "dns:localhost:{taken.rpartition(":")[2]}"\n'
        more += '[[ranker]]\nlisten = "0.0.0.0:7497"\naddress = "dns:localhost:1"\n'
        topology.write_text(f"{topology.read_text()}\n{more}")
        result, found = examine(topology)
    assert result.exit_code == 1
    assert len(found["error"]) == 2
    assert "names no worker of shard-00001 of" in found["error"][0]
    assert f"another program listens at {taken}: stop it" in found["error"][1]
    for address in ("127.0.0.1:1", "dns:localhost:1"):
        said = f"nobody answers at {address} (Connection refused)"
        assert any(said in warning for warning in found["warning"])


def test_a_collection_that_may_not_be_written_or_is_of_the_future_is_a_warning(
    copy: Path, plain_user: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spr_cli import doctor_collection

    class Earlier(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> "Earlier":
            return cls(2026, 2, 1, tzinfo=tz)

    monkeypatch.setattr(doctor_collection, "datetime", Earlier)
    copy.chmod(0o555)
    result, found = examine(copy)
    copy.chmod(0o755)
    assert result.exit_code == 0
    assert any(said.startswith(f"permissions: {copy} may not be written") for said in found["warning"])
    assert any("which is to come: set this machine's clock" in said for said in found["warning"])


def test_a_plan_measures_an_encoder_in_a_directory(
    collection: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor_encoder, "_LEAST_SECONDS", 0.0)
    version = versions.read(collection)
    encoder = versions.model_path(collection, version.encoder)
    told = CliRunner().invoke(plan.command, ["--hours", "10", "--encoder", str(encoder), "--json"])
    found = json.loads(told.stdout)
    assert found["corpus"]["dim"] == version.streams["frames"].dim
    assert found["ingest"]["cpu_hours"] > 0
    refused = CliRunner().invoke(plan.command, ["--hours", "10", "--encoder", str(tmp_path)])
    assert "cannot be planned with" in str(refused.exception)


def test_an_encoder_is_proven_and_measured(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor_encoder, "_LEAST_SECONDS", 0.0)
    encoder = versions.model_path(collection, versions.read(collection).encoder)
    result, found = examine(collection, "--models", "--encoder", encoder, "--device", "cpu")
    assert result.exit_code == 0, found["error"]
    assert any("load and encode a sentence" in said for said in found["ok"])
    assert any("vectors of 32, pictures of 16 pixels" in said and "461 kB of" in said for said in found["ok"])
    # Random weights know no ball: a warning, or by chance none.
    matched = [said for said in (*found["ok"], *found["warning"]) if "find their drawn picture" in said]
    assert len(matched) == 1
    listed = json.loads(result.output)["findings"]
    (facts,) = [one["facts"] for one in listed if "family" in one.get("facts", {})]
    assert (facts["family"], facts["width"], facts["bytes_per_hour"]) == ("CLIP", 32, 3600 * 32 * 4)
    assert min(facts["pictures_per_second"], facts["texts_per_second"]) > 0
    assert len(facts["checked"]) == 4
    clips = make("xclip", tmp_path / "clips")
    _, found = examine("--encoder", clips, "--device", "cpu")
    assert any("is X-CLIP" in said and "(900 clips)" in said for said in found["ok"])
    refused, found = examine("--encoder", tmp_path, "--device", "cpu")
    assert refused.exit_code == 1
    assert str(tmp_path) in found["error"][0]


def test_keys_and_certificates_are_looked_at(tmp_path: Path) -> None:
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    for days in (-1, 9, 90):
        ends = datetime.now(UTC) + timedelta(days=days, hours=1)
        builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        signed = builder.not_valid_before(ends - timedelta(days=100)).not_valid_after(ends)
        pem = signed.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        (tmp_path / f"{days}.pem").write_bytes(pem)
    access = {"tls": {"certificate": "-1.pem", "ca": ["9.pem", "90.pem"]}}
    found = {one.severity: one.said for one in doctor_certificates.findings(access, tmp_path)}
    assert "-1.pem expired on" in found["error"]
    assert "in 9 days: renew it" in found["warning"]
    assert "90.pem is valid until" in found["ok"]


def test_a_key_that_others_may_read_is_a_warning(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text("-----BEGIN PRIVATE KEY-----\n")
    key.chmod(0o644)
    (finding,) = doctor_certificates.findings({"key": "key.pem", "tokens": "none"}, tmp_path)
    assert (finding.severity, finding.said) == (
        "warning",
        f"{key} is a private key that others may read: chmod 600 {key}",
    )
    key.chmod(0o600)
    assert list(doctor_certificates.findings({"key": "key.pem"}, tmp_path)) == []
