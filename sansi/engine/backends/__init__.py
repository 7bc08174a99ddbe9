"""What computes: the torch module itself (reference and fallback, any device), or our own kernels."""

from sansi.engine.backends.torch_backend import TorchBackend

__all__ = ["TorchBackend"]
