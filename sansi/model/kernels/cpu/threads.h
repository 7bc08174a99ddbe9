// A team of threads that stays alive between calls. Waiting spins for a few microseconds, which is all that the gaps
// inside a forward pass take, and then sleeps, so that an idle model costs nothing.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <climits>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace sansi {

inline void pause() { __builtin_ia32_pause(); }

// A counter that threads can wait on.
class Signal {
 public:
  uint32_t value() const { return value_.load(std::memory_order_acquire); }

  void raise() {
    value_.fetch_add(1, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst)) futex(FUTEX_WAKE_PRIVATE, INT_MAX);
  }

  void wait_beyond(uint32_t old, int spins) {
    for (int i = 0; i < spins; ++i) {
      if (value() != old) return;
      pause();
    }
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    while (value_.load(std::memory_order_seq_cst) == old) futex(FUTEX_WAIT_PRIVATE, old);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
  }

 private:
  void futex(int operation, uint32_t argument) {
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&value_), operation, argument, nullptr, nullptr, 0);
  }

  std::atomic<uint32_t> value_{0}, sleepers_{0};
};

class Team {
 public:
  explicit Team(int size) : size_(size < 1 ? 1 : size) {}

  ~Team() { stop(); }

  int size() const { return size_; }

  // Runs work(tid) on every thread of the team, this one as 0, and returns when all are done. One caller at a time.
  template <class Work>
  void run(const Work& work) {
    start();
    call_ = [](const void* at, int tid) { (*static_cast<const Work*>(at))(tid); };
    work_ = &work;
    if (size_ > 1) state_->go.raise();
    work(0);
    barrier();
  }

  // Waits until every thread of the team has come here. Called from within `run`.
  void barrier() {
    if (size_ == 1) return;
    State& state = *state_;
    uint32_t old = state.passed.value();
    if (state.arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == size_) {
      state.arrived.store(0, std::memory_order_relaxed);
      state.passed.raise();
    } else {
      state.passed.wait_beyond(old, kSpins);
    }
  }

 private:
  static constexpr int kSpins = 2000;  // of about 15 ns

  struct State {
    alignas(64) Signal go;
    alignas(64) Signal passed;
    alignas(64) std::atomic<int> arrived{0};
    std::vector<std::thread> threads;
  };

  // Threads do not survive a fork: the child gets new ones, and lets the parent's state be.
  void start() {
    if (state_ && owner_ == getpid()) return;
    static_cast<void>(state_.release());
    owner_ = getpid();
    stopping_ = false;
    state_ = std::make_unique<State>();
    for (int tid = 1; tid < size_; ++tid) state_->threads.emplace_back([this, tid] { loop(tid); });
  }

  void loop(int tid) {
    State& state = *state_;
    for (uint32_t seen = 0;; ++seen) {
      state.go.wait_beyond(seen, kSpins);
      if (stopping_) return;
      call_(work_, tid);
      barrier();
    }
  }

  void stop() {
    if (!state_ || owner_ != getpid()) {
      static_cast<void>(state_.release());
      return;
    }
    stopping_ = true;
    state_->go.raise();
    for (auto& thread : state_->threads) thread.join();
  }

  int size_;
  pid_t owner_ = 0;
  bool stopping_ = false;
  std::unique_ptr<State> state_;
  void (*call_)(const void*, int) = nullptr;
  const void* work_ = nullptr;
};

}  // namespace sansi
