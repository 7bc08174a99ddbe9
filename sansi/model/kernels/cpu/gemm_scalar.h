// The portable kernels, written for clarity: what the vectorised ones must equal bit for bit.
#pragma once

#include <cmath>

#include "gemm_layout.h"

namespace sansi::scalar {

// One tile of rows times one panel, for any kind.
inline void tile_float(const Packed& w, int64_t panel, const float* x, int64_t ldx, int rows, float (*y)[kPanel]) {
  for (int m = 0; m < rows; ++m) {
    const float* row = x + m * ldx;
    for (int64_t n = 0; n < kPanel; ++n) y[m][n] = 0;
    for (int64_t k = 0; k < w.K; ++k) {
      if (w.kind == F32) {
        const float* weight = static_cast<const float*>(w.data) + (panel * w.K + k) * kPanel;
        for (int64_t n = 0; n < kPanel; ++n) y[m][n] = std::fma(row[k], weight[n], y[m][n]);
      } else if (w.kind == F16) {
        const uint16_t* weight = static_cast<const uint16_t*>(w.data) + (panel * w.K + k) * kPanel;
        for (int64_t n = 0; n < kPanel; ++n) y[m][n] = std::fma(row[k], from_fp16(weight[n]), y[m][n]);
      } else {
        const uint16_t* weight =
            static_cast<const uint16_t*>(w.data) + (panel * ceil_div(w.K, 2) + k / 2) * kPanel * 2 + k % 2;
        for (int64_t n = 0; n < kPanel; ++n) y[m][n] = std::fma(row[k], from_bf16(weight[n * 2]), y[m][n]);
      }
    }
  }
}

inline void tile_integer(const Packed& w, int64_t panel, const Activations& x, int64_t first, int rows, float (*y)[kPanel]) {
  int64_t groups = w.K / kGroup;
  for (int m = 0; m < rows; ++m)
    for (int64_t n = 0; n < kPanel; ++n) y[m][n] = 0;
  for (int64_t g = 0; g < groups; ++g) {
    const uint8_t* weight = static_cast<const uint8_t*>(w.data) + (panel * groups + g) * group_bytes(w.kind);
    const uint8_t* scales = static_cast<const uint8_t*>(w.scales) + panel * panel_scales(w.kind, groups);
    for (int m = 0; m < rows; ++m) {
      int64_t at = first * groups + g * rows + m;  // tiles before this one hold `first` rows
      const int8_t* q = x.q + at * kGroup;
      for (int64_t n = 0; n < kPanel; ++n) {
        int32_t half[2] = {0, 0};
        for (int64_t k = 0; k < kGroup; ++k) half[k / 16] += q[k] * weight_of(w.kind, weight, k, n);
        float& sum = y[m][n];
        if (form(w.kind) == S6) {
          for (int i = 0; i < 2; ++i)
            sum = std::fma(static_cast<float>(half[i]), scaled_by(w.kind, scales, 2 * g + i, n).scale * x.scales[at], sum);
        } else if (affine(w.kind)) {
          Scaled by = scaled_by(w.kind, scales, 2 * g, n);
          sum = std::fma(static_cast<float>(half[0] + half[1]), by.scale * x.scales[at], sum);
          sum = std::fma(-by.minimum, x.sums[at], sum);
        } else {
          float scale = from_fp16(half_at(scales, g * kPanel + n));
          sum = std::fma(static_cast<float>(half[0] + half[1]), scale * x.scales[at], sum);
        }
      }
    }
  }
}

inline void gemm(const Packed& w, const Activations& x, float* y, int64_t ldy, bool add, Share panels) {
  float tile[kTile][kPanel];
  for (int64_t panel = panels.begin; panel < panels.end; ++panel)
    for (int64_t first = 0; first < x.M; first += kTile) {
      int rows = static_cast<int>(x.M - first < kTile ? x.M - first : kTile);
      if (quantised(w.kind)) tile_integer(w, panel, x, first, rows, tile);
      else tile_float(w, panel, x.x + first * x.ldx, x.ldx, rows, tile);
      int64_t width = w.N - panel * kPanel < kPanel ? w.N - panel * kPanel : kPanel;
      for (int m = 0; m < rows; ++m)
        for (int64_t n = 0; n < width; ++n) {
          float& out = y[(first + m) * ldy + panel * kPanel + n];
          out = add ? out + tile[m][n] : tile[m][n];
        }
    }
}

inline void quantise(const float* x, int8_t* q, float* scale, int32_t* offset, int32_t* first) {
  uint32_t most = 0;  // as integers, magnitudes have the order of floats, infinity and then NaN above all
  for (int64_t k = 0; k < kGroup; ++k) {
    uint32_t bits;
    std::memcpy(&bits, x + k, 4);
    bits &= 0x7fffffffu;
    most = bits > most ? bits : most;
  }
  QuantisedBy by = quantised_by(most);
  int32_t sum = 0, half = 0;
  for (int64_t k = 0; k < kGroup; ++k) {
    if (k == kGroup / 2) half = sum;
    q[k] = by.finite ? static_cast<int8_t>(std::nearbyint(x[k] * by.inverse)) : int8_t{0};
    sum += q[k];
  }
  *scale = by.scale;
  *offset = -8 * sum;
  *first = -32 * half;
}

}  // namespace sansi::scalar
