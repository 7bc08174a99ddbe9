"""Sansi's engine. options: dtype, quantize (null, "int8", "int4"), backend, max_batch, threads, device."""

import asyncio
import time

import torch
from sansi.engine import Engine, SamplingParams
from wire import Contender, serve


class Sansi(Contender):
    def load(self, model, options):
        torch.set_num_threads(options.pop("threads", 2))
        self.engine = Engine.from_pretrained(model, **options)
        facts = {"torch": torch.__version__, "variants": []}
        return {**facts, "plan": str(getattr(self.engine, "plan", ""))}

    def run(self, case):
        prompts = case["prompts"]
        params = [SamplingParams(temperature=case.get("temperature", 0.0), max_tokens=n) for n in case["new_tokens"]]
        if case.get("stream", True):
            return asyncio.run(self._stream(prompts, params))
        start = time.perf_counter()
        done = self.engine.generate(prompts, params)
        seconds = time.perf_counter() - start
        return {"times": [[seconds] for _ in done], "ids": [list(c.ids) for c in done]}

    async def _stream(self, prompts, params):
        start = time.perf_counter()
        times, ids = [[] for _ in prompts], [[] for _ in prompts]

        async def follow(index):
            async for delta in self.engine.stream(prompts[index], params[index]):
                times[index] += [time.perf_counter() - start] * len(delta.ids)
                ids[index] += delta.ids

        await asyncio.gather(*(follow(index) for index in range(len(prompts))))
        return {"times": times, "ids": ids}


if __name__ == "__main__":
    serve(Sansi())
