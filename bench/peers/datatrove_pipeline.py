"""datatrove's steps from a web archive to deduplicated JSON lines, in one process. Runs under an interpreter that has
`datatrove[io,processing]` and warcio; prints one JSON object.

    python datatrove_pipeline.py ARCHIVES OUT [LANGUAGE]
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.readers import JsonlReader, WarcReader
from datatrove.pipeline.writers import JsonlWriter


def run(name: str, steps: list, tasks: int = 1) -> None:
    LocalPipelineExecutor(steps, tasks=tasks, workers=1, logging_dir=f"{OUT}/logs/{name}").run()


ARCHIVES, OUT = sys.argv[1], Path(sys.argv[2])
begun = time.monotonic()
minhash = MinhashConfig()
run(
    "read",
    [
        WarcReader(ARCHIVES, glob_pattern="*.warc.gz"),
        Trafilatura(favour_precision=False, timeout=60),
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        C4QualityFilter(filter_no_terminal_punct=False),
        FineWebQualityFilter(),
        JsonlWriter(f"{OUT}/read"),
    ],
)
run("signatures", [JsonlReader(f"{OUT}/read"), MinhashDedupSignature(f"{OUT}/signatures", minhash)])
buckets = minhash.num_buckets
run("buckets", [MinhashDedupBuckets(f"{OUT}/signatures", f"{OUT}/buckets", config=minhash)], tasks=buckets)
run("cluster", [MinhashDedupCluster(f"{OUT}/buckets", f"{OUT}/remove", config=minhash)])
run("filter", [JsonlReader(f"{OUT}/read"), MinhashDedupFilter(f"{OUT}/remove"), JsonlWriter(f"{OUT}/kept")])


def count(folder: str) -> int:
    import gzip

    return sum(sum(1 for _ in gzip.open(file)) for file in (OUT / folder).glob("*.gz"))


usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(
    json.dumps(
        {
            "seconds": time.monotonic() - begun,
            "cpu": sum(u.ru_utime + u.ru_stime for u in usage),
            "peak": max(u.ru_maxrss for u in usage) * 1024,
            "extracted": count("read"),
            "kept": count("kept"),
        }
    )
)
