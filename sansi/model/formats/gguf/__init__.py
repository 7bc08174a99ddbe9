"""GGUF files: one file with weights, configuration and tokenizer, as llama.cpp and what is built on it read them."""

from __future__ import annotations

from sansi.model.formats.gguf.folder import folder_of

__all__ = ["folder_of"]
