"""Full weights, in a folder as the hub has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from sansi.model.formats.writing.folder_format import FolderFormat


class HfWriter(FolderFormat):
    """bfloat16, float16 or float32; a quantised source is dequantised."""

    name: ClassVar[str] = "hf"

    def fits(self, name: str, shape: tuple[int, ...]) -> bool:
        return False

    def described(self) -> Mapping[str, Any]:
        return {}
