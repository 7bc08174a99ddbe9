"""Sansi (三思): hybrid-reasoning language models of the Qwen3 design, from raw text to a service."""

__version__ = "0.1.0"
