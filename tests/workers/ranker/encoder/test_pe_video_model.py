"""PE-AV: which frames it reads, which file says so, and what to install. Its features: test_families."""

import json
import sys
import threading
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from transformers import AutoConfig

from engine.errors import Mismatch, Unavailable
from tests import numeric
from tests.workers.ranker import pe_av
from tests.workers.ranker.families import make
from tests.workers.ranker.family_parts import CLIP_FRAMES, SIDE
from workers.ranker.encoder import files
from workers.ranker.encoder.encoder import VISION, Encoder
from workers.ranker.encoder.families import FAMILIES
from workers.ranker.encoder.files import VIDEOS, fingerprint_of, pictures_file
from workers.ranker.encoder.pe_video_model import frames_of, read_pe_video


@pytest.fixture(params=["pe_video", "pe_audio_video"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    pe_av.skip_without_timm()
    return make(request.param, tmp_path)


def load(folder: Path) -> Encoder:
    return Encoder.load(str(folder), "cpu", clips=True)


def test_it_reads_as_many_frames_as_its_file_says(folder: Path) -> None:
    clips = np.random.default_rng(0).integers(0, 256, (2, CLIP_FRAMES, 20, 30, 3), dtype=np.uint8)
    of_eight = load(folder)
    (folder / VIDEOS).write_text(json.dumps({"size": {"height": SIDE, "width": SIDE}}))
    of_four = load(folder)
    assert of_eight.fingerprint != of_four.fingerprint
    chosen = np.linspace(0, CLIP_FRAMES - 1, 4).round().astype(int)
    numeric.close(of_four.clips(clips), of_four.clips(clips[:, chosen]))
    four = clips[:, chosen]
    assert numeric.deviation(of_eight.clips(four), of_four.clips(four)) > 1e-3
    numeric.close(of_eight.clips(four), of_eight.clips(np.repeat(four, 2, axis=1)))


def test_what_is_said_of_videos_counts_before_what_is_said_of_sound(folder: Path) -> None:
    wanted = load(folder)
    assert pictures_file(folder) == folder / VIDEOS
    about = json.loads((folder / VIDEOS).read_text())
    (folder / VIDEOS).write_text(json.dumps({**about, "image_mean": [0.1] * 3}))
    (folder / "processor_config.json").write_text(json.dumps({"video_processor": about}))
    assert pictures_file(folder) == folder / "processor_config.json"
    assert load(folder).transform == wanted.transform
    (folder / VIDEOS).write_text(json.dumps({**about, "num_frames": "many"}))
    (folder / "processor_config.json").unlink()
    with pytest.raises(Mismatch, match=r"video_preprocessor_config.json has num_frames 'many'; give"):
        load(folder)


def test_a_text_needs_none_of_the_weights_of_pictures(folder: Path) -> None:
    encoder = load(folder)
    wanted = encoder.text(["a red ball"]).pooled
    for name, weight in encoder.model.named_parameters():
        if name.startswith(VISION):
            weight.data.zero_()
        else:
            assert name.startswith("text")
    numeric.close(encoder.text(["a red ball"]).pooled, wanted)


def test_loading_says_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    load(folder)
    assert capfd.readouterr().out == ""


def test_what_others_say_meanwhile_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def from_pretrained(folder: Path) -> tuple[None, None]:
        other = threading.Thread(target=print, args=("ready",))
        other.start()
        other.join()
        return None, None

    monkeypatch.setitem(sys.modules, "timm", module_from_spec(ModuleSpec("timm", None)))
    about = SimpleNamespace(model_type="pe_video")
    monkeypatch.setattr(AutoConfig, "from_pretrained", lambda *_, **__: about)
    read_pe_video(SimpleNamespace(from_pretrained=from_pretrained), tmp_path)
    assert capsys.readouterr().out == "ready\n"


def test_what_to_install_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    for kind in ("pe_audio_video", "pe_video"):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
        for name in ("model.safetensors", "tokenizer.json"):
            (tmp_path / name).touch()
        with pytest.raises(Unavailable, match=r"is PE-AV, .* pip install 'spr-engine\[timm\]'\."):
            load(tmp_path)


def test_a_file_of_videos_counts_where_it_is_read(tmp_path: Path) -> None:
    for kind, counts in (("pe_video", True), ("videoprism", True), ("qwen3_vl", False), ("clip", False)):
        (tmp_path / "config.json").write_text(json.dumps({"model_type": kind}))
        (tmp_path / VIDEOS).unlink(missing_ok=True)
        without = fingerprint_of(tmp_path)
        (tmp_path / VIDEOS).write_text("{}")
        assert (fingerprint_of(tmp_path) != without) == counts


def test_a_model_of_pictures_has_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"}))
    (tmp_path / VIDEOS).write_text("{}")
    for part, name in (("video", "preprocessor_config.json"), ("image", "processor_config.json")):
        (tmp_path / "processor_config.json").write_text(json.dumps({f"{part}_processor": {}}))
        assert pictures_file(tmp_path) == tmp_path / name


def test_what_its_file_does_not_say_is_as_its_own_processor_has_it(tmp_path: Path) -> None:
    (tmp_path / VIDEOS).write_text("{}")
    processor = FAMILIES["pe_video"].image_processor(tmp_path)
    assert (int(processor.resample), dict(processor.size)) == (2, {"height": 336, "width": 336})
    assert frames_of(processor, tmp_path) == 4


def test_its_file_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_fetch", lambda _, parts: tmp_path / str(VIDEOS in parts))
    assert files.resolve("publisher/model").name == "True"


def test_a_text_is_cut_where_its_published_code_cuts_it() -> None:
    about = SimpleNamespace(text_config=SimpleNamespace(max_position_embeddings=8192))
    assert FAMILIES["pe_video"].longest_of(about) == 512


@pytest.mark.parametrize("number", [0, True, 257, 4.0])
def test_a_number_of_frames_that_cannot_be_is_refused(tmp_path: Path, number: object) -> None:
    with pytest.raises(Mismatch, match=f"has num_frames {number}; give a whole number, 1 to 256"):
        frames_of(SimpleNamespace(num_frames=number), tmp_path)
