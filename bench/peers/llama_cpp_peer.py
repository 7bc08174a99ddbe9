"""llama.cpp by its batch interface, with continuous batching: the way its own server runs several sequences.

Variants: flash attention "on" or "off"; the driver keeps the faster one for each case. Each sequence has a cache of its
own, except where prompts share a prefix: that is computed once and given to all, which needs a unified cache.
options: threads, n_batch, way ("batch"; "sequential": the class `Llama`, one request after the other, which keeps the
longest prefix that the next prompt shares: what llama-cpp-python's server does).
"""

import ctypes
import time

import numpy as np
from wire import Contender, serve

import llama_cpp


class LlamaCpp(Contender):
    def load(self, model, options):
        self.threads, self.n_batch = options.get("threads", 2), options.get("n_batch", 512)
        self.sequential = options.get("way") == "sequential"
        if self.sequential:
            self.llama = llama_cpp.Llama(
                model, n_ctx=8192, n_threads=self.threads, n_threads_batch=self.threads, flash_attn=True, verbose=False
            )
        else:
            llama_cpp.llama_backend_init()
            params = llama_cpp.llama_model_default_params()
            self.model = llama_cpp.llama_model_load_from_file(model.encode(), params)
            if not self.model:
                raise RuntimeError(f"cannot load {model}")
            vocab = llama_cpp.llama_model_get_vocab(self.model)
            self.vocab_size = llama_cpp.llama_vocab_n_tokens(vocab)
        return {
            "version": llama_cpp.__version__,
            "system": llama_cpp.llama_print_system_info().decode().strip(),
            "variants": [] if self.sequential else ["flash", "no flash"],
        }

    def run(self, case):
        if self.sequential:
            return self._one_by_one(case)
        prefix = _shared_prefix(case["prompts"])
        context = self._context(case, unified=prefix > 0)
        try:
            return _Run(context, self.vocab_size, self.n_batch, case, prefix).finish()
        finally:
            llama_cpp.llama_free(context)

    def _context(self, case, unified):
        """A context that holds all sequences at once, as far as 64 of them; the longest sets the length of each."""
        sequences = min(len(case["prompts"]), 64)
        longest = max(len(p) + n for p, n in zip(case["prompts"], case["new_tokens"], strict=True))
        params = llama_cpp.llama_context_default_params()
        params.n_seq_max = sequences
        params.n_ctx = max(-(-longest // 256) * 256 * sequences, case.get("context", 0))
        params.n_batch = params.n_ubatch = self.n_batch
        params.n_threads = params.n_threads_batch = self.threads
        params.flash_attn_type = 0 if case.get("variant") == "no flash" else 1
        params.kv_unified = unified
        params.no_perf = True
        context = llama_cpp.llama_init_from_model(self.model, params)
        if not context:
            raise RuntimeError("llama_init_from_model failed")
        return context

    def _one_by_one(self, case):
        llama, ids, times = self.llama, [], []
        llama.reset()
        start = time.perf_counter()
        for prompt, count in zip(case["prompts"], case["new_tokens"], strict=True):
            made, at = [], []
            for token in llama.generate(prompt, temp=0.0, top_k=1, repeat_penalty=1.0):
                made.append(token)
                at.append(time.perf_counter() - start)
                if len(made) == count:
                    break
            ids.append(made)
            times.append(at)
        return {"times": times, "ids": ids}


class _Run:
    """One case: every step decodes a token of each running sequence and fills the batch with prompts that wait."""

    def __init__(self, context, vocab_size, n_batch, case, prefix):
        self.context, self.vocab_size, self.n_batch = context, vocab_size, n_batch
        self.prompts, self.new_tokens = case["prompts"], case["new_tokens"]
        self.prefix = prefix
        count = len(self.prompts)
        self.done = [0] * count  # prompt tokens in the cache
        self.ids = [[] for _ in range(count)]
        self.times = [[] for _ in range(count)]
        self.free = list(range(llama_cpp.llama_n_seq_max(context)))[::-1]
        self.slot = {}
        self.waiting = list(range(count))
        self.batch = llama_cpp.llama_batch_init(n_batch, 0, 1)

    def finish(self):
        self.start = time.perf_counter()
        if self.prefix:
            self._share_prefix()
        while self.waiting or self.slot:
            while self.waiting and self.free:
                self.slot[self.waiting.pop(0)] = self.free.pop()
            self._step()
        llama_cpp.llama_batch_free(self.batch)
        return {"times": self.times, "ids": self.ids}

    def _share_prefix(self):
        """The common prefix goes through the model once, and into every sequence."""
        memory, prompt = llama_cpp.llama_get_memory(self.context), self.prompts[0]
        for first in range(0, self.prefix, self.n_batch):
            self.batch.n_tokens = 0
            for position in range(first, min(first + self.n_batch, self.prefix)):
                self._add(prompt[position], position, 0, False)
            self._decode()
        for sequence in range(1, llama_cpp.llama_n_seq_max(self.context)):
            llama_cpp.llama_memory_seq_cp(memory, 0, sequence, 0, self.prefix)
        self.done = [self.prefix] * len(self.prompts)

    def _step(self):
        self.batch.n_tokens = 0
        rows = []  # (request, index in the batch) of those that get a token
        running = [r for r in self.slot if self.ids[r]]
        for request in running:
            position = len(self.prompts[request]) + len(self.ids[request]) - 1
            rows.append((request, self._add(self.ids[request][-1], position, self.slot[request], True)))
        for request in [r for r in self.slot if not self.ids[r]]:
            prompt = self.prompts[request]
            while self.done[request] < len(prompt) and self.batch.n_tokens < self.n_batch:
                position = self.done[request]
                last = position == len(prompt) - 1
                index = self._add(prompt[position], position, self.slot[request], last)
                self.done[request] += 1
                if last:
                    rows.append((request, index))
        self._decode()
        self._take(rows)

    def _take(self, rows):
        for request, index in rows:
            logits = llama_cpp.llama_get_logits_ith(self.context, index)
            self.ids[request].append(int(np.ctypeslib.as_array(logits, (self.vocab_size,)).argmax()))
        now = time.perf_counter() - self.start
        for request, _ in rows:
            self.times[request].append(now)
            if len(self.ids[request]) == self.new_tokens[request]:
                slot = self.slot.pop(request)
                self.free.append(slot)
                if self.waiting:
                    llama_cpp.llama_memory_seq_rm(llama_cpp.llama_get_memory(self.context), slot, -1, -1)

    def _add(self, token, position, sequence, logits):
        batch, index = self.batch, self.batch.n_tokens
        batch.token[index], batch.pos[index] = token, position
        batch.n_seq_id[index], batch.seq_id[index][0] = 1, sequence
        batch.logits[index] = logits
        batch.n_tokens += 1
        return index

    def _decode(self):
        if status := llama_cpp.llama_decode(self.context, self.batch):
            raise RuntimeError(f"llama_decode returned {status}")


def _shared_prefix(prompts):
    """Tokens that all prompts begin with; 0 unless worth sharing."""
    if len(prompts) < 2:
        return 0
    length = 0
    for column in zip(*prompts, strict=False):
        if len(set(column)) > 1:
            break
        length += 1
    return length if length >= 64 else 0


@llama_cpp.llama_log_callback
def _quiet(level, text, data):
    pass


if __name__ == "__main__":
    llama_cpp.llama_log_set(_quiet, ctypes.c_void_p(0))
    serve(LlamaCpp())
