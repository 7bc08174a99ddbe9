// The kernels for AVX-512 with VNNI: a panel of 16 outputs is one register.
#pragma once

#include <immintrin.h>

#include "gemm_tiles.h"

namespace sansi::avx512 {

// A panel's 16 outputs of one row.
struct Vector {
  __m512 v;
  static Vector zero() { return {_mm512_setzero_ps()}; }
  static Vector all(float x) { return {_mm512_set1_ps(x)}; }
  static Vector load(const float* at) { return {_mm512_load_ps(at)}; }
  static Vector fma(Vector a, Vector b, Vector c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
  // 16 pairs of bfloat16, each the upper half of a float: the first and the second of each pair.
  static Vector first(const void* at) { return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_load_si512(at), 16))}; }
  static Vector second(const void* at) {
    __m512i high = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
    return {_mm512_castsi512_ps(_mm512_and_si512(_mm512_load_si512(at), high))};
  }
  // The first `width` outputs, 1 to 16, to y.
  void store(float* y, int width, bool add) const {
    __mmask16 mask = static_cast<__mmask16>((1u << width) - 1);
    __m512 value = add ? _mm512_add_ps(_mm512_maskz_loadu_ps(mask, y), v) : v;
    _mm512_mask_storeu_ps(y, mask, value);
  }
};

struct Kernels {
  static constexpr int kIntegerRows = 16, kFloatRows = 8, kMatrixPanels = 3, kVectorPanels = 4;
  static constexpr int64_t kAhead = 4096;  // bytes from a load to the prefetch

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
      load<kind, R>(weight, w);
      __m512 weight_scale =
          _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(t.weight_scales + g * kPanel)));
      // Rows side by side: a row's dot product is a chain of eight steps, each of which waits for the one before. Dots,
      // sums and the weights of a group must fit into 32 registers.
      constexpr int kAbreast = R <= 8 ? R : 6;
#pragma GCC unroll 16
      for (int first = 0; first < R; first += kAbreast) {
        const int end = first + kAbreast < R ? first + kAbreast : R;
        __m512i dot[kAbreast];
#pragma GCC unroll 16
        for (int r = first; r < end; ++r)
          dot[r - first] = _mm512_set1_epi32(kind == I8 ? offset[r] * 16 : offset[r]);
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i)
#pragma GCC unroll 16
          for (int r = first; r < end; ++r) {
            int32_t four;
            std::memcpy(&four, q + r * kGroup + 4 * i, 4);
            dot[r - first] = _mm512_dpbusd_epi32(dot[r - first], w[i], _mm512_set1_epi32(four));
          }
#pragma GCC unroll 16
        for (int r = first; r < end; ++r) {
          __m512 scale = _mm512_mul_ps(weight_scale, _mm512_set1_ps(scales[r]));
          sums[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[r - first]), scale, sums[r]);
        }
      }
      weight += group_bytes(kind);
      q += t.rows * kGroup;
      scales += t.rows;
      offset += t.rows;
    }
    for (int r = 0; r < R; ++r) out.store(r, 0, Vector{sums[r]});
  }

  // The bytes of a group. With few rows the processor's own prefetcher keeps up better than instructions do; with more,
  // it loses the stream between the loads (measured: prefetching makes 16 rows of int8 out of the cache 1.4 times as
  // fast, and 2 rows 0.95 times).
  template <int kind, int R>
  static void load(const uint8_t* weight, __m512i* w) {
    const __m512i nibble = _mm512_set1_epi8(15);
    constexpr int kLines = kind == I8 ? 8 : 4;
#pragma GCC unroll 8
    for (int i = 0; i < kLines; ++i) {
      if (R >= (kind == I4 ? 2 : 6))
        _mm_prefetch(reinterpret_cast<const char*>(weight + i * 64 + kAhead), _MM_HINT_T0);
      w[i] = _mm512_load_si512(weight + i * 64);
      if (kind == I4) {
        w[i + 4] = _mm512_and_si512(_mm512_srli_epi16(w[i], 4), nibble);
        w[i] = _mm512_and_si512(w[i], nibble);
      }
    }
  }
};

inline void gemm(const Packed& w, const Activations& x, float* y, int64_t ldy, bool add, Share panels) {
  tiled_gemm<Kernels, Vector>(w, x, y, ldy, add, panels);
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
