// Low-rank changes beside the weights, for the tokens of those sequences of a step that have an adapter.
//
// y = W x becomes y = W x + B (A x), and where the change has gains (DoRA) y = gain * (W x + B A x). Tokens next to each
// other with the same adapter are a run, whose rows are multiplied together. As a row of `gemm` is the same bits
// whatever the others are, so is a token's result; tokens without an adapter are as if there were none in the step.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "gemm.h"
#include "threads.h"

namespace sansi {

struct LowRank {
  Packed A, B;        // [r][K] and [N][r], with the adapter's scale in B; B.N is 0 where there is no change
  const float* gain;  // [N], or null
};

struct AdapterLayer {
  const LowRank* qkv;  // three
  LowRank o, router;
  const LowRank* gate_up;  // gate and up; of each of E experts
  const LowRank* down;     // one, or E
};

struct Adapter {
  const AdapterLayer* layers;
  LowRank head;
  int64_t rank;  // the largest
};

struct Run {
  int64_t adapter, expert, first, count;
};

// The runs among things [first, first + count), whose adapters are of(i) (0: none, i: the i-th), after those in `runs`.
template <class Of>
void find_runs(int64_t first, int64_t count, int64_t expert, Of of, std::vector<Run>& runs) {
  int64_t before = 0;
  for (int64_t i = first; i < first + count; ++i) {
    int64_t now = of(i);
    if (now && now == before) ++runs.back().count;
    else if (now) runs.push_back({now - 1, expert, i, 1});
    before = now;
  }
}

// y += B (A x), times the gains, for the rows of each run; of up to three changes side by side, that begin at `at` in a
// row of y. low: room for `width` floats a row, as many as all ranks. Every thread of the team calls it, with y
// written; it waits once in between, and ends without a barrier.
template <class Of>
void add_low_rank(const std::vector<Run>& runs, int parts, Of change_of, const float* x, int64_t k, float* y,
                  int64_t ldy, std::array<int64_t, 3> at, float* low, int64_t width, Team& team, int tid) {
  if (runs.empty()) return;
  const int threads = team.active();
  const int64_t room = width / parts;
  int64_t all = 0, before = 0;
  for (const Run& run : runs) all += run.count;
  // A has few outputs to share among threads; rows are shared, where there are enough of them.
  const bool by_rows = all >= threads;
  const Share mine = by_rows ? share(all, tid, threads) : Share{0, all};
  for (const Run& run : runs) {
    const int64_t begin = std::max<int64_t>(mine.begin - before, 0), end = std::min(mine.end - before, run.count);
    before += run.count;
    for (int p = 0; p < parts && begin < end; ++p) {
      const LowRank& change = change_of(run, p);
      if (!change.B.N) continue;
      const int64_t row = run.first + begin;
      Activations input = activations(F32, x + row * k, end - begin, k, k, nullptr);
      gemm(change.A, input, low + row * width + p * room, width, false, by_rows ? 0 : tid, by_rows ? 1 : threads);
    }
  }
  team.barrier();
  for (const Run& run : runs)
    for (int p = 0; p < parts; ++p) {
      const LowRank& change = change_of(run, p);
      if (!change.B.N) continue;
      const float* input = low + run.first * width + p * room;
      float* out = y + run.first * ldy + at[p];
      gemm(change.B, activations(F32, input, run.count, change.B.K, width, nullptr), out, ldy, true, tid, threads);
      if (!change.gain) continue;
      Share panels = share((change.B.N + kPanel - 1) / kPanel, tid, threads);  // those that this thread has just written
      const int64_t end = std::min(panels.end * kPanel, change.B.N);
      for (int64_t r = 0; r < run.count; ++r)
        for (int64_t n = panels.begin * kPanel; n < end; ++n) out[r * ldy + n] *= change.gain[n];
    }
}

}  // namespace sansi
