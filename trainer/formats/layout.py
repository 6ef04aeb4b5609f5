"""The files of TVR-Ranking as the published SPR code reads them (arXiv 2407.06597, 2501.05072), by name.

Beside them an export keeps `spr.json` and `spr_videos.jsonl`, for what the layout has no place for: which
encoder made the features, their type and steps, and where each video came from.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import InvalidInput, NotFound
from trainer.collection.places import FRAMES

SPLITS = ("train", "val", "test")
I3D, SUBTITLES_BERT, SEGMENTS = "i3d", "subtitles-bert", "segments"
ARCHITECTURES = {512: "CLIP-ViT-B-32", 768: "CLIP-ViT-L-14"}
DEFAULT_ARCH = "CLIP-ViT-L-14"

_RANKING, _FEATURE = "TVR/TVR-Ranking", "TVR/TVR_feature"
PATHS = {
    "clip": "TVR/CLIP_feature/{arch}.hdf5",
    "queries": _RANKING + "/q_feats/all_queries/{arch}.hdf5",
    "segments_train": _RANKING + "/seg_anno/train_top{top_k:02d}_seg_{length}s.json",
    "segments_val": _RANKING + "/seg_anno/val_seg_{length}s.json",
    "segments_test": _RANKING + "/seg_anno/test_seg_{length}s.json",
    "counts": _RANKING + "/seg_anno/vidlen_seg_{length}s.json",
    "segment_features": _RANKING + "/seg_feats",
    "projector": _RANKING + "/ckpt.bin",
    "corpus": _RANKING + "/ori_anno/video_corpus_sorted.json",
    "train": _RANKING + "/ori_anno/train_top{top_k:02d}.json",
    "val": _RANKING + "/ori_anno/val.json",
    "test": _RANKING + "/ori_anno/test.json",
    "corpus_train": _RANKING + "/ori_anno/corpus_train.json",
    "corpus_val": _RANKING + "/ori_anno/corpus_val.json",
    "corpus_test": _RANKING + "/ori_anno/corpus_test.json",
    "coarse_val": _RANKING + "/coarse_pred/val_coarse_proposals.json",
    "coarse_test": _RANKING + "/coarse_pred/test_coarse_proposals.json",
    "samples": _RANKING + "/coarse_pred/train_top{top_k:02d}_pos_neg_samples_context_{context}.json",
    "tokens": _FEATURE + "/bert_feature/query_tvrr/query_bert.h5",
    "video": _FEATURE + "/video_feature/tvr_i3d_rgb600_avg_cl-{step}.h5",
    "subtitles": _FEATURE + "/bert_feature/sub_query/tvr_sub_pretrained_w_sub_query_max_cl-{step}.h5",
    "sidecar": "spr.json",
    "videos": "spr_videos.jsonl",
}
# The stream of our store that each file of features holds.
STREAMS = {"clip": FRAMES, "video": I3D, "subtitles": SUBTITLES_BERT, "segment_features": SEGMENTS}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the files of one data set are.

    top_k: moments a training query, in file names. length: seconds a segment. context: seconds around the
    training samples' proposals. step: seconds a clip of `video` and `subtitles`. overrides: single paths.
    """

    root: Path
    arch: str = DEFAULT_ARCH
    top_k: int = 40
    length: int = 4
    context: int = 8
    step: float = 1.5
    overrides: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in self.overrides:
            if name not in PATHS:
                raise InvalidInput(f"There is no file {name!r} in the layout; there are {', '.join(PATHS)}.")

    def path(self, name: str) -> Path:
        """Return the path of one file, whether it is there or not."""
        if name in self.overrides:
            return self.overrides[name]
        # The published names write 1.5 and 1.0 so.
        values = {
            "arch": self.arch,
            "top_k": self.top_k,
            "length": self.length,
            "context": self.context,
            "step": float(self.step),
        }
        return self.root / PATHS[name].format(**values)

    def has(self, name: str) -> bool:
        """Whether a file, or the folder of segment features, is there; NotFound if an override is not."""
        there = self.path(name).exists()
        if not there and name in self.overrides:
            raise NotFound(f"{self.path(name)} does not exist; name the file of {name!r}.")
        return there

    def need(self, name: str) -> Path:
        """Return the path of a file that must be there; NotFound with how to name another."""
        if not self.has(name):
            raise NotFound(f"{self.path(name)} does not exist; name it with --file {name}=PATH.")
        return self.path(name)


def found_arch(root: Path) -> str:
    """Return the architecture whose features are there: the published one, or the only one."""
    made = sorted(path.stem for path in (root / PATHS["clip"]).parent.glob("*.hdf5"))
    if not made or DEFAULT_ARCH in made:
        return DEFAULT_ARCH
    if len(made) > 1:
        raise InvalidInput(f"{root} has features of {', '.join(made)}; choose one with --arch.")
    return made[0]
