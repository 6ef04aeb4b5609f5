"""A plugin of pytest, `-p tests.torchvision_ops`: torchvision is imported beside a torch of another build.

Its compiled operators do not load there, and two are asked for while it is imported. They are declared here;
no encoder calls them, and nothing could: they have no code. What cannot be imported then ends the run, which
would skip all that it is for.
"""

from importlib import import_module

import torch

_DECLARED = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
try:
    import_module("torchvision")
except RuntimeError:
    for _name in ("nms", "qnms"):
        _kind = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        _DECLARED.define(_name + _kind)  # type: ignore[no-untyped-call]
for _name in ("timm", "open_clip"):
    import_module(_name)
