// A C interface to gemm.h for tests and benchmarks (ctypes): no Python or torch header is needed to build it.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

#include "gemm.h"

using namespace sansi;

namespace {

// Waits by spinning: the rounds of a benchmark are shorter than a wake-up.
class SpinBarrier {
 public:
  explicit SpinBarrier(int size) : size_(size) {}
  void wait() {
    int round = round_.load(std::memory_order_acquire);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
      arrived_.store(0, std::memory_order_relaxed);
      round_.store(round + 1, std::memory_order_release);
    } else {
      for (int spins = 0; round_.load(std::memory_order_acquire) == round; ++spins)
        if (spins > 20000) std::this_thread::yield();
    }
  }

 private:
  int size_;
  std::atomic<int> arrived_{0}, round_{0};
};

template <class Work>
double on_team(int threads, Work work) {
  SpinBarrier barrier(threads);
  std::vector<std::thread> team;
  double seconds = 0;
  auto body = [&](int tid) {
    barrier.wait();
    auto start = std::chrono::steady_clock::now();
    work(tid, barrier);
    barrier.wait();
    if (tid == 0) seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  for (int tid = 1; tid < threads; ++tid) team.emplace_back(body, tid);
  body(0);
  for (auto& thread : team) thread.join();
  return seconds;
}

}  // namespace

extern "C" {

int64_t sansi_packed_bytes(int kind, int64_t N, int64_t K) { return static_cast<int64_t>(packed_bytes(kind, N, K)); }
int64_t sansi_scales_bytes(int kind, int64_t N, int64_t K) { return static_cast<int64_t>(scales_bytes(kind, N, K)); }
const char* sansi_gemm_isa() { return gemm_isa(); }

void sansi_unpack_row(int kind, int64_t N, int64_t K, const void* data, const void* scales, int64_t n, float* out) {
  unpack_row({kind, N, K, data, scales}, n, out);
}

// x [M, K] times the weight into y [M, N], `repeats` times, on `threads` threads; `copies` weights lie one after the
// other and are taken in turn, so that none is in a cache when its turn comes. Returns seconds for all repeats.
double sansi_gemm(int kind, int64_t N, int64_t K, const void* data, const void* scales, int copies, const float* x,
                  int64_t M, int64_t ldx, float* y, int64_t ldy, int add, int threads, int repeats) {
  void* scratch = std::aligned_alloc(64, activation_bytes(kind, M, K) + 64);
  Activations rows = activations(kind, x, M, K, ldx, scratch);
  double seconds = on_team(threads, [&](int tid, SpinBarrier& barrier) {
    for (int i = 0; i < repeats; ++i) {
      int64_t copy = i % copies;
      Packed w{kind, N, K, static_cast<const char*>(data) + copy * packed_bytes(kind, N, K),
               static_cast<const char*>(scales) + copy * scales_bytes(kind, N, K)};
      prepare(kind, rows, tid, threads);
      barrier.wait();
      gemm(w, rows, y, ldy, add != 0, tid, threads);
      barrier.wait();
    }
  });
  std::free(scratch);
  return seconds;
}

// Seconds to read `bytes` at `data` once on `threads` threads, each its contiguous share: the bandwidth to compare with.
double sansi_read(const void* data, int64_t bytes, int threads) {
  std::atomic<uint64_t> sink{0};
  return on_team(threads, [&](int tid, SpinBarrier&) {
    Share mine = share(bytes / 64, tid, threads);
    const uint64_t* at = static_cast<const uint64_t*>(data);
    uint64_t sums[8] = {};
    for (int64_t i = mine.begin; i < mine.end; ++i)
      for (int j = 0; j < 8; ++j) sums[j] += at[i * 8 + j];
    uint64_t sum = 0;
    for (uint64_t part : sums) sum += part;
    sink += sum;
  });
}

}  // extern "C"
