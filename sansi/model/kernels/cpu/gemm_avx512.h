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
  static Vector halves(const void* at) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(at)))};
  }
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
    if constexpr (kind == A4 || kind == A5) return with_minima<kind, R>(t, out);
    if constexpr (kind == S6) return sixteens<R>(t, out);
    const uint8_t* weight = t.weight;
    const int8_t* q = t.q;
    const float* scales = t.scales;
    const int32_t* offset = t.offset;
    __m512 sums[R];
    for (int r = 0; r < R; ++r) sums[r] = _mm512_setzero_ps();
    for (int64_t g = 0; g < t.groups; ++g) {
      __m512i w[8];  // inputs 4i..4i+3 of the group for all 16 outputs
      load<kind, R>(weight, w);
      __m512 weight_scale = halves(t.weight_scales + g * kPanel * 2);
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
          for (int r = first; r < end; ++r)
            dot[r - first] = _mm512_dpbusd_epi32(dot[r - first], w[i], four(q + r * kGroup + 4 * i));
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

  // 16 of fp16.
  static __m512 halves(const uint8_t* at) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)));
  }

  static __m512 unsigned_bytes(const uint8_t* at) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))));
  }

  static __m512 signed_bytes(const uint8_t* at) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at))));
  }

  static __m512i four(const int8_t* q) {
    int32_t bytes;
    std::memcpy(&bytes, q, 4);
    return _mm512_set1_epi32(bytes);
  }

  // A4 and A5.
  template <int kind, int R>
  static void with_minima(const IntegerTile& t, const Target& out) {
    const uint8_t *weight = t.weight, *shared = t.weight_scales;
    const int8_t* q = t.q;
    const float *scales = t.scales, *x_sums = t.sums;
    __m512 sums[R];
    for (int r = 0; r < R; ++r) sums[r] = _mm512_setzero_ps();
    for (int64_t g = 0; g < t.groups;) {
      const __m512 d = halves(shared), dmin = halves(shared + 2 * kPanel);
      shared += 4 * kPanel;
      for (int64_t end = g + t.span; g < end; ++g) {
        __m512i w[8];
        load<kind, R>(weight, w);
        __m512 weight_scale = _mm512_mul_ps(d, unsigned_bytes(shared));
        __m512 minimum = _mm512_mul_ps(dmin, unsigned_bytes(shared + kPanel));
        shared += 2 * kPanel;
        constexpr int kAbreast = R <= 8 ? R : 6;
#pragma GCC unroll 16
        for (int first = 0; first < R; first += kAbreast) {
          const int end_row = first + kAbreast < R ? first + kAbreast : R;
          __m512i dot[kAbreast];
#pragma GCC unroll 16
          for (int r = first; r < end_row; ++r) dot[r - first] = _mm512_setzero_si512();
#pragma GCC unroll 8
          for (int i = 0; i < 8; ++i)
#pragma GCC unroll 16
            for (int r = first; r < end_row; ++r)
              dot[r - first] = _mm512_dpbusd_epi32(dot[r - first], w[i], four(q + r * kGroup + 4 * i));
#pragma GCC unroll 16
          for (int r = first; r < end_row; ++r) {
            __m512 scale = _mm512_mul_ps(weight_scale, _mm512_set1_ps(scales[r]));
            sums[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[r - first]), scale, sums[r]);
            sums[r] = _mm512_fnmadd_ps(minimum, _mm512_set1_ps(x_sums[r]), sums[r]);
          }
        }
        weight += group_bytes(kind);
        q += t.rows * kGroup;
        scales += t.rows;
        x_sums += t.rows;
      }
    }
    for (int r = 0; r < R; ++r) out.store(r, 0, Vector{sums[r]});
  }

  // S6: two dot products in a group.
  template <int R>
  static void sixteens(const IntegerTile& t, const Target& out) {
    const uint8_t *weight = t.weight, *shared = t.weight_scales;
    const int8_t* q = t.q;
    const float* scales = t.scales;
    const int32_t *offset = t.offset, *first_half = t.first;
    __m512 sums[R];
    for (int r = 0; r < R; ++r) sums[r] = _mm512_setzero_ps();
    for (int64_t g = 0; g < t.groups;) {
      const __m512 d = halves(shared);
      shared += 2 * kPanel;
      for (int64_t end = g + kSuperGroups; g < end; ++g) {
        __m512i w[8];
        load<S6, R>(weight, w);
        const __m512 scale[2] = {_mm512_mul_ps(d, signed_bytes(shared)), _mm512_mul_ps(d, signed_bytes(shared + kPanel))};
        shared += 2 * kPanel;
        constexpr int kAbreast = R <= 4 ? R : 4;
#pragma GCC unroll 16
        for (int first = 0; first < R; first += kAbreast) {
          const int end_row = first + kAbreast < R ? first + kAbreast : R;
          __m512i dot[kAbreast][2];
#pragma GCC unroll 16
          for (int r = first; r < end_row; ++r) {
            dot[r - first][0] = _mm512_set1_epi32(first_half[r]);
            dot[r - first][1] = _mm512_set1_epi32(4 * offset[r] - first_half[r]);
          }
#pragma GCC unroll 8
          for (int i = 0; i < 4; ++i)
#pragma GCC unroll 16
            for (int r = first; r < end_row; ++r) {
              const int8_t* at = q + r * kGroup + 4 * i;
              dot[r - first][0] = _mm512_dpbusd_epi32(dot[r - first][0], w[i], four(at));
              dot[r - first][1] = _mm512_dpbusd_epi32(dot[r - first][1], w[i + 4], four(at + 16));
            }
#pragma GCC unroll 16
          for (int r = first; r < end_row; ++r) {
            const __m512 by = _mm512_set1_ps(scales[r]);
#pragma GCC unroll 2
            for (int half = 0; half < 2; ++half)
              sums[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[r - first][half]), _mm512_mul_ps(scale[half], by), sums[r]);
          }
        }
        weight += group_bytes(S6);
        q += t.rows * kGroup;
        scales += t.rows;
        offset += t.rows;
        first_half += t.rows;
      }
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
      if (R >= (kind == I8 ? 6 : 2))
        _mm_prefetch(reinterpret_cast<const char*>(weight + i * 64 + kAhead), _MM_HINT_T0);
      w[i] = _mm512_load_si512(weight + i * 64);
      if (kind != I8) {
        w[i + 4] = _mm512_and_si512(_mm512_srli_epi16(w[i], 4), nibble);
        w[i] = _mm512_and_si512(w[i], nibble);
      }
    }
    if (kind == A5) {
      const __m512i fifth = _mm512_set1_epi8(16);
#pragma GCC unroll 8
      for (int i = 0; i < 8; ++i) {
        uint64_t bits;
        std::memcpy(&bits, weight + 256 + 8 * i, 8);
        w[i] = _mm512_mask_add_epi8(w[i], _cvtu64_mask64(bits), w[i], fifth);
      }
    }
    if (kind == S6) {
      const __m512i high = _mm512_set1_epi8(0x30);
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        const __m512i bits = _mm512_load_si512(weight + 256 + 64 * half);
        __m512i* to = w + 4 * half;
        to[0] = _mm512_or_si512(to[0], _mm512_and_si512(_mm512_slli_epi16(bits, 4), high));
        to[1] = _mm512_or_si512(to[1], _mm512_and_si512(_mm512_slli_epi16(bits, 2), high));
        to[2] = _mm512_or_si512(to[2], _mm512_and_si512(bits, high));
        to[3] = _mm512_or_si512(to[3], _mm512_and_si512(_mm512_srli_epi16(bits, 2), high));
      }
    }
  }
};

inline void gemm(const Packed& w, const Activations& x, float* y, int64_t ldy, bool add, Share panels) {
  tiled_gemm<Kernels, Vector>(w, x, y, ldy, add, panels);
}

// As scalar::quantise.
inline void quantise(const float* x, int8_t* q, float* scale, int32_t* offset, int32_t* first) {
  __m512 low = _mm512_loadu_ps(x), high = _mm512_loadu_ps(x + 16);
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  uint32_t most = static_cast<uint32_t>(_mm512_reduce_max_epi32(
      _mm512_max_epi32(_mm512_and_si512(_mm512_castps_si512(low), magnitude),
                       _mm512_and_si512(_mm512_castps_si512(high), magnitude))));
  QuantisedBy by = quantised_by(most);
  __m512 inverse = _mm512_set1_ps(by.inverse);
  __m512i a = _mm512_cvtps_epi32(_mm512_mul_ps(low, inverse)), b = _mm512_cvtps_epi32(_mm512_mul_ps(high, inverse));
  if (!by.finite) a = b = _mm512_setzero_si512();
  const __m256i bytes = _mm256_set_m128i(_mm512_cvtepi32_epi8(b), _mm512_cvtepi32_epi8(a));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), bytes);
  *scale = by.scale;
  // Sums of four bytes, then of each half of the register: both halves of the group at once.
  __m256i sums = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), bytes);
  sums = _mm256_hadd_epi32(sums, sums);
  sums = _mm256_hadd_epi32(sums, sums);
  const int32_t half = _mm256_cvtsi256_si32(sums);
  *offset = -8 * (half + _mm_cvtsi128_si32(_mm256_extracti128_si256(sums, 1)));
  *first = -32 * half;
}

}  // namespace sansi::avx512
