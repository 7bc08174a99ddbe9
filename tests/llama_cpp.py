"""llama.cpp's own library by ctypes, for tests: what it makes of our files, and files that it made.

`make formats` fetches it into build/llama_cpp (the npm package @node-llama-cpp/linux-x64, which carries the libraries);
without it the tests that need it are skipped. Structures that the library passes by value are never spelled out here:
they are taken from its own defaults as bytes, and the few fields at their beginning are set.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(os.environ.get("SANSI_LLAMA_CPP", Path(__file__).parents[1] / "build" / "llama_cpp"))
FILE_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 7, "Q5_0": 8, "Q4_K_M": 15, "Q5_K_M": 17, "Q6_K": 18, "BF16": 32}
_QUIET = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
_silent = _QUIET(lambda level, text, data: None)


def libraries() -> Path | None:
    """The folder of the libraries; None where they were not fetched."""
    found = sorted(FOLDER.glob("**/libllama*.so"))
    return found[0].parent if found else None


needs_llama_cpp = pytest.mark.skipif(libraries() is None, reason="llama.cpp is not there; `make formats` fetches it")


class _Blob(ctypes.Structure):
    """A structure of unknown fields, with room for more than it has; passed by value it is read as far as it goes."""

    _fields_ = [("words", ctypes.c_uint32 * 128)]


class _Batch(ctypes.Structure):
    _fields_ = [
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("embd", ctypes.c_void_p),
        ("pos", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.c_void_p),
        ("seq_id", ctypes.c_void_p),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    ]


@cache
def _base() -> ctypes.CDLL:
    folder = libraries()
    assert folder is not None
    library = ctypes.CDLL(str(folder / "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    return library


@cache
def _library() -> ctypes.CDLL:
    folder = libraries()
    assert folder is not None
    _base()
    ggml = ctypes.CDLL(str(next(folder.glob("libggml.*so"))), mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(next(f for f in folder.glob("libllama*.so") if "common" not in f.name)))
    ggml.ggml_backend_load_all_from_path(str(folder).encode())
    library.llama_log_set(_silent, None)
    for name in ("llama_model_default_params", "llama_context_default_params", "llama_model_quantize_default_params"):
        getattr(library, name).restype = _Blob
    for name in ("llama_model_load_from_file", "llama_init_from_model", "llama_model_get_vocab", "llama_get_memory"):
        getattr(library, name).restype = ctypes.c_void_p
    library.llama_get_logits_ith.restype = ctypes.POINTER(ctypes.c_float)
    library.llama_model_chat_template.restype = ctypes.c_char_p
    library.llama_backend_init()
    return library


class Llama:
    """A model in a GGUF file, computed by llama.cpp."""

    def __init__(self, file: str | Path, context: int = 512, threads: int = 1, sequences: int = 1):
        """context: tokens of all sequences together; more than one sequence is for `step` alone."""
        library = _library()
        model = library.llama_model_load_from_file(str(file).encode(), library.llama_model_default_params())
        assert model, f"llama.cpp can not load {file}"
        self._model = ctypes.c_void_p(model)
        params = library.llama_context_default_params()
        params.words[0] = params.words[1] = params.words[2] = context  # n_ctx, n_batch, n_ubatch
        params.words[3] = sequences  # n_seq_max
        self._context = ctypes.c_void_p(library.llama_init_from_model(self._model, params))
        assert self._context, f"llama.cpp can not make a context for {file}"
        library.llama_set_n_threads(self._context, threads, threads)
        self._vocab = ctypes.c_void_p(library.llama_model_get_vocab(self._model))
        self._past = 0

    def __enter__(self) -> Llama:
        return self

    def __exit__(self, *error: object) -> None:
        library = _library()
        library.llama_free(self._context)
        library.llama_model_free(self._model)

    @property
    def vocab_size(self) -> int:
        return int(_library().llama_vocab_n_tokens(self._vocab))

    def forget(self) -> None:
        """Begin a new sequence."""
        library = _library()
        library.llama_memory_clear(ctypes.c_void_p(library.llama_get_memory(self._context)), ctypes.c_bool(True))
        self._past = 0

    def decode(self, ids: Sequence[int], every: bool = True, rows: Sequence[int] | None = None) -> np.ndarray:
        """Logits after the next tokens of the sequence: of every one [T, V], of the last [1, V], or of `rows`."""
        count = len(ids)
        wanted = list(rows) if rows is not None else range(count) if every else [count - 1]
        chosen = set(wanted)
        batch = _Batch(count, (ctypes.c_int32 * count)(*ids))
        batch.pos = (ctypes.c_int32 * count)(*range(self._past, self._past + count))
        batch.logits = (ctypes.c_int8 * count)(*(int(i in chosen) for i in range(count)))
        failed = _library().llama_decode(self._context, batch)
        assert failed == 0, failed
        self._past += count
        found = [_library().llama_get_logits_ith(self._context, i) for i in wanted]
        return np.stack([np.ctypeslib.as_array(row, (self.vocab_size,)).copy() for row in found])

    def step(self, tokens: Sequence[int], positions: Sequence[int], owners: Sequence[int]) -> np.ndarray:
        """Logits [V] after the last of tokens that belong to sequences of these numbers, all in one batch."""
        count = len(tokens)
        numbers = [(ctypes.c_int32 * 1)(owner) for owner in owners]
        pointers = (ctypes.c_void_p * count)(*map(ctypes.addressof, numbers))
        ones = (ctypes.c_int32 * count)(*[1] * count)
        batch = _Batch(count, (ctypes.c_int32 * count)(*tokens))
        batch.pos = (ctypes.c_int32 * count)(*positions)
        batch.logits = (ctypes.c_int8 * count)(*[len(set(owners)) > 1] * (count - 1), 1)
        batch.n_seq_id, batch.seq_id = ctypes.addressof(ones), ctypes.addressof(pointers)
        failed = _library().llama_decode(self._context, batch)
        assert failed == 0, failed
        row = _library().llama_get_logits_ith(self._context, count - 1)
        return np.ctypeslib.as_array(row, (self.vocab_size,))

    def logits(self, ids: Sequence[int], rows: Sequence[int] | None = None) -> np.ndarray:
        """[T, V] of a sequence of its own, or of some of its rows."""
        self.forget()
        return self.decode(ids, rows=rows)

    def tokenize(self, text: str, special: bool = False) -> list[int]:
        raw = text.encode()
        room = (ctypes.c_int32 * (len(raw) + 16))()
        flags = (ctypes.c_bool(False), ctypes.c_bool(special))
        count = _library().llama_tokenize(self._vocab, raw, len(raw), room, len(room), *flags)
        assert count >= 0
        return list(room[:count])

    def ends(self, token: int) -> bool:
        """Whether a token ends generation."""
        return bool(_library().llama_vocab_is_eog(self._vocab, token) & 1)

    @property
    def template(self) -> str | None:
        found = _library().llama_model_chat_template(self._model, None)
        return found.decode() if found else None


def quantize(source: str | Path, target: str | Path, kind: str, threads: int = 1) -> None:
    """Let llama.cpp make a file of another kind."""
    library = _library()
    params = library.llama_model_quantize_default_params()
    params.words[0], params.words[1] = threads, FILE_TYPES[kind]
    failed = library.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(params))
    assert failed == 0, failed


def quantize_rows(rows: np.ndarray, number: int, row_bytes: int, importance: np.ndarray | None = None) -> bytes:
    """Rows [N, K] float32 by llama.cpp's own quantiser, as the bytes of the type `number`."""
    rows = np.ascontiguousarray(rows, dtype=np.float32)
    out = ctypes.create_string_buffer(len(rows) * row_bytes)
    weights = None if importance is None else np.ascontiguousarray(importance, dtype=np.float32)
    _base().ggml_quantize_chunk(
        number,
        ctypes.c_void_p(rows.ctypes.data),
        out,
        ctypes.c_int64(0),
        ctypes.c_int64(rows.shape[0]),
        ctypes.c_int64(rows.shape[1]),
        ctypes.c_void_p(None if weights is None else weights.ctypes.data),
    )
    return out.raw
