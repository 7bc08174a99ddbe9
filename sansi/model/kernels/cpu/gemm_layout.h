// The packed forms of gemm.h, element by element, and the small arithmetic that all kernels share.
#pragma once

#include <cstring>

#include "gemm.h"

namespace sansi {

constexpr float kTiny = 1e-30f;  // a group of activations below this everywhere counts as zero: 127 / amax stays finite

inline int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline bool quantised(int kind) { return form(kind) >= I8 && form(kind) != F16; }
inline bool affine(int kind) { return form(kind) == A4 || form(kind) == A5; }

constexpr int64_t kSuperGroups = 8;  // groups of 32 that share d in S6

// Bytes of scales of one panel, `groups` groups of 32 inputs.
inline int64_t panel_scales(int kind, int64_t groups) {
  if (affine(kind)) return groups / span(kind) * 4 * kPanel + groups * 2 * kPanel;
  if (form(kind) == S6) return groups / kSuperGroups * 2 * kPanel + groups * 2 * kPanel;
  return groups * kPanel * 2;
}

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
  if (form(kind) == I8) return int{group[(k / 4 * kPanel + lane) * 4 + k % 4]} - 128;
  uint8_t byte = group[(k / 4 % 4 * kPanel + lane) * 4 + k % 4];
  int low = k < 16 ? byte & 15 : byte >> 4;
  const uint8_t* more = group + kGroup * kPanel / 2;
  if (form(kind) == I4) return low - 8;
  if (form(kind) == A4) return low;
  if (form(kind) == A5) return low | (more[k / 4 * 8 + lane / 2] >> (lane % 2 * 4 + k % 4) & 1) << 4;
  return (low | (more[(k / 16 * kPanel + lane) * 4 + k % 4] >> (k / 4 % 4 * 2) & 3) << 4) - 32;
}

inline uint16_t half_at(const uint8_t* at, int64_t i) {
  uint16_t bits;
  std::memcpy(&bits, at + 2 * i, 2);
  return bits;
}

// Scale and minimum of the inputs of A4, A5 and S6 from 16 * `sixteen` on; `scales` are those of the panel.
struct Scaled {
  float scale, minimum;
};

inline Scaled scaled_by(int kind, const uint8_t* scales, int64_t sixteen, int64_t lane) {
  if (affine(kind)) {
    int64_t group = sixteen / 2;
    const uint8_t* at = scales + group / span(kind) * (4 + 2 * span(kind)) * kPanel;
    const uint8_t* own = at + (4 + 2 * (group % span(kind))) * kPanel;
    return {from_fp16(half_at(at, lane)) * static_cast<float>(own[lane]),
            from_fp16(half_at(at, kPanel + lane)) * static_cast<float>(own[kPanel + lane])};
  }
  const uint8_t* at = scales + sixteen / 16 * 18 * kPanel;
  int8_t own = static_cast<int8_t>(at[(2 + sixteen % 16) * kPanel + lane]);
  return {from_fp16(half_at(at, lane)) * static_cast<float>(own), 0.0f};
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

inline constexpr int64_t group_bytes(int kind) {
  switch (kind & 255) {
    case I8: return kGroup * kPanel;
    case A5: return kGroup * kPanel / 8 * 5;
    case S6: return kGroup * kPanel / 8 * 6;
    default: return kGroup * kPanel / 2;
  }
}

}  // namespace sansi
