"""Vectors of texts from any server with OpenAI's `/v1/embeddings`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sansi.base.errors import SansiError

Vectors = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Embeddings:
    """A model behind an address. Times in seconds."""

    url: str
    """As clients have it: "http://127.0.0.1:8080/v1"."""
    model: str
    api_key: str | None = field(default=None, repr=False)
    query_prefix: str = ""
    """What stands before a question; Qwen3-Embedding wants "Instruct: …\\nQuery: "."""
    batch: int = 32
    """Texts in one request."""
    timeout: float = 60.0

    def of_query(self, query: str) -> Vectors:
        """[d], of length 1."""
        return self.of_texts([self.query_prefix + query])[0]

    def of_texts(self, texts: Sequence[str]) -> Vectors:
        """[n, d], each of length 1. Raises SansiError, a sentence, for whatever the server does wrong."""
        import httpx

        from sansi.client.streaming import Server

        server = Server(self.url, self.api_key, self.timeout, self.timeout)
        address = f"{self.url.rstrip('/')}/embeddings"
        try:
            response = httpx.post(
                address,
                json={"model": self.model, "input": list(texts), "encoding_format": "float"},
                **server.options,
            )
            response.raise_for_status()
            vectors = _read(response.json(), len(texts))
        except httpx.HTTPStatusError as error:
            said = error.response.text[:200].replace("\n", " ")
            raise SansiError(f"{address} answered {error.response.status_code}: {said}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SansiError(f"{address} does not answer: {error or type(error).__name__}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise SansiError(
                f"{address} answered something that is no list of {len(texts)} vectors: {error}"
            ) from error
        return vectors


def _read(body: Any, count: int) -> Vectors:
    entries = sorted(body["data"], key=lambda entry: entry.get("index", 0))
    vectors = np.array([entry["embedding"] for entry in entries], dtype=np.float32)
    if vectors.ndim != 2 or len(vectors) != count or not vectors.shape[1] or not np.isfinite(vectors).all():
        raise ValueError(f"the shape is {vectors.shape}")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.maximum(lengths, 1e-12)
