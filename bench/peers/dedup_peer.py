"""The other programs of bench/data_dedup.py, run by a Python that has them; the last line of output is JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path


def signatures(path: str) -> dict[str, float]:
    import datasketch
    import numpy as np
    import rensa

    loaded = np.load(path)
    sets = [loaded[name] for name in loaded.files]
    words = [[str(number) for number in one.tolist()] for one in sets]  # rensa takes texts; making them is not timed
    empty = datasketch.MinHash(128, seed=1, hashfunc=int)

    def sketch(one: np.ndarray) -> None:
        empty.copy().update_batch(one)

    def rust(one: list[str]) -> None:
        made = rensa.RMinHash(num_perm=128, seed=1)
        made.update(one)
        made.digest()

    rates = {}
    for name, function, inputs in (("datasketch", sketch, sets), ("rensa", rust, words)):
        began = time.process_time()
        for one in inputs:
            function(one)
        rates[name] = len(sets) / (time.process_time() - began)
    return rates


def steps(texts: str, out: str) -> dict[str, float]:
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers import JsonlWriter

    config = MinhashConfig(n_grams=3, num_buckets=32, hashes_per_bucket=4)
    tasks = len(list(Path(texts).glob("*.jsonl")))
    reader = JsonlReader(texts)
    pipelines = [
        ([reader, MinhashDedupSignature(f"{out}/sigs", config)], tasks),
        ([MinhashDedupBuckets(f"{out}/sigs", f"{out}/buckets", config=config)], config.num_buckets),
        ([MinhashDedupCluster(f"{out}/buckets", f"{out}/remove", config=config)], 1),
        ([reader, MinhashDedupFilter(f"{out}/remove"), JsonlWriter(f"{out}/kept", compression=None)], tasks),
    ]
    began = time.process_time()
    for number, (pipeline, count) in enumerate(pipelines):
        LocalPipelineExecutor(pipeline, tasks=count, workers=1, logging_dir=f"{out}/logs-{number}").run()
    seconds = time.process_time() - began
    kept = sum(len(path.read_text().splitlines()) for path in Path(out, "kept").glob("*.jsonl"))
    return {"seconds": seconds, "kept": kept}


if __name__ == "__main__":
    print("\n" + json.dumps({"signatures": signatures, "steps": steps}[sys.argv[1]](*sys.argv[2:])))
