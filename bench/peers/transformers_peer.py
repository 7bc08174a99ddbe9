"""transformers' `generate` on left-padded batches of at most 16 prompts, scaled-dot-product attention.

Variants: a "dynamic" or a "static" cache. options: dtype, threads, device.
"""

import time

import torch
import transformers
from wire import Contender, serve

MAX_BATCH = 16


class Clock(transformers.generation.streamers.BaseStreamer):
    """Notes when each step's tokens arrive; the first call brings the prompt."""

    def __init__(self, start):
        self.start, self.times, self.prompt_seen = start, [], False

    def put(self, value):
        if self.prompt_seen:
            self.times.append(time.perf_counter() - self.start)
        self.prompt_seen = True

    def end(self):
        pass


class Transformers(Contender):
    def load(self, model, options):
        torch.set_num_threads(options.get("threads", 2))
        self.device = options.get("device", "cpu")
        dtype = getattr(torch, options.get("dtype", "float32"))
        model = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=dtype, attn_implementation="sdpa")
        model.generation_config = transformers.GenerationConfig()  # the checkpoint's stop tokens would fill in for None
        self.model = model.eval().to(self.device)
        return {"version": transformers.__version__, "torch": torch.__version__, "variants": ["dynamic", "static"]}

    def run(self, case):
        pairs = sorted(enumerate(zip(case["prompts"], case["new_tokens"], strict=True)), key=lambda pair: pair[1][1])
        times, ids = [[] for _ in pairs], [[] for _ in pairs]
        start = time.perf_counter()
        for first in range(0, len(pairs), MAX_BATCH):  # answers of like length together, so that little is wasted
            group = pairs[first : first + MAX_BATCH]
            clock = Clock(start)
            made = self._generate([p for _, (p, _) in group], max(n for _, (_, n) in group), clock, case)
            for (index, (_, count)), row in zip(group, made, strict=True):
                times[index], ids[index] = clock.times[:count], row[:count]
        return {"times": times, "ids": ids}

    @torch.inference_mode()
    def _generate(self, prompts, count, clock, case):
        width = max(map(len, prompts))
        ids = torch.tensor([[0] * (width - len(p)) + p for p in prompts], device=self.device)
        mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts], device=self.device)
        settings = transformers.GenerationConfig(
            do_sample=False,
            max_new_tokens=count,
            min_new_tokens=None,
            eos_token_id=None,
            pad_token_id=0,
            cache_implementation="static" if case.get("variant") == "static" else None,
        )
        out = self.model.generate(ids, attention_mask=mask, generation_config=settings, streamer=clock)
        return out[:, width:].tolist()


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    serve(Transformers())
