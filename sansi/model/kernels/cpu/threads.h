// A team of threads that stays alive between calls, and the choice of how many of them a call gets.
#pragma once

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <climits>
#include <cstdint>
#include <memory>
#include <system_error>
#include <thread>
#include <vector>

namespace sansi {

// A number that threads can wait on: they spin, as the gaps inside a forward pass take microseconds; then give way, as
// the thread that is waited for may want this very core; then sleep, so that an idle model costs nothing.
class Signal {
 public:
  uint32_t value() const { return value_.load(std::memory_order_acquire); }

  void set(uint32_t value) {
    value_.store(value, std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst)) futex(FUTEX_WAKE_PRIVATE, INT_MAX);
  }

  // Returns the new value as soon as it is not `old` any more.
  uint32_t wait_beyond(uint32_t old) {
    for (int i = 0; i < kSpins + kYields; ++i) {
      if (value() != old) return value();
      if (i < kSpins) __builtin_ia32_pause();
      else sched_yield();
    }
    sleepers_.fetch_add(1, std::memory_order_seq_cst);
    while (value_.load(std::memory_order_seq_cst) == old) futex(FUTEX_WAIT_PRIVATE, old);
    sleepers_.fetch_sub(1, std::memory_order_relaxed);
    return value();
  }

 private:
  static constexpr int kSpins = 300;  // of about 15 ns
  static constexpr int kYields = 50;

  void futex(int operation, uint32_t argument) {
    syscall(SYS_futex, reinterpret_cast<uint32_t*>(&value_), operation, argument, nullptr, nullptr, 0);
  }

  std::atomic<uint32_t> value_{0}, sleepers_{0};
};

class Team {
 public:
  static constexpr int kMost = 255;

  explicit Team(int size) : size_(std::clamp(size, 1, kMost)) {}

  ~Team() { stop(); }

  int size() const { return size_; }      // threads there are
  int active() const { return active_; }  // threads that take part in the call that runs

  // Runs work(tid) on the first `active` threads, this one as 0; returns when all are done. One caller at a time.
  template <class Work>
  void run(int active, const Work& work) {
    if (active > 1) start();
    active_ = active = std::min(active, size_);
    if (active == 1) return work(0);
    call_ = [](const void* at, int tid) { (*static_cast<const Work*>(at))(tid); };
    work_ = &work;
    // Who is called stands in the number itself: a thread that slept through calls without it sees only the last one.
    state_->go.set((state_->go.value() / (kMost + 1) + 1) * (kMost + 1) + active);
    work(0);
    barrier();
  }

  // Waits until every active thread has come here. Called from within `run`.
  void barrier() {
    const int active = active_;  // read first: once the last one has come, the caller may start another call
    if (active == 1) return;
    State& state = *state_;
    uint32_t old = state.passed.value();
    if (state.arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == active) {
      state.arrived.store(0, std::memory_order_relaxed);
      state.passed.set(old + 1);
    } else {
      state.passed.wait_beyond(old);
    }
  }

 private:
  struct State {
    alignas(64) Signal go;
    alignas(64) Signal passed;
    alignas(64) std::atomic<int> arrived{0};
    std::atomic<bool> stopping{false};
    std::vector<std::thread> threads;
  };

  // Threads do not survive a fork: the child gets new ones, and lets the parent's state be. Where the system gives fewer
  // than wanted, those have to do.
  void start() {
    if (state_ && owner_ == getpid()) return;
    static_cast<void>(state_.release());
    owner_ = getpid();
    state_ = std::make_unique<State>();
    state_->threads.reserve(size_ - 1);
    try {
      for (int tid = 1; tid < size_; ++tid) state_->threads.emplace_back([this, tid] { loop(tid); });
    } catch (const std::system_error&) {
      size_ = static_cast<int>(state_->threads.size()) + 1;
    }
  }

  void loop(int tid) {
    State& state = *state_;
    for (uint32_t seen = 0;;) {
      seen = state.go.wait_beyond(seen);
      if (state.stopping) return;
      if (tid >= static_cast<int>(seen % (kMost + 1))) continue;
      call_(work_, tid);
      barrier();
    }
  }

  void stop() {
    if (!state_ || owner_ != getpid()) {
      static_cast<void>(state_.release());
      return;
    }
    state_->stopping = true;
    state_->go.set(state_->go.value() + kMost + 1);
    for (auto& thread : state_->threads) thread.join();
  }

  int size_, active_ = 1;
  pid_t owner_ = 0;
  std::unique_ptr<State> state_;
  void (*call_)(const void*, int) = nullptr;
  const void* work_ = nullptr;
};

// How many threads are fastest for steps of about the same size: as many as there are at first, then by trial, the
// double and the half now and then. A small step, or one beside a busy process, is faster on fewer threads, where no one
// waits for a thread that is not running. Trials take a hundredth of the time; results do not depend on the choice.
class TeamSize {
 public:
  explicit TeamSize(int most = 1) : most_(most), now_(most), trial_(most) {}

  int next() {
    if (trials_left_ == 0 && now_known() && spent_ >= pause_) start_trial();
    return trials_left_ ? trial_ : now_;
  }

  void took(double seconds) {
    if (trials_left_) return tried(seconds);
    ++steps_;
    if (steps_ <= kWarm) return;  // threads and buffers were new
    int seen = std::min(steps_ - kWarm, 10);
    usual_ += (seconds - usual_) / seen;
    spent_ += seconds;
    if (pause_ == 0) pause_ = kSoon * seconds;
  }

 private:
  static constexpr int kWarm = 2, kTrials = 5;
  static constexpr double kSoon = 10, kLater = 100;  // times the cost of the trial before

  bool now_known() const { return most_ > 1 && steps_ > kWarm; }

  void start_trial() {
    trial_ = upward_ ? std::min(2 * now_, most_) : std::max(now_ / 2, 1);
    upward_ = !upward_;
    trials_left_ = trial_ == now_ ? 0 : kTrials;
    tried_ = 0;
  }

  void tried(double seconds) {
    if (trials_left_-- < kTrials) tried_ += seconds;  // the first one had to wake threads
    if (trials_left_) return;
    double mean = tried_ / (kTrials - 1);
    bool better = mean < 0.95 * usual_;
    if (better) {
      now_ = trial_;
      usual_ = mean;
    }
    spent_ = 0;
    pause_ = (better ? kSoon : kLater) * tried_;
  }

  int most_, now_, trial_, steps_ = 0, trials_left_ = 0;
  bool upward_ = false;
  double usual_ = 0, tried_ = 0, spent_ = 0, pause_ = 0;
};

}  // namespace sansi
