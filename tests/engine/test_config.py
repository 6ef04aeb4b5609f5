import dataclasses
import re
import shutil
from pathlib import Path

import pytest

from engine import config, following, processes, serving
from engine.access.settings import AccessConfig
from engine.errors import InvalidInput

EXAMPLE = Path(__file__).parents[2] / "deploy" / "topology.example.toml"


def write(folder: Path, text: str) -> Path:
    path = folder / "topology.toml"
    path.write_text(text, encoding="utf-8")
    return path


MINIMAL = """
collection = "c"
[[index]]
shard = 0
listen = "127.0.0.1:1"
[[ranker]]
listen = "0.0.0.0:2"
"""


def test_the_example_states_the_defaults() -> None:
    topology = config.read(EXAMPLE)
    assert topology.coordinator == config.CoordinatorConfig()
    assert topology.index[0] == config.IndexWorkerConfig(shard=0, listen="127.0.0.1:7410")
    assert topology.ranker[0] == config.RankerWorkerConfig(listen="127.0.0.1:7420", name="ranker-0")
    assert topology.collection == EXAMPLE.parent / "collection"
    assert [worker.name for worker in topology.index] == ["shard-00000", "shard-00001"]
    assert topology.access is None


def test_the_examples_table_of_access_is_one(tmp_path: Path) -> None:
    lines = EXAMPLE.read_text(encoding="utf-8").partition("# [access]\n")[2].splitlines()
    table = "\n".join(line.removeprefix("# ") for line in lines)
    access = config.read(write(tmp_path, f"{MINIMAL}[access]\n{table}\n")).access
    folder = tmp_path / "access"
    assert access == AccessConfig(
        certificate=folder / "fleet.pem",
        key=folder / "fleet-key.pem",
        authority=folder / "authority.pem",
        tokens=folder / "tokens.toml",
    )


def test_a_wildcard_address_is_reached_at_localhost(tmp_path: Path) -> None:
    assert config.read(write(tmp_path, MINIMAL)).ranker[0].target == "localhost:2"


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("", "names no collection"),
        ("collection = ", "is not TOML"),
        ('collection = "c"', "has no [[index]]"),
        (MINIMAL.replace("[[ranker]]\n", "[ranker]\n"), "ranker is one table, not a list"),
        (MINIMAL.replace("shard = 0", ""), "topology.toml: index[0] lacks 'shard'"),
        (MINIMAL.replace("shard = 0", 'shard = "0"'), "index[0].shard = '0' is not of type int"),
        (MINIMAL.replace("shard = 0", "shard = -1"), "index[0].shard = -1 is below 0"),
        (MINIMAL.replace("shard = 0", "shard = 0\nthread = 2"), "unknown key index[0].thread; known are"),
        (MINIMAL.replace("0.0.0.0:2", "127.0.0.1:1"), "to two processes"),
        (MINIMAL.replace("0.0.0.0:2", "2"), "write HOST:PORT"),
        (MINIMAL.replace("0.0.0.0:2", "a:²"), "write HOST:PORT"),
        (MINIMAL.replace('"c"', '"c\\u0000"'), "collection = 'c\\x00' has a zero byte"),
        (MINIMAL.replace("0.0.0.0:2", "a:" + "1" * 5000), "write HOST:PORT"),
        ('log_level = "loud"' + MINIMAL, "log_level = 'loud' is not one of 'debug', 'info'"),
        (MINIMAL + '[coordinator]\nuris = "some"\n', "coordinator.uris = 'some' is not one of 'none'"),
        ('hang_timeout = "soon"' + MINIMAL, "hang_timeout = 'soon' is not of type float"),
        (
            MINIMAL + 'text_precision = "int4"\n',
            "ranker[0].text_precision = 'int4' is not one of 'auto', 'int8'",
        ),
        (MINIMAL + '[coordinator]\nname = "mine"\n', "unknown key coordinator.name"),
        ("takeover = true" + MINIMAL, "unknown key takeover"),
        ("hang_timeout = inf" + MINIMAL, "hang_timeout = inf is not finite"),
        (MINIMAL + '[page]\nlisten = "0.0.0.0:7480"\n', "or write insecure = true under [page]"),
    ],
)
def test_a_broken_file_is_refused_with_its_reason(tmp_path: Path, broken: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        config.read(write(tmp_path, broken))


SECOND = """
[[coordinator]]
listen = "127.0.0.1:3"
admin = "127.0.0.1:4"
[[coordinator]]
listen = "127.0.0.1:5"
admin = "127.0.0.1:6"
max_in_flight = 7
"""


ELSEWHERE = """
collection = "c"
[coordinator]
listen = "0.0.0.0:7400"
admin = "0.0.0.0:7401"
address = "spr:7400"
admin_address = "spr-admin:7401"
[[index]]
shard = 0
listen = "0.0.0.0:7410"
metrics = "0.0.0.0:8400"
address = "dns:shard-00000:7410"
[[index]]
shard = 1
listen = "0.0.0.0:7410"
metrics = "0.0.0.0:8400"
address = "dns:shard-00001:7410"
[[ranker]]
listen = "0.0.0.0:7410"
address = "ranker:7410"
"""


def test_processes_of_several_machines_may_have_the_same_ports(tmp_path: Path) -> None:
    topology = config.read(write(tmp_path, ELSEWHERE))
    assert (topology.coordinator.front, topology.coordinator.back) == ("spr:7400", "spr-admin:7401")
    assert serving.select_part(topology, "index", "shard-00001", None).target == "dns:shard-00001:7410"
    with pytest.raises(InvalidInput, match=r"has several processes at 0.0.0.0:7410, so on several machines"):
        processes.programs(topology)
    served = write(tmp_path, MINIMAL)
    look = following.of_file(config.read(served), lambda topology: topology)
    looks = [look(), look()]  # read when it looked the same twice
    assert [one and len(one.programs) for one in looks] == [None, 3]
    write(tmp_path, ELSEWHERE)
    assert [look() for _ in range(3)] == [None] * 3
    with pytest.raises(InvalidInput, match=r"gives 0.0.0.0:7410 to two processes"):
        config.read(write(tmp_path, ELSEWHERE.replace("shard-00001", "shard-00000")))
    with pytest.raises(InvalidInput, match=r"address is 'spr'; write HOST:PORT"):
        config.read(write(tmp_path, ELSEWHERE.replace("spr:7400", "spr")))


def mounted(volume: Path, files: dict[str, str]) -> None:
    """Change files as Kubernetes does in a volume of a ConfigMap or Secret: by a link to another folder."""
    old = (volume / "..data").resolve() if (volume / "..data").exists() else None
    new = volume / f"..{len([*volume.glob('..2*')])}{id(files)}"
    new.mkdir(parents=True)
    for name, text in files.items():
        (new / name).write_text(text, encoding="utf-8")
        if old is None:
            (volume / name).symlink_to(f"..data/{name}")
    (volume / "..new").symlink_to(new.name)
    (volume / "..new").rename(volume / "..data")
    if old is not None:
        shutil.rmtree(old)


def test_files_are_followed_whose_folder_is_switched(tmp_path: Path) -> None:
    access = '[access]\ncertificate = "a.pem"\nkey = "b.pem"\nauthority = "c.pem"\ntokens = "d.toml"\n'
    files = {"topology.toml": MINIMAL + access, "a.pem": "first", "b.pem": "", "c.pem": "", "d.toml": ""}
    mounted(tmp_path, files)
    topology = config.read(tmp_path / "topology.toml")
    command = processes.program(topology, "index", topology.index[0], supervised=False).command
    followed = Path(command[command.index("--config") + 1])
    supervised = config.from_json(config.to_json(topology))
    mounted(tmp_path, {**files, "topology.toml": MINIMAL + SECOND + access, "a.pem": "second"})
    assert len(config.read(followed).coordinators) == len(config.read(supervised.path).coordinators) == 2
    for one in (topology, supervised):
        assert one.access is not None
        assert one.access.certificate.read_text(encoding="utf-8") == "second"


def test_several_coordinators_have_names_and_settings_of_their_own(tmp_path: Path) -> None:
    topology = config.read(write(tmp_path, MINIMAL + SECOND))
    assert [one.name for one in topology.coordinators] == ["coordinator-0", "coordinator-1"]
    assert topology.coordinator is topology.coordinators[0]
    assert config.from_json(config.to_json(topology)) == topology
    mine = serving.select_part(topology, "coordinator", None, "127.0.0.1:5")
    assert (mine.name, mine.max_in_flight) == ("coordinator-1", 7)
    for wrong, message in (
        (SECOND.replace(":6", ":3"), "gives 127.0.0.1:3 to two processes"),
        (SECOND.replace("max_in", "min_in"), "unknown key coordinator[1].min_in_flight"),
    ):
        with pytest.raises(InvalidInput, match=re.escape(message)):
            config.read(write(tmp_path, MINIMAL + wrong))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"absent.toml does not exist"):
        config.read(tmp_path / "absent.toml")


@pytest.mark.parametrize("port", [0, -1, 65_530, 99_999])
def test_a_port_that_leaves_none_for_the_workers_is_refused(port: int) -> None:
    with pytest.raises(InvalidInput, match=f"port {port} leaves no ports .* 1 to 64455"):
        config.for_collection(Path("c"), 3, port)


def test_select_names_one_worker() -> None:
    first = config.IndexWorkerConfig(shard=0, listen="h:1")
    replica = config.IndexWorkerConfig(shard=0, listen="h:2")
    other = config.IndexWorkerConfig(shard=1, listen="h:3")
    parts = [first, replica, other]
    assert config.select(parts, "shard-00001", None) is other
    assert config.select(parts, None, "h:2") is replica
    assert config.select(parts, "shard-00001", "h:9").listen == "h:9"
    for name, listen in [("shard-00000", None), (None, "h:9"), ("shard-00007", None)]:
        with pytest.raises(InvalidInput, match="shard-00000 at h:1"):
            config.select(parts, name, listen)


def test_a_topology_survives_the_pipe_to_a_process(tmp_path: Path) -> None:
    topology = dataclasses.replace(
        config.read(EXAMPLE), collections=(tmp_path,), takeover=True, insecure=True
    )
    assert config.from_json(config.to_json(topology)) == topology
    alone = config.for_collection(tmp_path, 3, 7500)
    assert config.from_json(config.to_json(alone)) == alone
    both = config.for_collection(tmp_path, 3, 7500, [tmp_path / "other"])
    assert config.from_json(config.to_json(both)).directories == (tmp_path, tmp_path / "other")
    assert [worker.target for worker in alone.index] == [f"127.0.0.1:{port}" for port in (7510, 7511, 7512)]


def test_a_page_beyond_this_machine_is_served_where_that_is_wanted(tmp_path: Path) -> None:
    exposed = MINIMAL + '[page]\nlisten = "0.0.0.0:7480"\ninsecure = true\n'
    page = config.read(write(tmp_path, exposed)).page
    assert page is not None
    assert (page.listen, page.roots) == ("0.0.0.0:7480", ())
    assert config.read(write(tmp_path, MINIMAL)).page is None


@pytest.mark.parametrize(("shards", "port"), [(3, 7480), (100, 7510)])
def test_the_page_of_a_collection_lies_beyond_its_index_workers(
    tmp_path: Path, shards: int, port: int
) -> None:
    page = config.for_collection(tmp_path, shards, 7400).page
    assert page is not None
    assert page.target == f"127.0.0.1:{port}"


def test_a_port_without_room_above_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="port 65530 leaves no ports for all processes"):
        config.for_collection(tmp_path, 1, 65530)
