"""The same jobs on a Ray of this machine; needs the extra `cluster`."""

from __future__ import annotations

from pathlib import Path

import jobs_made
import pytest
from sansi.base import SansiError
from sansi.data import build_corpus
from sansi.data.work import Job, LocalExecutor
from test_corpus import config_of, digests, lines, prose

pytest.importorskip("ray", reason="needs Ray: the extra `cluster`")
pytestmark = pytest.mark.slow


def test_a_corpus_built_by_two_ray_workers_is_the_same(tmp_path: Path):
    import ray
    from sansi.data.work.ray_executor import RayExecutor

    files = [lines(tmp_path / f"{n}.jsonl", [prose(10 * n + m, 3) for m in range(9)]) for n in range(4)]
    build_corpus(tmp_path / "here", config_of(*files), executor=LocalExecutor(0))
    executor = RayExecutor(2)
    try:
        build_corpus(tmp_path / "there", config_of(*files), executor=executor)
        assert digests(tmp_path / "here") == digests(tmp_path / "there")
        keys = ["a", "crash", "once", "b", "memory"]
        job = Job(jobs_made.records, tmp_path / "out", {"keys": keys, "seen": tmp_path / "seen"}, watched=True)
        RayExecutor(2, memory_bytes=2 << 30).run([job], "records")
        assert (tmp_path / "out").read_text().splitlines() == ["a", "crash: crash", "once", "b", "memory: memory"]
        with pytest.raises(SansiError, match="the source is not there"):
            executor.run([Job(jobs_made.refuse, tmp_path / "no")], "failing")
    finally:
        ray.shutdown()
