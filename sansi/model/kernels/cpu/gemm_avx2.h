// The kernels for AVX2: a panel of 16 outputs is two registers.
#pragma once

#include <immintrin.h>

#include "gemm_tiles.h"

namespace sansi::avx2 {

// A panel's 16 outputs of one row.
struct Vector {
  __m256 a, b;
  static Vector zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
  static Vector all(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static Vector load(const float* at) { return {_mm256_load_ps(at), _mm256_load_ps(at + 8)}; }
  static Vector fma(Vector x, Vector y, Vector z) {
    return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)};
  }
  static Vector halves(const void* at) {
    const __m128i* both = static_cast<const __m128i*>(at);
    return {_mm256_cvtph_ps(_mm_loadu_si128(both)), _mm256_cvtph_ps(_mm_loadu_si128(both + 1))};
  }
  static __m256i half(const void* at, int which) { return _mm256_load_si256(static_cast<const __m256i*>(at) + which); }
  // 16 pairs of bfloat16, each the upper half of a float: the first and the second of each pair.
  static Vector first(const void* at) {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(half(at, 0), 16)),
            _mm256_castsi256_ps(_mm256_slli_epi32(half(at, 1), 16))};
  }
  static Vector second(const void* at) {
    __m256i high = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
    return {_mm256_castsi256_ps(_mm256_and_si256(half(at, 0), high)),
            _mm256_castsi256_ps(_mm256_and_si256(half(at, 1), high))};
  }
  // The first `width` outputs, 1 to 16, to y.
  void store(float* y, int width, bool add) const {
    if (width == kPanel) {
      _mm256_storeu_ps(y, add ? _mm256_add_ps(_mm256_loadu_ps(y), a) : a);
      _mm256_storeu_ps(y + 8, add ? _mm256_add_ps(_mm256_loadu_ps(y + 8), b) : b);
      return;
    }
    float whole[kPanel];
    _mm256_storeu_ps(whole, a);
    _mm256_storeu_ps(whole + 8, b);
    for (int n = 0; n < width; ++n) y[n] = add ? y[n] + whole[n] : whole[n];
  }
};

inline __m256i four(const int8_t* q) {
  int32_t bytes;
  std::memcpy(&bytes, q, 4);
  return _mm256_set1_epi32(bytes);
}

struct Kernels {
  static constexpr int kIntegerRows = 4, kFloatRows = 6, kMatrixPanels = 1, kVectorPanels = 4;

  // 16 registers are too few for both halves of a panel and several rows: then one half follows the other.
  template <int kind, int R>
  static void integer(const IntegerTile& t, const Target& out) {
    __m256 sums[2][R];
    if (R == 1) {
      halves<kind, R, 2>(t, 0, sums);
    } else {
      halves<kind, R, 1>(t, 0, sums);
      halves<kind, R, 1>(t, 1, sums + 1);
    }
    for (int r = 0; r < R; ++r) out.store(r, 0, Vector{sums[0][r], sums[1][r]});
  }

  template <int kind, int R, int H>
  static void halves(const IntegerTile& t, int which, __m256 (*result)[R]) {
    if constexpr (kind == A4 || kind == A5 || kind == S6) return others<kind, R, H>(t, which, result);
    const uint8_t* weight = t.weight + which * 32;
    const uint8_t* weight_scales = t.weight_scales + which * 16;
    const int8_t* q = t.q;
    const float* scales = t.scales;
    const int32_t* offset = t.offset;
    __m256 sums[H][R];
    for (int h = 0; h < H; ++h)
      for (int r = 0; r < R; ++r) sums[h][r] = _mm256_setzero_ps();
    for (int64_t g = 0; g < t.groups; ++g) {
#pragma GCC unroll 2
      for (int h = 0; h < H; ++h) {
        __m256i dots[R];
        if (kind == I4) dots_int4<R>(weight + h * 32, q, offset, dots);
        else dots_int8<R>(weight + h * 32, q, dots);
        __m256 weight_scale = eight_halves(weight_scales + h * 16);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          __m256 scale = _mm256_mul_ps(weight_scale, _mm256_set1_ps(scales[r]));
          sums[h][r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[r]), scale, sums[h][r]);
        }
      }
      weight += group_bytes(kind);
      weight_scales += 2 * kPanel;
      q += t.rows * kGroup;
      scales += t.rows;
      offset += t.rows;
    }
    for (int h = 0; h < H; ++h)
      for (int r = 0; r < R; ++r) result[h][r] = sums[h][r];
  }

  static __m256 eight_halves(const uint8_t* at) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
  }

  static __m256 eight_bytes(const uint8_t* at, bool with_sign) {
    __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(at));
    return _mm256_cvtepi32_ps(with_sign ? _mm256_cvtepi8_epi32(bytes) : _mm256_cvtepu8_epi32(bytes));
  }

  // A4, A5 and S6. `which`, and h after it: which half of the panel.
  template <int kind, int R, int H>
  static void others(const IntegerTile& t, int which, __m256 (*result)[R]) {
    const uint8_t *weight = t.weight, *shared = t.weight_scales;
    const int8_t* q = t.q;
    const float *scales = t.scales, *x_sums = t.sums;
    const int32_t *offset = t.offset, *first = t.first;
    const int64_t span = kind == S6 ? kSuperGroups : t.span;
    __m256 sums[H][R];
    for (int h = 0; h < H; ++h)
      for (int r = 0; r < R; ++r) sums[h][r] = _mm256_setzero_ps();
    for (int64_t g = 0; g < t.groups;) {
      const uint8_t* both = shared;
      shared += (kind == S6 ? 2 : 4) * kPanel;
      for (int64_t end = g + span; g < end; ++g) {
#pragma GCC unroll 2
        for (int h = 0; h < H; ++h) {
          const int at = (which + h) * 8;
          __m256i dots[2][R];
          wide_dots<kind, R>(weight, which + h, q, dots);
          const __m256 d = eight_halves(both + 2 * at);
          const __m256 scale = _mm256_mul_ps(d, eight_bytes(shared + at, kind == S6));
          const __m256 other = eight_bytes(shared + kPanel + at, kind == S6);
          if (kind == S6) {
            const __m256 late = _mm256_mul_ps(d, other);
            for (int r = 0; r < R; ++r) {
              const __m256 by = _mm256_set1_ps(scales[r]);
              __m256i a = _mm256_add_epi32(dots[0][r], _mm256_set1_epi32(first[r]));
              __m256i b = _mm256_add_epi32(dots[1][r], _mm256_set1_epi32(4 * offset[r] - first[r]));
              sums[h][r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(a), _mm256_mul_ps(scale, by), sums[h][r]);
              sums[h][r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(b), _mm256_mul_ps(late, by), sums[h][r]);
            }
          } else {
            const __m256 minimum = _mm256_mul_ps(eight_halves(both + 2 * kPanel + 2 * at), other);
            for (int r = 0; r < R; ++r) {
              __m256i dot = _mm256_add_epi32(dots[0][r], dots[1][r]);
              const __m256 by = _mm256_mul_ps(scale, _mm256_set1_ps(scales[r]));
              sums[h][r] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), by, sums[h][r]);
              sums[h][r] = _mm256_fnmadd_ps(minimum, _mm256_set1_ps(x_sums[r]), sums[h][r]);
            }
          }
        }
        shared += 2 * kPanel;
        weight += group_bytes(kind);
        q += t.rows * kGroup;
        scales += t.rows;
        x_sums += t.rows;
        offset += t.rows;
        first += t.rows;
      }
    }
    for (int h = 0; h < H; ++h)
      for (int r = 0; r < R; ++r) result[h][r] = sums[h][r];
  }

  // Dot products of the two halves of a group, for 8 outputs and R rows. Two products of at most 63 * 127 fit into 16
  // bits twice.
  template <int kind, int R>
  static void wide_dots(const uint8_t* weight, int panel_half, const int8_t* q, __m256i (*dots)[R]) {
    const __m256i nibble = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
    for (int half = 0; half < 2; ++half)
      for (int r = 0; r < R; ++r) dots[half][r] = _mm256_setzero_si256();
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      __m256i both = _mm256_load_si256(reinterpret_cast<const __m256i*>(weight + i * 64 + panel_half * 32));
      __m256i levels[2] = {_mm256_and_si256(both, nibble), _mm256_and_si256(_mm256_srli_epi16(both, 4), nibble)};
#pragma GCC unroll 2
      for (int half = 0; half < 2; ++half) {
        __m256i w = levels[half];
        if (kind == A5) w = _mm256_or_si256(w, fifth_bits(weight + 256 + (half * 4 + i) * 8 + panel_half * 4));
        if (kind == S6) w = _mm256_or_si256(w, high_bits(weight + 256 + half * 64 + panel_half * 32, i));
#pragma GCC unroll 4
        for (int r = 0; r < R; ++r) {
          __m256i pairs = _mm256_maddubs_epi16(w, four(q + r * kGroup + half * 16 + i * 4));
          dots[half][r] = _mm256_add_epi32(dots[half][r], _mm256_madd_epi16(pairs, ones));
        }
      }
    }
  }

  // 32 bits to 32 bytes of 0 or 16.
  static __m256i fifth_bits(const uint8_t* at) {
    int32_t bits;
    std::memcpy(&bits, at, 4);
    const __m256i which = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i single = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201ULL));
    __m256i spread = _mm256_and_si256(_mm256_shuffle_epi8(_mm256_set1_epi32(bits), which), single);
    return _mm256_and_si256(_mm256_cmpeq_epi8(spread, single), _mm256_set1_epi8(16));
  }

  static __m256i high_bits(const uint8_t* at, int i) {
    __m256i bits = _mm256_load_si256(reinterpret_cast<const __m256i*>(at));
    bits = i == 0 ? _mm256_slli_epi16(bits, 4) : i == 1 ? _mm256_slli_epi16(bits, 2)
         : i == 2 ? bits : _mm256_srli_epi16(bits, 2);
    return _mm256_and_si256(bits, _mm256_set1_epi8(0x30));
  }

  // The dot products of a group for 8 outputs and R rows. 16 products of 0..15 and -127..127 fit into 16 bits, so all
  // of a group are added there.
  template <int R>
  static void dots_int4(const uint8_t* weight, const int8_t* q, const int32_t* offset, __m256i* dots) {
    const __m256i nibble = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      __m256i both = _mm256_load_si256(reinterpret_cast<const __m256i*>(weight + i * 64));
      __m256i low = _mm256_and_si256(both, nibble), high = _mm256_and_si256(_mm256_srli_epi16(both, 4), nibble);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        __m256i a = _mm256_maddubs_epi16(low, four(q + r * kGroup + i * 4));
        __m256i b = _mm256_maddubs_epi16(high, four(q + r * kGroup + 16 + i * 4));
        dots[r] = i ? _mm256_add_epi16(_mm256_add_epi16(dots[r], a), b) : _mm256_add_epi16(a, b);
      }
    }
    for (int r = 0; r < R; ++r)
      dots[r] = _mm256_add_epi32(_mm256_madd_epi16(dots[r], ones), _mm256_set1_epi32(offset[r]));
  }

  // |w| times a with w's sign: two products of at most 127 * 127 fit into 16 bits, more do not.
  template <int R>
  static void dots_int8(const uint8_t* weight, const int8_t* q, __m256i* dots) {
    const __m256i ones = _mm256_set1_epi16(1), offset = _mm256_set1_epi8(-128);
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      __m256i w = _mm256_xor_si256(_mm256_load_si256(reinterpret_cast<const __m256i*>(weight + i * 64)), offset);
      __m256i magnitude = _mm256_abs_epi8(w);
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        __m256i pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(four(q + r * kGroup + i * 4), w));
        __m256i quads = _mm256_madd_epi16(pairs, ones);
        dots[r] = i ? _mm256_add_epi32(dots[r], quads) : quads;
      }
    }
  }
};

inline void gemm(const Packed& w, const Activations& x, float* y, int64_t ldy, bool add, Share panels) {
  tiled_gemm<Kernels, Vector>(w, x, y, ldy, add, panels);
}

// As scalar::quantise.
inline void quantise(const float* x, int8_t* q, float* scale, int32_t* offset, int32_t* first) {
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  __m256 parts[4];
  __m256i most = _mm256_setzero_si256();
  for (int i = 0; i < 4; ++i) {
    parts[i] = _mm256_loadu_ps(x + i * 8);
    most = _mm256_max_epi32(most, _mm256_and_si256(_mm256_castps_si256(parts[i]), magnitude));
  }
  __m128i four_most = _mm_max_epi32(_mm256_castsi256_si128(most), _mm256_extracti128_si256(most, 1));
  four_most = _mm_max_epi32(four_most, _mm_shuffle_epi32(four_most, 0x4e));
  four_most = _mm_max_epi32(four_most, _mm_shuffle_epi32(four_most, 0xb1));
  QuantisedBy by = quantised_by(static_cast<uint32_t>(_mm_cvtsi128_si32(four_most)));
  __m256i rounded[4];
  for (int i = 0; i < 4; ++i) {
    rounded[i] = _mm256_cvtps_epi32(_mm256_mul_ps(parts[i], _mm256_set1_ps(by.inverse)));
    if (!by.finite) rounded[i] = _mm256_setzero_si256();
  }
  // The packs work within halves of a register: put the 32-bit pieces into order again.
  __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(rounded[0], rounded[1]),
                                     _mm256_packs_epi32(rounded[2], rounded[3]));
  bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(q), bytes);
  *scale = by.scale;
  // Sums of four bytes, then of each half of the register: both halves of the group at once.
  __m256i sums = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes), _mm256_set1_epi16(1));
  sums = _mm256_hadd_epi32(sums, sums);
  sums = _mm256_hadd_epi32(sums, sums);
  const int32_t half = _mm256_cvtsi256_si32(sums);
  *offset = -8 * (half + _mm_cvtsi128_si32(_mm256_extracti128_si256(sums, 1)));
  *first = -32 * half;
}

}  // namespace sansi::avx2
