"""Figures that the code drew, as PNG: caught when it shows them, and what is still open when it ends."""

from __future__ import annotations

import io
import sys

TYPE_CHECKING = False  # typing's own would import it
if TYPE_CHECKING:
    from typing import Any

MOST, LARGEST = 16, 8 * 2**20  # figures of one call, bytes of one


class QuietFonts:
    """In `sys.meta_path`: keeps matplotlib's word on building its font cache, which a new machine has none of, out of
    what the code prints. It finds nothing itself."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        if name == "matplotlib.font_manager":
            import logging

            logging.getLogger(name).setLevel(logging.ERROR)


_taken: list[bytes] = []
_left_out = 0


def begin() -> None:
    """Forget what an earlier call drew."""
    global _left_out
    _taken.clear()
    _left_out = 0


def finish() -> tuple[list[str], list[bytes]]:
    """Names and bytes of all figures of this call."""
    show()
    if _left_out:
        print(f"[{_left_out} figures left out: at most {MOST} a call, {LARGEST >> 20} MiB each]")
    return [f"figure-{index}.png" for index in range(1, len(_taken) + 1)], list(_taken)


def show(*args: Any, **kwargs: Any) -> None:
    """Take every open figure, and close it. It stands for matplotlib.pyplot.show."""
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    if helpers is None:
        return
    for manager in helpers.Gcf.get_all_fig_managers():
        buffer = io.BytesIO()
        try:
            manager.canvas.figure.savefig(buffer, format="png", bbox_inches="tight")
        except Exception as error:  # a figure that can not be drawn costs only itself
            print(f"[figure {manager.num} could not be drawn: {type(error).__name__}: {error}]")
        else:
            _add(buffer.getvalue())
    helpers.Gcf.destroy_all()


def take(value: Any) -> bool:
    """Take a value that is a picture (an image of Pillow); whether it was one. Figures are taken at the end anyway."""
    if "matplotlib.figure" in sys.modules and isinstance(value, sys.modules["matplotlib.figure"].Figure):
        return True
    draw = getattr(type(value), "_repr_png_", None)
    data = draw(value) if callable(draw) else None
    if not isinstance(data, bytes):
        return False
    _add(data)
    return True


def _add(data: bytes) -> None:
    global _left_out
    if len(_taken) < MOST and len(data) <= LARGEST:
        _taken.append(data)
    else:
        _left_out += 1
