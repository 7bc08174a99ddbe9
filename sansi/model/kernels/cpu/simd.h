// Vectors of floats as wide as the instruction set's registers, by the compiler's vector extensions: the same source for
// AVX-512, AVX2 and plain x86-64. Only `fma` fuses: the build forbids the compiler to fuse on its own, because it might
// do so in one copy of a function and not in another, and results must not depend on which copy runs.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "gemm_layout.h"

namespace sansi {

#if defined(__AVX512F__)
constexpr int kWide = 16;
#elif defined(__AVX2__)
constexpr int kWide = 8;
#else
constexpr int kWide = 4;
#endif

typedef float Vec __attribute__((vector_size(kWide * 4)));
typedef int32_t IntVec __attribute__((vector_size(kWide * 4)));

inline Vec splat(float x) { return x - Vec{}; }  // x - 0 keeps the sign of a zero
inline IntVec splat_int(int32_t x) { return x - IntVec{}; }

inline Vec load(const float* from) {
  Vec v;
  std::memcpy(&v, from, sizeof v);
  return v;
}

inline void store(float* to, Vec v) { std::memcpy(to, &v, sizeof v); }

// a * b + c with one rounding; two on CPUs without the instruction.
inline Vec fma(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
  return (Vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
  return (Vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}

// Half precision, as keys and values may be stored.
struct Half {
  uint16_t bits;
};

inline uint16_t to_fp16(float x) {
#if defined(__AVX2__)
  return _cvtss_sh(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  uint32_t bits, round;
  std::memcpy(&bits, &x, 4);
  uint16_t sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
  bits &= 0x7fffffffu;
  if (bits > 0x7f800000u) return sign | 0x7e00u;
  if (bits >= 0x47800000u) return sign | 0x7c00u;  // 65,536 and more
  if (bits < 0x38800000u) {                        // below 2^-14: the addition shifts and rounds the mantissa
    float shifted = from_bits(bits) + 0.5f;
    std::memcpy(&round, &shifted, 4);
    return static_cast<uint16_t>(sign | (round - 0x3f000000u));
  }
  return static_cast<uint16_t>(sign | (bits - 0x38000000u + 0xfffu + (bits >> 13 & 1)) >> 13);
#endif
}

inline void put(float* to, float x) { *to = x; }
inline void put(Half* to, float x) { to->bits = to_fp16(x); }

inline Vec load(const Half* from) {
#if defined(__AVX512F__)
  return (Vec)_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
#elif defined(__AVX2__)
  return (Vec)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
#else
  Vec v;
  for (int i = 0; i < kWide; ++i) v[i] = from_fp16(from[i].bits);
  return v;
#endif
}

inline IntVec lanes() {
  IntVec v;
  for (int i = 0; i < kWide; ++i) v[i] = i;
  return v;
}

inline Vec larger(Vec a, Vec b) { return a > b ? a : b; }

// The sum and the maximum over lanes, in one order: halves, quarters, …
inline float sum(Vec v) {
  float a[kWide];
  std::memcpy(a, &v, sizeof v);
  for (int half = kWide / 2; half; half /= 2)
    for (int i = 0; i < half; ++i) a[i] += a[i + half];
  return a[0];
}

inline float largest(Vec v) {
  float a[kWide];
  std::memcpy(a, &v, sizeof v);
  for (int half = kWide / 2; half; half /= 2)
    for (int i = 0; i < half; ++i) a[i] = a[i] > a[i + half] ? a[i] : a[i + half];
  return a[0];
}

// e^x to about one unit in the last place; 0 below -87.3, infinity above 88.7, NaN for NaN. x = n ln2 + r, |r| <= ln2/2;
// e^r by a polynomial (coefficients: Cephes, expf), times 2^n by writing the exponent.
inline Vec exp(Vec x) {
  const Vec low = splat(-87.3f), high = splat(88.7f), round = splat(12582912.0f);  // 1.5 * 2^23
  Vec clamped = x > low ? x : low;
  clamped = clamped < high ? clamped : high;
  Vec shifted = fma(clamped, splat(1.44269504088896341f), round);  // the integer nearest to x / ln2, in the low bits
  Vec n = shifted - round;
  Vec r = fma(n, splat(2.12194440e-4f), fma(n, splat(-0.693359375f), clamped));
  Vec p = splat(1.9875691500e-4f);
  p = fma(p, r, splat(1.3981999507e-3f));
  p = fma(p, r, splat(8.3334519073e-3f));
  p = fma(p, r, splat(4.1665795894e-2f));
  p = fma(p, r, splat(1.6666665459e-1f));
  p = fma(p, r, splat(5.0000001201e-1f));
  p = fma(p, r * r, r) + 1.0f;
  IntVec bits = (IntVec)shifted - (IntVec)round + 127;
  Vec y = p * (Vec)(bits << 23);
  y = x < low ? Vec{} : y;
  y = x > high ? splat(__builtin_inff()) : y;
  return x == x ? y : x;
}

inline Vec load_part(const float* from, int64_t count) {
  Vec v{};
  std::memcpy(&v, from, count * 4);
  return v;
}

inline void store_part(float* to, Vec v, int64_t count) { std::memcpy(to, &v, count * 4); }

inline float sum_of_squares(const float* x, int64_t n) {
  Vec a{}, b{};
  int64_t i = 0;
  for (; i + 2 * kWide <= n; i += 2 * kWide) {
    Vec u = load(x + i), v = load(x + i + kWide);
    a = fma(u, u, a);
    b = fma(v, v, b);
  }
  for (; i + kWide <= n; i += kWide) {
    Vec u = load(x + i);
    a = fma(u, u, a);
  }
  if (i < n) {
    Vec u = load_part(x + i, n - i);
    b = fma(u, u, b);
  }
  return sum(a + b);
}

}  // namespace sansi
