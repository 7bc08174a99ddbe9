"""vLLM in this process, prefix caching on, its scheduler driven step by step so that each token has a time.

options: dtype, threads, cache_gib (memory for keys and values), max_model_len, device ("cpu" or "cuda").
"""

import os
import time

from wire import Contender, serve


class VLLM(Contender):
    def load(self, model, options):
        os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # no second process and no message per step
        os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
        more = {}
        if options.get("device", "cpu") == "cpu":
            threads = options.get("threads", 2)
            os.environ["VLLM_CPU_KVCACHE_SPACE"] = str(options.get("cache_gib", 3))
            os.environ["VLLM_CPU_OMP_THREADS_BIND"] = f"0-{threads - 1}"
            more["enforce_eager"] = not options.get("compile", False)
        else:
            more["gpu_memory_utilization"] = 0.8
        import vllm

        self.vllm = vllm
        self.engine = vllm.LLM(
            model=model,
            dtype=options.get("dtype", "float32"),
            max_model_len=options.get("max_model_len", 8192),
            enable_prefix_caching=True,
            max_num_seqs=options.get("max_num_seqs", 64),
            skip_tokenizer_init=True,
            **more,
        ).llm_engine
        self.asked = 0
        return {"version": vllm.__version__, "variants": []}

    def run(self, case):
        names = []
        start = time.perf_counter()
        for prompt, count in zip(case["prompts"], case["new_tokens"], strict=True):
            params = self.vllm.SamplingParams(
                temperature=case.get("temperature", 0.0), max_tokens=count, ignore_eos=True, detokenize=False
            )
            names.append(str(self.asked))
            self.asked += 1
            self.engine.add_request(names[-1], {"prompt_token_ids": prompt}, params)
        times, ids = {n: [] for n in names}, {n: [] for n in names}
        while self.engine.has_unfinished_requests():
            outputs = self.engine.step()
            now = time.perf_counter() - start
            for output in outputs:
                made = list(output.outputs[0].token_ids)  # all so far
                times[output.request_id] += [now] * (len(made) - len(times[output.request_id]))
                ids[output.request_id] = made
        return {"times": [times[n] for n in names], "ids": [ids[n] for n in names]}


if __name__ == "__main__":
    serve(VLLM())
