"""Readers of texts that people write: topologies, settings, subtitles."""

from pathlib import Path

from engine import config
from tests.fuzz.targets import Target, of_file
from trainer.ingest.encodings import decode
from trainer.ingest.sidecars import read_sidecar
from trainer.projector.settings import ProjectorSettings
from trainer.ranker.settings import RankerSettings
from trainer.runs.settings import SHIPPED, load_settings

ROOT = Path(__file__).parents[2]
SRT = "1\n00:00:01,000 --> 00:00:02,500\n<i>Hello</i> {\\an8}there\n\n2\n00:00:03 --> 0:00:04.5\nBye\n"
VTT = "WEBVTT - x\n\nSTYLE\n::cue {}\n\nid\n00:01.000 --> 00:02.000 align:start\n<v Ann>Hi &amp; <b>bye</b>\n"
ASS = (
    "[Script Info]\nTitle: t\n[Events]\nFormat: Layer, Start, End, Style, Text\n"
    "Dialogue: 0,0:00:01.00,0:00:02.00,Default,{\\k10}Hi\\Nthere, you\n"
)
WORDS = "Привет, это проверка. Ещё слово"
ENCODED = [
    WORDS.encode("cp1251"),
    SRT.encode("utf-16"),
    "日本語の字幕です".encode("iso2022_jp"),
    "日本語の字幕です".encode("shift_jis"),
    "한국어 자막".encode("iso2022_kr"),
    b"~{<:Ky2;V~}",
    SRT.encode("utf-8-sig"),
]


def _topology(path: Path) -> None:
    topology = config.read(path)
    again = config.from_json(config.to_json(topology))
    assert again.index == topology.index


def _settings(path: Path) -> None:
    load_settings(ProjectorSettings, "projector", str(path))
    load_settings(RankerSettings, "ranker", str(path), ["steps=3"])


def _decoded(path: Path) -> None:
    text, _ = decode(path.read_bytes())
    text.encode()


EXAMPLE = ROOT / "deploy" / "topology.example.toml"
TARGETS: list[Target] = [
    of_file("topology.toml", _topology, EXAMPLE.read_bytes()),
    of_file("settings.toml", _settings, *(path.read_bytes() for path in sorted(SHIPPED.glob("*.toml")))),
    of_file("words.srt", read_sidecar, SRT.encode(), *ENCODED),
    of_file("words.vtt", read_sidecar, VTT.encode(), SRT.encode()),
    of_file("words.ass", read_sidecar, ASS.encode(), SRT.encode()),
    of_file("encoding.txt", _decoded, *ENCODED),
]
