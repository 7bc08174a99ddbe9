"""The machine itself: what memory and arithmetic can give at most. Its "run" takes no prompts and returns rates.

Memory: reading 1 GiB with both cores, by a few lines of C where there is a compiler, else by torch's sum (which reaches
nine tenths of it). Arithmetic: square products of 2,048 in torch, float32 and bfloat16.
"""

import ctypes
import subprocess
import tempfile
import time
from pathlib import Path

import torch
from wire import Contender, serve

READ = r"""
#include <stddef.h>
#include <omp.h>
float read_all(const float* a, size_t n, int threads) {
  float total = 0;
  #pragma omp parallel num_threads(threads) reduction(+ : total)
  {
    size_t share = n / omp_get_num_threads(), first = share * omp_get_thread_num();
    float part[128] = {0};
    for (size_t i = first; i < first + share; i += 128)
      for (int j = 0; j < 128; j++) part[j] += a[i + j];
    for (int j = 0; j < 128; j++) total += part[j];
  }
  return total;
}
"""
FLOATS = 1 << 28


class Machine(Contender):
    def load(self, model, options):
        self.threads = options.get("threads", 2)
        torch.set_num_threads(self.threads)
        self.read = self._compile()
        return {"variants": [], "reader": "C" if self.read else "torch", "torch": torch.__version__}

    def run(self, case):
        memory = torch.ones(FLOATS)
        seconds = min(_seconds(lambda: self._read(memory)) for _ in range(5))
        rates = {"read_gbs": FLOATS * 4 / seconds / 1e9}
        for dtype in (torch.float32, torch.bfloat16):
            square = torch.ones(2048, 2048, dtype=dtype)
            seconds = min(_seconds(lambda s=square: s @ s) for _ in range(4))
            rates[str(dtype).removeprefix("torch.") + "_gflops"] = 2 * 2048**3 / seconds / 1e9
        return {"rates": rates}

    def _read(self, memory):
        if self.read is None:
            return memory.sum()
        return self.read(ctypes.c_void_p(memory.data_ptr()), ctypes.c_size_t(FLOATS), self.threads)

    def _compile(self):
        with tempfile.TemporaryDirectory() as folder:
            source, library = Path(folder) / "read.c", Path(folder) / "read.so"
            source.write_text(READ)
            command = ["cc", "-O3", "-ffast-math", "-march=native", "-fopenmp", "-shared", "-fPIC"]
            try:
                subprocess.run([*command, str(source), "-o", str(library)], check=True, capture_output=True)
            except (OSError, subprocess.CalledProcessError):
                return None
            return ctypes.CDLL(str(library)).read_all


def _seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    serve(Machine())
