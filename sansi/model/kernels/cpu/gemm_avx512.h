// The kernels for AVX-512 with VNNI: a panel of 16 outputs is one register.
#pragma once

#include <immintrin.h>

#include "gemm_tiles.h"

namespace sansi::avx512 {

inline void store(const Target& out, int r, int p, __m512 value) {
  float* at = out.y + r * out.ldy + p * kPanel;
  int width = out.width - p * static_cast<int>(kPanel);
  __mmask16 mask = width >= kPanel ? 0xffff : static_cast<__mmask16>((1 << width) - 1);
  if (out.add) value = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, at), value);
  _mm512_mask_storeu_ps(at, mask, value);
}

struct Kernels {
  static constexpr int kIntegerRows = 16, kFloatRows = 8, kMatrixPanels = 3, kVectorPanels = 8;

  template <int kind, int R>
  static void integer(const IntegerTile& t, const Target& out) {
    const uint8_t* weight = t.weight;
    const int8_t* q = t.q;
    const float* scales = t.scales;
    const int32_t* offset = t.offset;
    __m512 sums[R];
    for (int r = 0; r < R; ++r) sums[r] = _mm512_setzero_ps();
    for (int64_t g = 0; g < t.groups; ++g) {
      __m512i w[8];  // inputs 4i..4i+3 of the group for all 16 outputs
      load<kind>(weight, w);
      __m512 weight_scale =
          _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(t.weight_scales + g * kPanel)));
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        __m512i dot = _mm512_set1_epi32(kind == I8 ? offset[r] * 16 : offset[r]);
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) {
          int32_t four;
          std::memcpy(&four, q + r * kGroup + 4 * i, 4);
          dot = _mm512_dpbusd_epi32(dot, w[i], _mm512_set1_epi32(four));
        }
        __m512 scale = _mm512_mul_ps(weight_scale, _mm512_set1_ps(scales[r]));
        sums[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), scale, sums[r]);
      }
      weight += group_bytes(kind);
      q += t.rows * kGroup;
      scales += t.rows;
      offset += t.rows;
    }
    for (int r = 0; r < R; ++r) store(out, r, 0, sums[r]);
  }

  // The bytes of a group, and a prefetch of those to come: a panel is read once from memory when rows are few.
  template <int kind>
  static void load(const uint8_t* weight, __m512i* w) {
    const __m512i nibble = _mm512_set1_epi8(15);
    constexpr int kLines = kind == I8 ? 8 : 4;
#pragma GCC unroll 8
    for (int i = 0; i < kLines; ++i) {
      _mm_prefetch(reinterpret_cast<const char*>(weight + i * 64 + kAhead), _MM_HINT_T0);
      w[i] = _mm512_load_si512(weight + i * 64);
      if (kind == I4) {
        w[i + 4] = _mm512_and_si512(_mm512_srli_epi16(w[i], 4), nibble);
        w[i] = _mm512_and_si512(w[i], nibble);
      }
    }
  }

  static constexpr int64_t kAhead = 4096;  // bytes from a load to the prefetch

  template <int kind, int R, int P>
  static void real(const FloatTile& t, const Target& out) {
    __m512 sums[R][P];
    for (int r = 0; r < R; ++r)
      for (int p = 0; p < P; ++p) sums[r][p] = _mm512_setzero_ps();
    const char* weight = static_cast<const char*>(t.weight);
    int64_t panel = static_cast<int64_t>(packed_bytes(kind, kPanel, t.K));
    auto step = [&](const __m512* w, int64_t k) {
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        __m512 x = _mm512_set1_ps(t.x[r * t.ldx + k]);
#pragma GCC unroll 8
        for (int p = 0; p < P; ++p) sums[r][p] = _mm512_fmadd_ps(x, w[p], sums[r][p]);
      }
    };
    if (kind == F32) {
      for (int64_t k = 0; k < t.K; ++k, weight += 64) {
        __m512 w[P];
        for (int p = 0; p < P; ++p) w[p] = _mm512_load_ps(weight + p * panel);
        step(w, k);
      }
    } else {
      const __m512i high = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
      for (int64_t k = 0; k < t.K; k += 2, weight += 64) {
        __m512 even[P], odd[P];  // a bfloat16 is the upper half of a float
        for (int p = 0; p < P; ++p) {
          __m512i pair = _mm512_load_si512(weight + p * panel);
          even[p] = _mm512_castsi512_ps(_mm512_slli_epi32(pair, 16));
          odd[p] = _mm512_castsi512_ps(_mm512_and_si512(pair, high));
        }
        step(even, k);
        if (k + 1 < t.K) step(odd, k + 1);
      }
    }
    for (int r = 0; r < R; ++r)
      for (int p = 0; p < P; ++p) store(out, r, p, sums[r][p]);
  }
};

inline void gemm(const Packed& w, const Activations& x, float* y, int64_t ldy, bool add, Share panels) {
  tiled_gemm<Kernels>(w, x, y, ldy, add, panels);
}

// As scalar::quantise.
inline void quantise(const float* x, int8_t* q, float* scale, int32_t* offset) {
  __m512 low = _mm512_loadu_ps(x), high = _mm512_loadu_ps(x + 16);
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  uint32_t most = static_cast<uint32_t>(_mm512_reduce_max_epi32(
      _mm512_max_epi32(_mm512_and_si512(_mm512_castps_si512(low), magnitude),
                       _mm512_and_si512(_mm512_castps_si512(high), magnitude))));
  QuantisedBy by = quantised_by(most);
  __m512 inverse = _mm512_set1_ps(by.inverse);
  __m512i a = _mm512_cvtps_epi32(_mm512_mul_ps(low, inverse)), b = _mm512_cvtps_epi32(_mm512_mul_ps(high, inverse));
  if (!by.finite) a = b = _mm512_setzero_si512();
  _mm_storeu_si128(reinterpret_cast<__m128i*>(q), _mm512_cvtepi32_epi8(a));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(q + 16), _mm512_cvtepi32_epi8(b));
  *scale = by.scale;
  *offset = -8 * _mm512_reduce_add_epi32(_mm512_add_epi32(a, b));
}

}  // namespace sansi::avx512
