// The loops around the vectorised kernels: which rows meet which panels, in an order that keeps the rows in a cache.
#pragma once

#include <utility>

#include "gemm_layout.h"

namespace sansi {

constexpr int64_t kCachedRows = 384 << 10;  // bytes of activations that all panels meet before the next rows: half an L2

// Where a tile's results go: `width` outputs of each row.
struct Target {
  float* y;
  int64_t ldy;
  int width;
  bool add;

  template <class Vector>
  void store(int r, int p, const Vector& value) const {
    int rest = width - p * static_cast<int>(kPanel);
    value.store(y + r * ldy + p * kPanel, rest < kPanel ? rest : static_cast<int>(kPanel), add);
  }
};

// One panel times R rows of quantised activations; `rows` is how many lie in the tile, group after group.
struct IntegerTile {
  const uint8_t* weight;
  const uint8_t* weight_scales;
  int64_t groups, span;
  const int8_t* q;
  const float* scales;
  const int32_t *offset, *first;
  const float* sums;
  int64_t rows;
};

// Adjacent panels times R rows of float activations.
struct FloatTile {
  const void* weight;
  int64_t K;
  const float* x;
  int64_t ldx;
};

// R rows times P panels of F32, BF16 or F16. Vector: the 16 outputs of a panel, in one register or in two.
template <class Vector, int kind, int R, int P>
void float_tile(const FloatTile& t, const Target& out) {
  Vector sums[R][P];
  for (int r = 0; r < R; ++r)
    for (int p = 0; p < P; ++p) sums[r][p] = Vector::zero();
  const char* weight = static_cast<const char*>(t.weight);
  int64_t panel = static_cast<int64_t>(packed_bytes(kind, kPanel, t.K));
  auto step = [&](const Vector* w, int64_t k) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      Vector x = Vector::all(t.x[r * t.ldx + k]);
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) sums[r][p] = Vector::fma(x, w[p], sums[r][p]);
    }
  };
  if (kind == F32) {
    for (int64_t k = 0; k < t.K; ++k, weight += 64) {
      Vector w[P];
      for (int p = 0; p < P; ++p) w[p] = Vector::load(reinterpret_cast<const float*>(weight + p * panel));
      step(w, k);
    }
  } else if (kind == F16) {
    for (int64_t k = 0; k < t.K; ++k, weight += 32) {
      Vector w[P];
      for (int p = 0; p < P; ++p) w[p] = Vector::halves(weight + p * panel);
      step(w, k);
    }
  } else {
    for (int64_t k = 0; k < t.K; k += 2, weight += 64) {
      Vector w[P];
      for (int p = 0; p < P; ++p) w[p] = Vector::first(weight + p * panel);
      step(w, k);
      if (k + 1 == t.K) break;
      for (int p = 0; p < P; ++p) w[p] = Vector::second(weight + p * panel);
      step(w, k + 1);
    }
  }
  for (int r = 0; r < R; ++r)
    for (int p = 0; p < P; ++p) out.store(r, p, sums[r][p]);
}

// f(std::integral_constant<int, n>) for an n from 1 to Most that is known only when the program runs.
template <int Most, class F>
inline void with_constant(int n, F f) {
  if constexpr (Most > 1) {
    if (n < Most) return with_constant<Most - 1>(n, f);
  }
  f(std::integral_constant<int, Most>{});
}

inline int64_t rows_in_cache(int64_t bytes_per_row) {
  int64_t rows = kCachedRows / bytes_per_row / kTile * kTile;
  return rows < kTile ? kTile : rows;
}

inline Target target(const Packed& w, float* y, int64_t ldy, bool add, int64_t row, int64_t panel, int64_t panels) {
  int64_t n = panel * kPanel, width = w.N - n < panels * kPanel ? w.N - n : panels * kPanel;
  return {y + row * ldy + n, ldy, static_cast<int>(width), add};
}

// Kernels::integer<kind, R>(IntegerTile, Target) does R rows, R <= Kernels::kIntegerRows.
template <class Kernels, int kind>
void integer_gemm(const Packed& w, const Activations& x, float* y, int64_t ldy, bool add, Share panels) {
  constexpr int kMost = Kernels::kIntegerRows;
  int64_t groups = w.K / kGroup, block = rows_in_cache(w.K);
  for (int64_t top = 0; top < x.M; top += block)
    for (int64_t panel = panels.begin; panel < panels.end; ++panel)
      for (int64_t first = top; first < x.M && first < top + block; first += kTile) {
        int64_t rows = x.M - first < kTile ? x.M - first : kTile;
        for (int64_t row = 0; row < rows; row += kMost) {
          int64_t at = first * groups + row, scales = panel * panel_scales(w.kind, groups);
          IntegerTile tile{static_cast<const uint8_t*>(w.data) + panel * groups * group_bytes(kind),
                           static_cast<const uint8_t*>(w.scales) + scales, groups, span(w.kind), x.q + at * kGroup,
                           x.scales + at, x.offset + at, x.first + at, x.sums + at, rows};
          Target out = target(w, y, ldy, add, first + row, panel, 1);
          with_constant<kMost>(static_cast<int>(rows - row < kMost ? rows - row : kMost),
                               [&](auto R) { Kernels::template integer<kind, R>(tile, out); });
        }
      }
}

// Few rows want many panels, so that enough sums are under way at once.
template <class Kernels, class Vector, int kind>
void float_gemm(const Packed& w, const Activations& x, float* y, int64_t ldy, bool add, Share panels) {
  int64_t panel_bytes = static_cast<int64_t>(packed_bytes(kind, kPanel, w.K)), block = rows_in_cache(w.K * 4);
  for (int64_t top = 0; top < x.M; top += block) {
    int64_t bottom = x.M < top + block ? x.M : top + block;
    int64_t most = bottom - top == 1 ? Kernels::kVectorPanels : Kernels::kMatrixPanels, count;
    for (int64_t panel = panels.begin; panel < panels.end; panel += count) {
      count = panels.end - panel < most ? panels.end - panel : most;
      FloatTile tile{static_cast<const char*>(w.data) + panel * panel_bytes, w.K, nullptr, x.ldx};
      for (int64_t row = top; row < bottom; row += Kernels::kFloatRows) {
        int rows = static_cast<int>(bottom - row < Kernels::kFloatRows ? bottom - row : Kernels::kFloatRows);
        tile.x = x.x + row * x.ldx;
        Target out = target(w, y, ldy, add, row, panel, count);
        if (bottom - top == 1)
          with_constant<Kernels::kVectorPanels>(static_cast<int>(count),
                                                [&](auto P) { float_tile<Vector, kind, 1, P>(tile, out); });
        else
          with_constant<Kernels::kFloatRows>(rows, [&](auto R) {
            with_constant<Kernels::kMatrixPanels>(static_cast<int>(count),
                                                  [&](auto P) { float_tile<Vector, kind, R, P>(tile, out); });
          });
      }
    }
  }
}

template <class Kernels, class Vector>
void tiled_gemm(const Packed& w, const Activations& x, float* y, int64_t ldy, bool add, Share panels) {
  switch (form(w.kind)) {
    case F32: return float_gemm<Kernels, Vector, F32>(w, x, y, ldy, add, panels);
    case BF16: return float_gemm<Kernels, Vector, BF16>(w, x, y, ldy, add, panels);
    case F16: return float_gemm<Kernels, Vector, F16>(w, x, y, ldy, add, panels);
    case I8: return integer_gemm<Kernels, I8>(w, x, y, ldy, add, panels);
    case I4: return integer_gemm<Kernels, I4>(w, x, y, ldy, add, panels);
    case A4: return integer_gemm<Kernels, A4>(w, x, y, ldy, add, panels);
    case A5: return integer_gemm<Kernels, A5>(w, x, y, ldy, add, panels);
    default: return integer_gemm<Kernels, S6>(w, x, y, ldy, add, panels);
  }
}

}  // namespace sansi
