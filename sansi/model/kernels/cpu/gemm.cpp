// gemm.h: sizes, shares, and the kernels of the instruction set that this library is compiled for.
#include "gemm_layout.h"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
#include "gemm_avx512.h"
namespace isa = sansi::avx512;
#define SANSI_ISA "avx512"
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include "gemm_avx2.h"
namespace isa = sansi::avx2;
#define SANSI_ISA "avx2"
#else
#include "gemm_scalar.h"
namespace isa = sansi::scalar;
#define SANSI_ISA "scalar"
#endif

namespace sansi {
namespace {

size_t align64(size_t bytes) { return (bytes + 63) & ~size_t{63}; }

}  // namespace

size_t packed_bytes(int kind, int64_t N, int64_t K) {
  int64_t rows = ceil_div(N, kPanel) * kPanel;
  switch (form(kind)) {
    case F32: return rows * K * 4;
    case BF16: return rows * ceil_div(K, 2) * 4;
    case F16: return rows * K * 2;
    default: return rows / kPanel * (K / kGroup) * group_bytes(kind);
  }
}

size_t scales_bytes(int kind, int64_t N, int64_t K) {
  return quantised(kind) ? ceil_div(N, kPanel) * panel_scales(kind, K / kGroup) : 0;
}

size_t activation_bytes(int kind, int64_t M, int64_t K) {
  return quantised(kind) ? align64(M * K) + 4 * align64(M * (K / kGroup) * 4) : 0;
}

Activations activations(int kind, const float* x, int64_t M, int64_t K, int64_t ldx, void* scratch) {
  if (!quantised(kind)) return {M, K, x, ldx, nullptr, nullptr, nullptr, nullptr, nullptr};
  char* at = static_cast<char*>(scratch);
  size_t values = align64(M * K), scales = align64(M * (K / kGroup) * 4);
  auto part = [&](int64_t i) { return at + values + i * scales; };
  return {M, K, x, ldx, reinterpret_cast<int8_t*>(at), reinterpret_cast<float*>(part(0)),
          reinterpret_cast<int32_t*>(part(1)), reinterpret_cast<int32_t*>(part(2)), reinterpret_cast<float*>(part(3))};
}

void prepare(int kind, const Activations& x, int tid, int nth) {
  if (!quantised(kind)) return;
  int64_t groups = x.K / kGroup;
  Share mine = share(x.M * groups, tid, nth);
  for (int64_t i = mine.begin; i < mine.end; ++i) {
    int64_t m = i / groups, g = i % groups, first = m / kTile * kTile;
    int64_t rows = x.M - first < kTile ? x.M - first : kTile;
    int64_t at = first * groups + g * rows + (m - first);
    isa::quantise(x.x + m * x.ldx + g * kGroup, x.q + at * kGroup, x.scales + at, x.offset + at, x.first + at);
    x.sums[at] = x.scales[at] * (static_cast<float>(x.offset[at]) * -0.125f);  // exact: offset is -8 times the sum
  }
}

void gemm(const Packed& w, const Activations& x, float* y, int64_t ldy, bool add, int tid, int nth) {
  isa::gemm(w, x, y, ldy, add, share(ceil_div(w.N, kPanel), tid, nth));
}

void unpack_row(const Packed& w, int64_t n, float* out) {
  int64_t panel = n / kPanel, lane = n % kPanel, groups = w.K / kGroup;
  for (int64_t k = 0; k < w.K; ++k) {
    if (form(w.kind) == F32) {
      out[k] = static_cast<const float*>(w.data)[(panel * w.K + k) * kPanel + lane];
    } else if (form(w.kind) == BF16) {
      int64_t pairs = ceil_div(w.K, 2);
      out[k] = from_bf16(static_cast<const uint16_t*>(w.data)[((panel * pairs + k / 2) * kPanel + lane) * 2 + k % 2]);
    } else if (form(w.kind) == F16) {
      out[k] = from_fp16(static_cast<const uint16_t*>(w.data)[(panel * w.K + k) * kPanel + lane]);
    } else {
      int64_t group = panel * groups + k / kGroup;
      int q = weight_of(w.kind, static_cast<const uint8_t*>(w.data) + group * group_bytes(w.kind), k % kGroup, lane);
      const uint8_t* scales = static_cast<const uint8_t*>(w.scales) + panel * panel_scales(w.kind, groups);
      if (form(w.kind) <= I4) {
        out[k] = static_cast<float>(q) * from_fp16(half_at(scales, k / kGroup * kPanel + lane));
      } else {
        Scaled by = scaled_by(w.kind, scales, k / 16, lane);
        out[k] = by.scale * static_cast<float>(q) - by.minimum;
      }
    }
  }
}

const char* gemm_isa() { return SANSI_ISA; }

}  // namespace sansi
