// Paged grouped-query attention, causal, with an online softmax (Milakov & Gimelshein 2018, arXiv:1805.02867) in float32.
//
// A layer's cache holds blocks of 16 positions. Keys lie transposed in their block, so that the scores of 16 keys need
// no sum across lanes; values lie row by row. S is the stored type (float or Half); DP is head_dim rounded up to 16:
//   keys    [block][kv head][D][16]
//   values  [block][kv head][16][DP]
//
// What a query row gets is the same bits whatever stands beside it: keys are taken in order, in tiles of 64 counted from
// position 0, tiles are summed into parts of 512 keys, and parts are merged in order. Rows, threads and who shares keys
// with whom (attention_plan.h) only decide who does a tile. A masked key has the weight 0 exactly, and keys beyond the last visible one are never multiplied.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "simd.h"

namespace sansi {

constexpr int64_t kBlock = 16;      // positions in a block
constexpr int64_t kKeyTile = 64;    // keys that one step of the softmax takes
constexpr int64_t kPartKeys = 512;  // keys that are summed before they are merged with those before them
constexpr int kQueryRows = 32;      // rows (tokens x heads of a group) that share one pass over the keys

inline int64_t padded_head(int64_t head_dim) { return ceil_div(head_dim, kBlock) * kBlock; }

// One kv head of one layer as one sequence sees it.
template <class S>
struct Pages {
  const S* keys;
  const S* values;
  const int32_t* table;
  int64_t block_stride_k, block_stride_v;  // elements from a block to the next
  int64_t head_dim, padded;

  const S* key_block(int64_t block) const { return keys + table[block] * block_stride_k; }
  const S* value_block(int64_t block) const { return values + table[block] * block_stride_v; }
};

// The softmax over some keys: weights exp(score - most), their sum, and the weighted sum of values.
struct Softmax {
  float* most;   // [rows]
  float* total;  // [rows]
  float* y;      // [rows][padded]

  void clear(int rows, int64_t padded) const {
    std::fill(most, most + rows, -std::numeric_limits<float>::infinity());
    std::fill(total, total + rows, 0.0f);
    std::fill(y, y + rows * padded, 0.0f);
  }

  // Of the rows from `row` on.
  Softmax from(int64_t row, int64_t padded) const { return {most + row, total + row, y + row * padded}; }

  // Takes in the keys that `next` has seen, for one row of each.
  void merge(int row, const Softmax& next, int next_row, int64_t padded) const {
    float high = std::max(most[row], next.most[next_row]);
    if (next.total[next_row] == 0.0f) return;  // no key of that part is visible to the row
    Vec scales = {};
    scales[0] = most[row] - high;
    scales[1] = next.most[next_row] - high;
    scales = exp(scales);
    float a = scales[0], b = scales[1];
    most[row] = high;
    total[row] = total[row] * a + next.total[next_row] * b;
    float* to = y + row * padded;
    const float* from = next.y + next_row * padded;
    for (int64_t d = 0; d < padded; d += kWide) store(to + d, fma(load(from + d), splat(b), load(to + d) * splat(a)));
  }
};

struct AttentionScratch {
  float* wide;    // [kKeyTile][padded head]
  float* scores;  // [kQueryRows][kKeyTile]
  float* scales;  // [kQueryRows]

  AttentionScratch(float* at, int64_t padded)
      : wide(at), scores(wide + kKeyTile * padded), scales(scores + kQueryRows * kKeyTile) {}
  static size_t floats(int64_t padded) { return kKeyTile * padded + kQueryRows * (kKeyTile + 1); }
};

// Scores of R rows with V vectors of keys, the columns `keys[v]` of transposed blocks.
template <int R, int V, class S>
inline void score(const float* const* q, const S* const* keys, int64_t head_dim, float* scores) {
  Vec s[R][V] = {};
  for (int64_t d = 0; d < head_dim; ++d) {
    Vec k[V];
    for (int v = 0; v < V; ++v) k[v] = load(keys[v] + d * kBlock);
    for (int r = 0; r < R; ++r) {
      Vec x = splat(q[r][d]);
      for (int v = 0; v < V; ++v) s[r][v] = fma(x, k[v], s[r][v]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) store(scores + r * kKeyTile + v * kWide, s[r][v]);
}

// y[r] = y[r] * scales[r] + sum of weights[r][k] * value k, for V vectors of the head from `at` on.
template <int R, int V, class S>
inline void mix(const float* weights, const float* scales, const S* const* values, int count, int64_t padded, float* y,
                int64_t at) {
  Vec sum[R][V];
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) sum[r][v] = load(y + r * padded + at + v * kWide) * splat(scales[r]);
  for (int k = 0; k < count; ++k) {
    const S* row = values[k / kBlock] + k % kBlock * padded + at;
    Vec value[V];
    for (int v = 0; v < V; ++v) value[v] = load(row + v * kWide);
    for (int r = 0; r < R; ++r) {
      Vec w = splat(weights[r * kKeyTile + k]);
      for (int v = 0; v < V; ++v) sum[r][v] = fma(w, value[v], sum[r][v]);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int v = 0; v < V; ++v) store(y + r * padded + at + v * kWide, sum[r][v]);
}

// Registers hold 4 x 4 vectors of sums where there are 32 of them, else 4 x 2.
constexpr int kAcross = kWide == 16 ? 4 : 2;

template <int R, class S>
void score_rows(const S* const* blocks, int64_t head_dim, const float* const* q, int count, float* scores) {
  constexpr int kPerBlock = kBlock / kWide;
  const S* columns[kKeyTile / kWide + kAcross];
  int vectors = static_cast<int>(ceil_div(count, kBlock)) * kPerBlock;
  for (int v = 0; v < vectors; ++v) columns[v] = blocks[v / kPerBlock] + v % kPerBlock * kWide;
  int v = 0;
  for (; v + kAcross <= vectors; v += kAcross) score<R, kAcross>(q, columns + v, head_dim, scores + v * kWide);
  for (; v < vectors; ++v) score<R, 1>(q, columns + v, head_dim, scores + v * kWide);
}

template <int R, class S>
void mix_rows(const S* const* blocks, int64_t padded, const float* weights, const float* scales, int count, float* y) {
  int64_t at = 0;
  for (; at + kAcross * kWide <= padded; at += kAcross * kWide)
    mix<R, kAcross>(weights, scales, blocks, count, padded, y, at);
  for (; at + 2 * kWide <= padded; at += 2 * kWide) mix<R, 2>(weights, scales, blocks, count, padded, y, at);
  for (; at < padded; at += kWide) mix<R, 1>(weights, scales, blocks, count, padded, y, at);
}

// Turns a row of scores into weights; returns what the sums so far must be scaled by. `visible`: keys of this tile that
// the row may see, of `count` that are there; the rest gets the weight 0.
inline float weigh(float* scores, int64_t visible, int count, float& most, float& total) {
  const float none = -std::numeric_limits<float>::infinity();
  const IntVec lane = lanes();
  visible = std::min<int64_t>(visible, count);
  if (visible <= 0) {
    std::fill(scores, scores + count, 0.0f);
    return 1.0f;
  }
  Vec high = splat(none);
  for (int64_t k = 0; k < kKeyTile; k += kWide) {
    if (k >= visible) {
      store(scores + k, Vec{});
      continue;
    }
    Vec s = load(scores + k);
    if (k + kWide > visible) s = lane < splat_int(static_cast<int32_t>(visible - k)) ? s : splat(none);
    high = larger(high, s);
    store(scores + k, s);
  }
  float before = most;
  most = std::max(before, largest(high));
  Vec sums{}, peak = splat(most);
  for (int64_t k = 0; k < visible; k += kWide) {
    Vec w = exp(load(scores + k) - peak);
    sums = sums + w;
    store(scores + k, w);
  }
  float scale = exp(splat(before - most))[0];
  total = total * scale + sum(sums);
  return scale;
}

// f(R, r) for `rows` rows from r on, R = 4 at a time and then the rest; R is an integral_constant.
template <class F>
inline void by_fours(int rows, F f) {
  for (int r = 0; r < rows; r += 4) {
    switch (std::min(4, rows - r)) {
      case 4: f(std::integral_constant<int, 4>{}, r); break;
      case 3: f(std::integral_constant<int, 3>{}, r); break;
      case 2: f(std::integral_constant<int, 2>{}, r); break;
      default: f(std::integral_constant<int, 1>{}, r);
    }
  }
}

// The blocks as float32 in `wide`, `count` elements of each; `to` gets where they lie. Exact.
inline void widen(const Half* const* blocks, int64_t number, int64_t count, float* wide, const float** to) {
  for (int64_t b = 0; b < number; ++b) {
    to[b] = wide + b * count;
    for (int64_t i = 0; i < count; i += kWide) store(wide + b * count + i, load(blocks[b] + i));
  }
}

// Does f(blocks). Rows that go four at a time would each time turn halves into floats, which takes as long as
// a multiply-add; for more than four the tile is turned once.
template <class F>
inline void with_floats(const float* const* blocks, int64_t, int64_t, int, float*, F f) { f(blocks); }

template <class F>
inline void with_floats(const Half* const* blocks, int64_t number, int64_t count, int rows, float* wide, F f) {
  if (rows <= 4) return f(blocks);
  const float* floats[kKeyTile / kBlock];
  widen(blocks, number, count, wide, floats);
  f(static_cast<const float* const*>(floats));
}

// Takes the keys [from, to) of one part into `state`; `visible[r]`: keys from 0 on that row r may see.
template <class S>
void attend_part(const Pages<S>& pages, const float* const* q, const int64_t* visible, int rows, int64_t from,
                 int64_t to, const Softmax& state, const AttentionScratch& scratch) {
  for (int64_t tile = from; tile < to; tile += kKeyTile) {
    int count = static_cast<int>(std::min(kKeyTile, to - tile));
    int64_t number = ceil_div(count, kBlock), first = tile / kBlock;
    const S *keys[kKeyTile / kBlock], *values[kKeyTile / kBlock];
    for (int64_t b = 0; b < number; ++b) {
      keys[b] = pages.key_block(first + b);
      values[b] = pages.value_block(first + b);
    }
    with_floats(keys, number, pages.head_dim * kBlock, rows, scratch.wide, [&](auto blocks) {
      by_fours(rows, [&](auto R, int r) {
        score_rows<R>(blocks, pages.head_dim, q + r, count, scratch.scores + r * kKeyTile);
      });
    });
    for (int r = 0; r < rows; ++r)
      scratch.scales[r] =
          weigh(scratch.scores + r * kKeyTile, visible[r] - tile, count, state.most[r], state.total[r]);
    with_floats(values, number, pages.padded * kBlock, rows, scratch.wide, [&](auto blocks) {
      by_fours(rows, [&](auto R, int r) {
        mix_rows<R>(blocks, pages.padded, scratch.scores + r * kKeyTile, scratch.scales + r, count,
                    state.y + r * pages.padded);
      });
    });
  }
}

}  // namespace sansi
