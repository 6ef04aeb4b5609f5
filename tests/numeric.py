"""How tests compare numbers: tensors norm-wise, so that no answer depends on the processor.

The last bits of a float32 sum depend on the width of the processor's vectors and on the number of
threads. An element near zero among large ones carries the rounding of the large ones, so a tolerance
for each element is wrong on some machine or too wide. The measure is max |difference| against
max |value| of the tensor.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

# Of float32 values that went through a model, and of gradients; of float64 values after some sums.
FLOAT32 = 1e-5
GRADIENT = 1e-4
FLOAT64 = 1e-9
# What fills padded places is beyond this; one such value would let every other difference pass.
PADDING = 1e30


def deviation(found: Any, wanted: Any, scale: float | None = None) -> float:
    """Return max |found - wanted| / scale, in float64. scale: max |wanted| unless given.

    found, wanted: tensors, arrays, lists or numbers; wanted may be one number for all of found.
    Equal infinities do not differ. NaN anywhere, or a difference at scale 0, gives inf.
    """
    found, wanted = array(found), array(wanted)
    assert wanted.shape in (found.shape, ()), f"shape {found.shape}, not {wanted.shape}"
    if found.size == 0:
        return 0.0
    with np.errstate(invalid="ignore"):
        largest = float(np.where(found == wanted, 0.0, np.abs(found - wanted)).max())
    if scale is None:
        scale = float(np.abs(wanted).max())
        assert scale < PADDING or not np.isfinite(scale), "compare what is valid: padding would be the scale"
    if largest == 0.0:
        return 0.0
    return largest / scale if scale > 0 and np.isfinite(largest) else float("inf")


def close(
    found: Any,
    wanted: Any,
    within: float = FLOAT32,
    *,
    where: NDArray[np.bool_] | None = None,
    scale: float | None = None,
    name: str = "",
) -> None:
    """Fail unless max |found - wanted| <= within x scale.

    where: the places that count; all by default. scale: max |wanted| there by default; 1 makes `within`
    absolute. name: of the tensor, for the message.
    """
    found, wanted = array(found), array(wanted)
    if where is not None:
        found, wanted = found[where], wanted[where]
    away = deviation(found, wanted, scale)
    assert away <= within, f"{name or 'tensor'}: {away:.3g} of the scale away, at most {within:g}"


def array(values: Any) -> NDArray[np.float64]:
    """Return values as float64, detached and on the CPU."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().double().numpy()
    return np.asarray(values, np.float64)
