// Rounds weights to int8 or int4 and packs them, as `pack` of sansi/model/kernels does with torch operators in many times
// the time. The search is the same; of two scales whose errors differ in the last bits, either may be taken. Nothing is
// fused here, so that every instruction set finds the same bits.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>
#include <vector>

#include "gemm.h"
#include "simd.h"

namespace sansi {
namespace {

// One group of 32 inputs of kWide outputs at a time: input k of all of them is the vector x[k].
struct Rounding {
  Vec x[kGroup];
  Vec lowest, highest;
  Vec scale, error;  // of the best so far; scales are fp16 values

  void clear() {
    scale = Vec{};
    error = splat(__builtin_inff());
  }

  static Vec nearest_half(Vec v) {
    for (int i = 0; i < kWide; ++i) v[i] = from_fp16(to_fp16(v[i]));
    return v;
  }

  static Vec inverse(Vec scale) {
    Vec one = splat(1.0f) / scale;
    return scale == Vec{} ? Vec{} : one;
  }

  // x[k] on its level, a whole number.
  Vec level(int k, Vec inverse) const {
    const Vec round = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number, halves to even
    Vec q = x[k] * inverse;
    q = q < highest ? q : highest;
    q = q > lowest ? q : lowest;
    return (q + round) - round;
  }

  void offer(Vec candidate) {
    candidate = nearest_half(candidate);
    Vec by = inverse(candidate), sums[4] = {};
    for (int k = 0; k < kGroup; ++k) {
      Vec missed = x[k] - level(k, by) * candidate;  // the product is exact: 8 bits times 11
      sums[k % 4] = sums[k % 4] + missed * missed;
    }
    Vec sum = (sums[0] + sums[1]) + (sums[2] + sums[3]);
    scale = sum < error ? candidate : scale;
    error = sum < error ? sum : error;
  }

  // The value of the largest magnitude, of equal ones the first.
  Vec largest() const {
    Vec most = x[0];
    for (int k = 1; k < kGroup; ++k) {
      Vec a = most < 0.0f ? -most : most, b = x[k] < 0.0f ? -x[k] : x[k];
      most = b > a ? x[k] : most;
    }
    return most;
  }

  // The scale that fits the levels of the best one best (least squares).
  Vec fitted() const {
    Vec by = inverse(scale), product{}, square{};
    for (int k = 0; k < kGroup; ++k) {
      Vec q = level(k, by);
      product = product + x[k] * q;
      square = square + q * q;
    }
    return product / (square < 1.0f ? splat(1.0f) : square);
  }
};

struct Job {
  int kind, form;
  const void* weight;
  int64_t rows, columns;
  const float* divisors;
  int count;
  uint8_t* data;
  uint16_t* scales;
};

template <class T, class Widen>
bool gather_rows(const T* from, int64_t stride, int count, float limit, Widen widen, Vec* x) {
  float values[kGroup][kWide] = {};
  bool good = true;
  for (int lane = 0; lane < count; ++lane)
    for (int i = 0; i < kGroup; ++i) {
      float value = widen(from[lane * stride + i]);
      good &= std::fabs(value) < limit;
      values[i][lane] = value;
    }
  std::memcpy(x, values, sizeof values);
  return good;
}

// Inputs k.. of up to kWide rows from `row` on, zeros beyond the last; false if one is not finite or too large.
bool gather(const Job& job, int64_t row, int64_t k, float limit, Vec* x) {
  const int count = static_cast<int>(std::clamp<int64_t>(job.rows - row, 0, kWide));
  const int64_t at = row * job.columns + k;
  if (job.form == F32)
    return gather_rows(static_cast<const float*>(job.weight) + at, job.columns, count, limit, [](float v) { return v; }, x);
  return gather_rows(static_cast<const uint16_t*>(job.weight) + at, job.columns, count, limit, from_bf16, x);
}

void write_levels(const Rounding& group, bool int4, int lane, uint8_t* out) {
  float q[kGroup][kWide];
  Vec by = Rounding::inverse(group.scale);
  for (int k = 0; k < kGroup; ++k) store(q[k], group.level(k, by));
  for (int k = 0; k < (int4 ? kGroup / 2 : kGroup); ++k)
    for (int i = 0; i < kWide; ++i) {
      uint8_t& byte = out[(k / 4 * kPanel + lane + i) * 4 + k % 4];
      int low = static_cast<int>(q[k][i]);
      byte = static_cast<uint8_t>(int4 ? (low + 8) | (static_cast<int>(q[k + 16][i]) + 8) << 4 : low + 128);
    }
}

// One panel of 16 outputs; false if a value can not be rounded.
bool pack_panel(const Job& job, int64_t panel) {
  const int64_t groups = job.columns / kGroup;
  const bool int4 = job.kind == I4;
  const float limit = 65520.0f * job.divisors[0];  // at which the scale becomes an infinity in fp16
  Rounding group;
  group.lowest = splat(int4 ? -8.0f : -127.0f);
  group.highest = splat(int4 ? 7.0f : 127.0f);
  for (int lane = 0; lane < kPanel; lane += kWide)
    for (int64_t g = 0; g < groups; ++g) {
      if (!gather(job, panel * kPanel + lane, g * kGroup, limit, group.x)) return false;
      group.clear();
      Vec largest = group.largest();
      largest = int4 ? -largest : (largest < 0.0f ? -largest : largest);  // int4 has one more level below 0
      for (int i = 0; i < job.count; ++i) group.offer(largest / splat(job.divisors[i]));
      if (job.count > 1) group.offer(group.fitted());
      const int64_t place = panel * groups + g;
      for (int i = 0; i < kWide; ++i) job.scales[place * kPanel + lane + i] = to_fp16(group.scale[i]);
      write_levels(group, int4, lane, job.data + place * group_bytes(job.kind));
    }
  return true;
}

}  // namespace
}  // namespace sansi

using namespace sansi;

extern "C" {

// `rows` rows of `columns` values at `weight` (`form`: F32 or BF16) into data and scales of kind I8 or I4. A group's
// scale is its largest value over one of `divisors` [count], or where count > 1 a fit to the best of those. Rows beyond
// the last become zeros. Returns 1 if a value is not finite or is too large for an fp16 scale, else 0.
int sansi_pack(int kind, int form, const void* weight, int64_t rows, int64_t columns, const float* divisors, int count,
               uint8_t* data, uint16_t* scales, int threads) {
  const Job job{kind, form, weight, rows, columns, divisors, count, data, scales};
  const int64_t panels = ceil_div(rows, kPanel);
  const int size = static_cast<int>(std::clamp<int64_t>(panels, 1, threads));
  std::atomic<bool> good{true};
  auto work = [&](int tid) {
    Share mine = share(panels, tid, size);
    for (int64_t panel = mine.begin; panel < mine.end && good; ++panel)
      if (!pack_panel(job, panel)) good = false;
  };
  std::vector<std::thread> team;
  for (int tid = 1; tid < size; ++tid) team.emplace_back(work, tid);
  work(0);
  for (auto& thread : team) thread.join();
  return good ? 0 : 1;
}

}  // extern "C"
