// The packed forms of gemm.h, element by element, and the small arithmetic that all kernels share.
#pragma once

#include <cstring>

#include "gemm.h"

namespace sansi {

constexpr float kTiny = 1e-30f;  // a group of activations below this everywhere counts as zero: 127 / amax stays finite

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline bool quantised(int kind) { return kind == I8 || kind == I4; }

inline float from_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}

inline float from_bf16(uint16_t bits) { return from_bits(uint32_t{bits} << 16); }

inline float from_fp16(uint16_t bits) {
  uint32_t sign = uint32_t{bits & 0x8000u} << 16, exponent = bits >> 10 & 31, mantissa = bits & 1023;
  if (exponent == 31) return from_bits(sign | 0x7f800000u | mantissa << 13);
  if (exponent) return from_bits(sign | (exponent + 112) << 23 | mantissa << 13);
  float subnormal = static_cast<float>(mantissa) * 0x1p-24f;
  return sign ? -subnormal : subnormal;
}

// The integer q of output `lane`, input k of a group whose packed bytes begin at `group`.
inline int weight_of(int kind, const uint8_t* group, int64_t k, int64_t lane) {
  if (kind == I8) return int{group[(k / 4 * kPanel + lane) * 4 + k % 4]} - 128;
  uint8_t byte = group[(k / 4 % 4 * kPanel + lane) * 4 + k % 4];
  return int{k < 16 ? byte & 15 : byte >> 4} - 8;
}

// How a group of activations is rounded, from the bits of its largest magnitude.
struct QuantisedBy {
  float inverse, scale;
  bool finite;
};

inline QuantisedBy quantised_by(uint32_t most) {
  if (most >= 0x7f800000u) return {0.0f, from_bits(0x7fc00000u), false};  // an infinity or NaN: the product is NaN
  float amax = from_bits(most);
  if (amax < kTiny) return {0.0f, 0.0f, true};
  return {127.0f / amax, amax * (1.0f / 127.0f), true};
}

inline int64_t group_bytes(int kind) { return kind == I8 ? kGroup * kPanel : kGroup * kPanel / 2; }

}  // namespace sansi
