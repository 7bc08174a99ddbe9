"""Where Triton's kernels are tested: on a CUDA device where there is one, else in Triton's interpreter on the CPU."""

from __future__ import annotations

import importlib.util

import pytest
import torch
from sansi.model.kernels.gpu import interpret

if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton is for Linux", allow_module_level=True)
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
if DEVICE.type == "cpu":
    interpret()
