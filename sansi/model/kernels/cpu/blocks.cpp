// Rounds weights to the block types of GGUF files (their layouts: sansi/model/formats/gguf/values.py). The squared error,
// weighted by a weight per input where there are any, is made small by a search: candidates of a group's scale, a least
// squares fit to each, and for the K types turns of fitting what the groups of a block share and what each has of its own.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "gemm.h"
#include "simd.h"

namespace sansi {
namespace {

enum BlockKind { Q4_0 = 2, Q4_1 = 3, Q5_0 = 6, Q5_1 = 7, Q8_0 = 8, Q4_K = 12, Q5_K = 13, Q6_K = 14 };
constexpr int kSuper = 256;  // values of a block of the K types
constexpr int kTurns = 3;    // of fitting the shared scales and the groups' own

bool is_super(int kind) { return kind >= Q4_K; }

int block_bytes(int kind) {
  switch (kind) {
    case Q4_0: return 18;
    case Q4_1: return 20;
    case Q5_0: return 22;
    case Q5_1: return 24;
    case Q8_0: return 34;
    case Q4_K: return 144;
    case Q5_K: return 176;
    default: return 210;
  }
}

// ---- arithmetic of kWide rows at a time: value k of all of them is the vector x[k] --------------------------------------

Vec least(Vec a, Vec b) { return a < b ? a : b; }
Vec most(Vec a, Vec b) { return a > b ? a : b; }
Vec magnitude(Vec a) { return a < 0.0f ? -a : a; }

Vec rounded(Vec v) {
  const Vec round = splat(12582912.0f);  // 1.5 * 2^23: adding it rounds to a whole number, halves to even
  return (v + round) - round;
}

Vec inverse(Vec v) {
  Vec one = splat(1.0f) / v;
  return v == Vec{} ? Vec{} : one;
}

Vec nearest_half(Vec v) {
  for (int i = 0; i < kWide; ++i) v[i] = from_fp16(to_fp16(v[i]));
  return v;
}

// x - low in units of the scale, on its level.
Vec level(Vec x, Vec by, Vec low, Vec bottom, Vec top) { return most(least(rounded((x - low) * by), top), bottom); }

struct Group {
  const Vec* x;
  const Vec* w;
  int n;
};

struct Sums {
  Vec w{}, x{}, xx{};

  explicit Sums(const Group& g) {
    for (int k = 0; k < g.n; ++k) {
      Vec wx = g.w[k] * g.x[k];
      w = w + g.w[k];
      x = x + wx;
      xx = fma(wx, g.x[k], xx);
    }
  }
};

// Squared error of scale * q + low.
Vec error_of(const Group& g, Vec scale, Vec low, Vec bottom, Vec top) {
  Vec by = inverse(scale), sum[2] = {};
  for (int k = 0; k < g.n; ++k) {
    Vec q = level(g.x[k], by, low, bottom, top);
    Vec missed = fma(-scale, q, g.x[k] - low);
    sum[k % 2] = fma(g.w[k] * missed, missed, sum[k % 2]);
  }
  return sum[0] + sum[1];
}

struct Fit {
  Vec scale{}, low{}, error = splat(std::numeric_limits<float>::infinity());

  void offer(Vec s, Vec l, Vec e) {
    scale = e < error ? s : scale;
    low = e < error ? l : low;
    error = e < error ? e : error;
  }
};

// The best scale and lowest value for the levels that candidates give, levels 0..top. `negative`: the lowest value is 0
// at most, as in the K types.
void fit_levels(const Group& g, const Sums& all, Vec by, Vec from, float top, bool negative, Fit* best) {
  Vec l{}, ll{}, xl{};
  const Vec highest = splat(top);
  for (int k = 0; k < g.n; ++k) {
    Vec q = level(g.x[k], by, from, Vec{}, highest), wq = g.w[k] * q;
    l = l + wq;
    ll = fma(wq, q, ll);
    xl = fma(wq, g.x[k], xl);
  }
  Vec det = all.w * ll - l * l;
  Vec scale = (all.w * xl - all.x * l) / det, low = (ll * all.x - l * xl) / det;
  if (negative) {
    scale = low > 0.0f ? xl / ll : scale;
    low = low > 0.0f ? Vec{} : low;
  }
  Vec error = all.xx - 2.0f * (scale * xl + low * all.x) + scale * scale * ll + 2.0f * scale * low * l + low * low * all.w;
  best->offer(scale, low, det > 0.0f ? most(error, Vec{}) : splat(std::numeric_limits<float>::infinity()));
}

Fit fit_affine(const Group& g, float top, bool negative) {
  Vec low = g.x[0], high = g.x[0];
  for (int k = 1; k < g.n; ++k) low = least(low, g.x[k]), high = most(high, g.x[k]);
  if (negative) low = least(low, Vec{});
  const Sums all(g);
  Fit best;
  Vec scale = (high - low) / splat(top);
  best.offer(scale, low, error_of(g, scale, low, Vec{}, splat(top)));
  Vec by = inverse(high - low);
  for (int step = -10; step <= 18; ++step) fit_levels(g, all, by * splat(top + 0.1f * step), low, top, negative, &best);
  for (int again = 0; again < 3; ++again) fit_levels(g, all, inverse(best.scale), best.low, top, negative, &best);
  return best;
}

// The best scale for levels bottom..top around zero.
Fit fit_symmetric(const Group& g, float bottom, float top) {
  Vec largest = g.x[0];
  for (int k = 1; k < g.n; ++k) largest = magnitude(g.x[k]) > magnitude(largest) ? g.x[k] : largest;
  const Vec lowest = splat(bottom), highest = splat(top), by = inverse(largest);
  Fit best;
  auto levels = [&](Vec units) {
    Vec ll{}, xl{}, xx{};
    for (int k = 0; k < g.n; ++k) {
      Vec q = level(g.x[k], units, Vec{}, lowest, highest), wq = g.w[k] * q, wx = g.w[k] * g.x[k];
      ll = fma(wq, q, ll);
      xl = fma(wq, g.x[k], xl);
      xx = fma(wx, g.x[k], xx);
    }
    Vec scale = xl / ll;
    best.offer(scale, Vec{}, ll > 0.0f ? most(xx - scale * xl, Vec{}) : splat(std::numeric_limits<float>::infinity()));
  };
  best.offer(largest / lowest, Vec{}, error_of(g, largest / lowest, Vec{}, lowest, highest));
  const float step = -bottom > 64 ? 1.0f : -bottom / 64.0f;
  for (int i = -7; i <= 7; ++i) levels(by * splat(bottom - step * i));
  for (int again = 0; again < 2; ++again) levels(inverse(best.scale));
  return best;
}

// ---- a piece of the matrix: up to kWide rows, one block of columns --------------------------------------------------------

struct Job {
  int kind, form;
  const void* weight;
  int64_t rows, columns;
  const float* importance;
  uint8_t* out;
};

struct Piece {
  Vec x[kSuper], w[kSuper];
  int lanes;
  uint8_t* out[kWide];
  double missed = 0, all = 0;  // squared, over all blocks so far
};

bool gather(const Job& job, int64_t row, int64_t column, int count, Piece* p) {
  float values[kSuper][kWide] = {};
  bool good = true;
  for (int lane = 0; lane < p->lanes; ++lane) {
    const int64_t at = (row + lane) * job.columns + column;
    for (int k = 0; k < count; ++k) {
      float value = job.form == F32 ? static_cast<const float*>(job.weight)[at + k]
                                    : from_bf16(static_cast<const uint16_t*>(job.weight)[at + k]);
      good &= std::fabs(value) < 65504.0f;
      values[k][lane] = value;
    }
  }
  for (int k = 0; k < count; ++k) p->x[k] = load(values[k]);
  for (int k = 0; k < count; ++k) p->w[k] = splat(job.importance ? job.importance[column + k] : 1.0f);
  return good;
}

void put_half(uint8_t* to, float value) {
  uint16_t bits = to_fp16(value);
  std::memcpy(to, &bits, 2);
}

// Adds up what rounding costs, unweighted.
void account(Piece* p, int k, Vec value) {
  for (int lane = 0; lane < p->lanes; ++lane) {
    double x = p->x[k][lane], missed = x - value[lane];
    p->missed += missed * missed;
    p->all += x * x;
  }
}

// ---- blocks of 32 -----------------------------------------------------------------------------------------------------

void write_simple(Piece* p, int kind, Vec scale, Vec low, Vec bottom, Vec top) {
  int q[kGroup][kWide];
  const Vec by = inverse(scale);
  for (int k = 0; k < kGroup; ++k) {
    Vec at = level(p->x[k], by, low, bottom, top);
    account(p, k, scale * at + low);
    for (int i = 0; i < kWide; ++i) q[k][i] = static_cast<int>(at[i] - (kind == Q8_0 ? 0.0f : bottom[i]));
  }
  for (int i = 0; i < p->lanes; ++i) {
    uint8_t* out = p->out[i];
    put_half(out, scale[i]);
    out += 2;
    if (kind == Q4_1 || kind == Q5_1) put_half(out, low[i]), out += 2;
    if (kind == Q8_0) {
      for (int k = 0; k < kGroup; ++k) out[k] = static_cast<uint8_t>(static_cast<int8_t>(q[k][i]));
      continue;
    }
    if (kind == Q5_0 || kind == Q5_1) {
      uint32_t fifth = 0;
      for (int k = 0; k < kGroup; ++k) fifth |= static_cast<uint32_t>(q[k][i] >> 4 & 1) << k;
      std::memcpy(out, &fifth, 4);
      out += 4;
    }
    for (int k = 0; k < 16; ++k) out[k] = static_cast<uint8_t>((q[k][i] & 15) | (q[k + 16][i] & 15) << 4);
  }
}

void round_simple(Piece* p, int kind) {
  const Group g{p->x, p->w, kGroup};
  const bool affine = kind == Q4_1 || kind == Q5_1;
  const float span = kind == Q8_0 ? 127.0f : kind == Q4_0 ? 8.0f : 16.0f;
  const Vec bottom = affine ? Vec{} : splat(-span);
  const Vec top = affine ? splat(kind == Q4_1 ? 15.0f : 31.0f) : splat(kind == Q8_0 ? span : span - 1);
  Fit best;
  auto offer = [&](Vec scale, Vec low) {
    scale = nearest_half(scale), low = nearest_half(low);
    best.offer(scale, low, error_of(g, scale, low, bottom, top));
  };
  Vec low = g.x[0], high = g.x[0], largest = g.x[0];
  for (int k = 1; k < kGroup; ++k) {
    low = least(low, g.x[k]), high = most(high, g.x[k]);
    largest = magnitude(g.x[k]) > magnitude(largest) ? g.x[k] : largest;
  }
  if (affine) {
    Fit fitted = fit_affine(g, top[0], false);
    offer((high - low) / top, low);
    offer(fitted.scale, fitted.low);
  } else {
    const Vec sign = kind == Q8_0 ? magnitude(largest) : -largest;
    offer(sign / splat(span), Vec{});
    for (float share : {0.94f, 0.97f, 1.03f, 1.06f, 1.1f}) offer(sign / splat(span * share), Vec{});
    Fit fitted = fit_symmetric(g, -span, top[0]);
    offer(fitted.scale, Vec{});
  }
  write_simple(p, kind, best.scale, best.low, bottom, top);
}

// ---- blocks of 256 ------------------------------------------------------------------------------------------------------

struct Shared {  // of a block, values of fp16
  Vec d{}, dmin{};
};

template <int kGroups>
struct Own {  // of its groups, whole numbers
  Vec sc[kGroups], m[kGroups];
};

// Whole numbers near scale / d and low / dmin for one group; all neighbours the first time, then those of one step.
Vec choose(const Group& g, Shared s, Vec scale, Vec low, float limit, float top, bool wide, Vec* sc, Vec* m) {
  const Vec most_ = splat(limit);
  Vec near_sc = most(least(rounded(scale * inverse(s.d)), most_), Vec{});
  Vec near_m = most(least(rounded(-low * inverse(s.dmin)), most_), Vec{});
  Vec best = splat(std::numeric_limits<float>::infinity());
  for (int a = -1; a <= 1; ++a)
    for (int b = -1; b <= 1; ++b) {
      if (!wide && a && b) continue;
      Vec try_sc = most(least(near_sc + splat(a), most_), Vec{}), try_m = most(least(near_m + splat(b), most_), Vec{});
      Vec error = error_of(g, s.d * try_sc, -s.dmin * try_m, Vec{}, splat(top));
      *sc = error < best ? try_sc : *sc;
      *m = error < best ? try_m : *m;
      best = least(error, best);
    }
  return best;
}

// d and dmin that fit the levels of all groups best.
Shared refit(const Piece& p, Shared s, const Own<8>& own, float top) {
  Vec aa{}, am{}, mm{}, xa{}, xm{};
  for (int j = 0; j < 8; ++j) {
    Vec scale = s.d * own.sc[j], low = -s.dmin * own.m[j], by = inverse(scale);
    for (int k = 32 * j; k < 32 * j + 32; ++k) {
      Vec a = own.sc[j] * level(p.x[k], by, low, Vec{}, splat(top)), wa = p.w[k] * a, wm = p.w[k] * own.m[j];
      aa = fma(wa, a, aa), am = fma(wa, own.m[j], am), mm = fma(wm, own.m[j], mm);
      xa = fma(wa, p.x[k], xa), xm = fma(wm, p.x[k], xm);
    }
  }
  Vec det = aa * mm - am * am;
  Vec d = (xa * mm - xm * am) / det, dmin = (am * xa - aa * xm) / det;
  Vec alone = aa > 0.0f ? xa / aa : s.d;
  const IntVec both = (det > 1e-6f * aa * mm) & (dmin > 0.0f) & (d > 0.0f);
  return {nearest_half(both ? d : alone), nearest_half(both ? dmin : s.dmin)};
}

void write_affine(Piece* p, int kind, Shared s, const Own<8>& own, float top) {
  static thread_local uint8_t q[kSuper][kWide];
  for (int j = 0; j < 8; ++j) {
    Vec scale = s.d * own.sc[j], low = -s.dmin * own.m[j], by = inverse(scale);
    for (int k = 32 * j; k < 32 * j + 32; ++k) {
      Vec at = level(p->x[k], by, low, Vec{}, splat(top));
      account(p, k, scale * at + low);
      for (int i = 0; i < kWide; ++i) q[k][i] = static_cast<uint8_t>(at[i]);
    }
  }
  for (int i = 0; i < p->lanes; ++i) {
    uint8_t* out = p->out[i];
    put_half(out, s.d[i]);
    put_half(out + 2, s.dmin[i]);
    uint8_t* six = out + 4;
    for (int j = 0; j < 4; ++j) {
      int sc = static_cast<int>(own.sc[j][i]), m = static_cast<int>(own.m[j][i]);
      int late_sc = static_cast<int>(own.sc[j + 4][i]), late_m = static_cast<int>(own.m[j + 4][i]);
      six[j] = static_cast<uint8_t>(sc | (late_sc >> 4) << 6);
      six[j + 4] = static_cast<uint8_t>(m | (late_m >> 4) << 6);
      six[j + 8] = static_cast<uint8_t>((late_sc & 15) | (late_m & 15) << 4);
    }
    uint8_t* low = out + 16;
    if (kind == Q5_K) {
      for (int k = 0; k < 32; ++k) {
        int bits = 0;
        for (int j = 0; j < 8; ++j) bits |= (q[32 * j + k][i] >> 4 & 1) << j;
        low[k] = static_cast<uint8_t>(bits);
      }
      low += 32;
    }
    for (int c = 0; c < 4; ++c)
      for (int k = 0; k < 32; ++k)
        low[32 * c + k] = static_cast<uint8_t>((q[64 * c + k][i] & 15) | (q[64 * c + 32 + k][i] & 15) << 4);
  }
}

void round_affine(Piece* p, int kind) {
  const float top = kind == Q4_K ? 15.0f : 31.0f;
  Fit fits[8];
  Vec widest{}, deepest{};
  for (int j = 0; j < 8; ++j) {
    fits[j] = fit_affine({p->x + 32 * j, p->w + 32 * j, 32}, top, true);
    widest = most(widest, fits[j].scale);
    deepest = most(deepest, -fits[j].low);
  }
  Shared s{nearest_half(widest / splat(63.0f)), nearest_half(deepest / splat(63.0f))}, best{};
  Own<8> own{}, kept{};
  Vec least_error = splat(std::numeric_limits<float>::infinity());
  for (int turn = 0; turn < kTurns; ++turn) {
    Vec error{};
    for (int j = 0; j < 8; ++j)
      error = error + choose({p->x + 32 * j, p->w + 32 * j, 32}, s, fits[j].scale, fits[j].low, 63, top, turn == 0,
                             &own.sc[j], &own.m[j]);
    const IntVec better = error < least_error;
    best = {better ? s.d : best.d, better ? s.dmin : best.dmin};
    for (int j = 0; j < 8; ++j) {
      kept.sc[j] = better ? own.sc[j] : kept.sc[j];
      kept.m[j] = better ? own.m[j] : kept.m[j];
    }
    least_error = least(error, least_error);
    if (turn + 1 < kTurns) s = refit(*p, s, own, top);
  }
  write_affine(p, kind, best, kept, top);
}

void write_six(Piece* p, Vec d, const Own<16>& own) {
  static thread_local uint8_t q[kSuper][kWide];
  const Vec bottom = splat(-32.0f), top = splat(31.0f);
  for (int j = 0; j < 16; ++j) {
    Vec scale = d * own.sc[j], by = inverse(scale);
    for (int k = 16 * j; k < 16 * j + 16; ++k) {
      Vec at = level(p->x[k], by, Vec{}, bottom, top);
      account(p, k, scale * at);
      for (int i = 0; i < kWide; ++i) q[k][i] = static_cast<uint8_t>(at[i] + 32.0f);
    }
  }
  for (int i = 0; i < p->lanes; ++i) {
    uint8_t *low = p->out[i], *high = low + 128, *sc = low + 192;
    for (int half = 0; half < 2; ++half)
      for (int k = 0; k < 32; ++k) {
        const int at = 128 * half + k;
        const int a = q[at][i], b = q[at + 32][i], c = q[at + 64][i], e = q[at + 96][i];
        low[64 * half + k] = static_cast<uint8_t>((a & 15) | (c & 15) << 4);
        low[64 * half + 32 + k] = static_cast<uint8_t>((b & 15) | (e & 15) << 4);
        high[32 * half + k] = static_cast<uint8_t>(a >> 4 | b >> 4 << 2 | c >> 4 << 4 | e >> 4 << 6);
      }
    for (int j = 0; j < 16; ++j) sc[j] = static_cast<uint8_t>(static_cast<int8_t>(own.sc[j][i]));
    put_half(p->out[i] + 208, d[i]);
  }
}

void round_six(Piece* p) {
  const Vec bottom = splat(-32.0f), top = splat(31.0f);
  Fit fits[16];
  Vec largest{};
  for (int j = 0; j < 16; ++j) {
    fits[j] = fit_symmetric({p->x + 16 * j, p->w + 16 * j, 16}, -32.0f, 31.0f);
    largest = magnitude(fits[j].scale) > magnitude(largest) ? fits[j].scale : largest;
  }
  Vec d = nearest_half(largest / splat(-128.0f)), best{};
  Own<16> own{}, kept{};
  Vec least_error = splat(std::numeric_limits<float>::infinity());
  for (int turn = 0; turn < kTurns; ++turn) {
    Vec error{}, aa{}, xa{};
    for (int j = 0; j < 16; ++j) {
      const Group g{p->x + 16 * j, p->w + 16 * j, 16};
      Vec near = rounded(fits[j].scale * inverse(d)), found = splat(std::numeric_limits<float>::infinity());
      for (int a = -1; a <= 1; ++a) {
        Vec sc = most(least(near + splat(a), splat(127.0f)), splat(-128.0f));
        Vec missed = error_of(g, d * sc, Vec{}, bottom, top);
        own.sc[j] = missed < found ? sc : own.sc[j];
        found = least(missed, found);
      }
      error = error + found;
      Vec by = inverse(d * own.sc[j]);
      for (int k = 0; k < 16; ++k) {
        Vec a = own.sc[j] * level(g.x[k], by, Vec{}, bottom, top), wa = g.w[k] * a;
        aa = fma(wa, a, aa), xa = fma(wa, g.x[k], xa);
      }
    }
    const IntVec better = error < least_error;
    best = better ? d : best;
    for (int j = 0; j < 16; ++j) kept.sc[j] = better ? own.sc[j] : kept.sc[j];
    least_error = least(error, least_error);
    d = nearest_half(aa > 0.0f ? xa / aa : d);
  }
  write_six(p, best, kept);
}

}  // namespace
}  // namespace sansi

using namespace sansi;

extern "C" {

// `rows` rows of `columns` values at `weight` (`form`: F32 or BF16) as blocks of the GGUF type `kind`, row by row, at
// `out`. importance [columns], or null: the weight of each input's squared error. sums[0] and [1] become the squared
// error and the sum of squares. Returns 1 if a value is not finite or too large, else 0.
int sansi_round_blocks(int kind, int form, const void* weight, int64_t rows, int64_t columns, const float* importance,
                       uint8_t* out, double* sums, int threads) {
  const Job job{kind, form, weight, rows, columns, importance, out};
  const int values = is_super(kind) ? kSuper : kGroup, bytes = block_bytes(kind);
  const int64_t row_bytes = columns / values * bytes, strips = ceil_div(rows, kWide);
  const int size = static_cast<int>(std::clamp<int64_t>(strips, 1, threads));
  std::atomic<bool> good{true};
  std::mutex adding;
  sums[0] = sums[1] = 0;
  auto work = [&](int tid) {
    Share mine = share(strips, tid, size);
    auto piece = std::make_unique<Piece>();
    for (int64_t strip = mine.begin; strip < mine.end && good; ++strip) {
      const int64_t row = strip * kWide;
      piece->lanes = static_cast<int>(std::min<int64_t>(kWide, rows - row));
      for (int64_t block = 0; block < columns / values && good; ++block) {
        if (!gather(job, row, block * values, values, piece.get())) good = false;
        for (int i = 0; i < piece->lanes; ++i) piece->out[i] = out + (row + i) * row_bytes + block * bytes;
        if (!is_super(kind)) round_simple(piece.get(), kind);
        else if (kind == Q6_K) round_six(piece.get());
        else round_affine(piece.get(), kind);
      }
    }
    std::lock_guard<std::mutex> lock(adding);
    sums[0] += piece->missed;
    sums[1] += piece->all;
  };
  std::vector<std::thread> team;
  for (int tid = 1; tid < size; ++tid) team.emplace_back(work, tid);
  work(0);
  for (auto& thread : team) thread.join();
  return good ? 0 : 1;
}

}  // extern "C"
