import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engine import config
from engine.access import tokens
from engine.access.process import Access
from spr_cli import serve_topology
from spr_cli.main import cli
from tests.engine.corpus import Corpus


def spr(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, list(map(str, words)))


def test_two_commands_make_what_a_service_needs(tmp_path: Path) -> None:
    folder = tmp_path / "access"
    made = spr("access", "certificates", folder, "--host", "search.example.org", "--caller", "web")
    assert made.exit_code == 0
    assert f"export SPR_CA={folder / 'authority.pem'}" in made.stdout
    again = json.loads(spr("access", "certificates", folder, "--json").stdout)
    assert again["certificate"] == str(folder / "fleet.pem")
    assert "search.example.org" in again["names"]
    token = spr("access", "token", "me", "--scope", "search", "--expires", "90d", "--folder", folder)
    assert token.stdout.startswith("spr_")
    collection = Corpus(shards=1).write(tmp_path / "collection")
    topology = serve_topology.read_topology(None, (collection,), 7500, folder, [str(tmp_path)])
    assert topology.access is not None
    assert topology.library is not None
    assert topology.library.roots == (str(tmp_path),)
    Access(topology.access).for_callers()
    assert config.from_json(config.to_json(topology)) == topology
    assert tokens.Tokens(topology.access.tokens).of(token.stdout.strip()).name == "me"


def test_tokens_are_listed_without_hashes_and_revoked(tmp_path: Path) -> None:
    def run(*words: str) -> Result:
        return spr("access", *words, "--folder", tmp_path)

    for scope in ("search", "write"):
        assert run("token", "web", "--scope", scope).exit_code == 0
    listed = json.loads(run("list", "--json").stdout)["tokens"]
    assert [(one["name"], one["scopes"], one["expires"]) for one in listed] == [
        ("web", ["search"], None),
        ("web", ["write"], None),
    ]
    (first, second) = (one.sha256 for one in tokens.read(tmp_path / "tokens.toml"))
    assert first not in (table := run("list").stdout)
    assert table.splitlines()[0].split() == ["name", "scopes", "made", "ends"]
    assert run("revoke", "web", "--old").stdout == "1 token of web revoked\n"
    assert [one.sha256 for one in tokens.read(tmp_path / "tokens.toml")] == [second]
    made = json.loads(run("token", "me", "--scope", "search", "--json").stdout)
    assert tokens.Tokens(tmp_path / "tokens.toml").of(made["token"]).name == made["name"] == "me"
    assert json.loads(run("revoke", "me", "--json").stdout) == {"name": "me", "revoked": 1}
    assert run("token", "web").exit_code == 2
    assert run("token", "web", "--scope", "search", "--expires", "soon").exit_code == 2


@pytest.mark.parametrize("role", [(), ("index", "--name", "shard-00000"), ("coordinator",)])
def test_a_service_beyond_this_machine_is_refused_without_access(
    tmp_path: Path, role: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = Corpus(shards=1).write(tmp_path / "collection")
    path = tmp_path / "topology.toml"
    path.write_text(
        f'collection = "{collection}"\n[coordinator]\nlisten = "0.0.0.0:7400"\n'
        '[[index]]\nshard = 0\nlisten = "0.0.0.0:7410"\n[[ranker]]\nlisten = "127.0.0.1:7420"\n'
    )
    topology = config.read(path)
    assert (topology.access, topology.insecure) == (None, False)
    words = ["serve", *role, *(["--config", str(path)] if role else [str(path)])]
    started: list[list[str]] = []
    monkeypatch.setattr("os.execve", lambda _, command, __: started.append(command))
    refused = CliRunner().invoke(cli, words)
    assert "would be open to other machines without encryption and tokens" in str(refused.exception)
    assert not started
    if role:
        CliRunner().invoke(cli, [*words, "--insecure"])
        assert "--insecure" in started[0]
