"""SGLang's offline engine; it tells when everything is done, not when each token was. options: dtype, device."""

import time

from wire import Contender, serve


class SGLang(Contender):
    def load(self, model, options):
        import sglang

        self.engine = sglang.Engine(
            model_path=model, dtype=options.get("dtype", "bfloat16"), skip_tokenizer_init=True, mem_fraction_static=0.7
        )
        return {"version": sglang.__version__, "variants": []}

    def run(self, case):
        params = [
            {"temperature": case.get("temperature", 0.0), "max_new_tokens": n, "ignore_eos": True}
            for n in case["new_tokens"]
        ]
        start = time.perf_counter()
        done = self.engine.generate(input_ids=case["prompts"], sampling_params=params)
        seconds = time.perf_counter() - start
        return {"times": [[seconds] for _ in done], "ids": [list(one["output_ids"]) for one in done]}


if __name__ == "__main__":
    serve(SGLang())
