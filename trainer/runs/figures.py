"""Figures without a screen, and without a trace in the home directory."""

import atexit
import functools
import importlib
import os
import shutil
import tempfile
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(
    width: float, height: float, layout: Literal["constrained"] | None = "constrained"
) -> "Figure":
    """Return an empty figure of so many inches, to be saved as PNG."""
    _import_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


@functools.cache
def _import_matplotlib() -> None:
    """Import matplotlib; its list of fonts goes where MPLCONFIGDIR says, else it goes with the process."""
    if "MPLCONFIGDIR" in os.environ:
        return
    folder = tempfile.mkdtemp(prefix="spr-matplotlib-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["MPLCONFIGDIR"] = folder
    try:
        # It asks for the directory once.
        importlib.import_module("matplotlib.font_manager")
    finally:
        del os.environ["MPLCONFIGDIR"]
