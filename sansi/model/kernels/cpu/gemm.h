// Matrix products with packed weights: y[M, N] = x[M, K] * weight[N, K]^T, float32 in and out.
//
// A weight is packed once into panels of 16 outputs and read in that form by every product, of one row or of thousands:
//   F32   [panel][K][16] float
//   BF16  [panel][K/2][16][2] bfloat16; an odd K is padded with a zero
//   F16   [panel][K][16] fp16
//   I8    [panel][K/32][8][16][4] uint8 = q + 128, q in -127..127; one fp16 scale for each output and 32 inputs
//   I4    [panel][K/32][4][16][4] uint8; four inputs of one output side by side. Byte j of a group of 32 inputs has
//         input 4j.. in its low and input 16+4j.. in its high nibble, each q + 8, q in -8..7; scales as I8
//   scales of I8 and I4: [panel][K/32][16] fp16
//   A4    levels 0..15 with minima; data as I4, each nibble q
//   A5    levels 0..31 with minima; a group's bytes as A4, then eight words of 64 bits: bit 4 n + j of word i is the fifth
//         bit of input 4 i + j of output n
//   scales of A4 and A5, spans of S groups: [panel][K/32/S] of { d [16] fp16, dmin [16] fp16, S times { sc [16] uint8,
//         m [16] uint8 } }; w = d sc q - dmin m. S is the second byte of the kind
//   S6    levels -32..31 with a scale for 16 inputs; a group's bytes as I4 (the low nibbles of q + 32), then [2][16][4]:
//         bits 2 i of byte 4 n + j of the first half are the high ones of input 4 i + j, of the second of 16 + 4 i + j
//   scales of S6: [panel][K/256] of { d [16] fp16, [16 groups of 16 inputs][16] int8 }; w = d sc q
// Rows of the last panel past N are zero. Outputs are summed over k in one order (k after k in F32, BF16 and F16; in I8 and
// I4 exactly within a group of 32, then group after group; in A4 and A5 a group's product and then its minimum, in S6
// the two halves of a group), each step one fused multiply-add: a row's result is the same bits whatever M, the other
// rows, the number of threads, or the instruction set. Compile without -ffast-math.
//
// The others multiply integers: `prepare` rounds each 32 values of a row to int8 with a scale of their own (amax / 127).
// A group that holds a NaN or an infinity makes its row of y NaN.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sansi {

constexpr int64_t kPanel = 16;  // outputs in a panel
constexpr int64_t kGroup = 32;  // inputs that share a scale
constexpr int64_t kTile = 16;    // rows of x that one kernel call takes at most

enum Kind : int { F32 = 0, BF16 = 1, I8 = 2, I4 = 3, A4 = 4, A5 = 5, S6 = 6, F16 = 7 };
inline int form(int kind) { return kind & 255; }       // a Kind
inline int64_t span(int kind) { return kind >> 8; }    // of A4 and A5: groups that share d and dmin; a byte above

struct Packed {
  int kind;
  int64_t N, K;        // out, in; K is a multiple of 32 for I8 and I4, of 32 S for A4 and A5, of 256 for S6
  const void* data;    // 64-byte aligned, packed_bytes() long
  const void* scales;  // 64-byte aligned, null for floats
};

struct Activations {
  int64_t M, K;
  const float* x;  // the rows as they came: what floats are multiplied with
  int64_t ldx;     // floats from a row to the next
  // What integers are multiplied with; tile after tile of up to kTile rows, the last one without padding.
  int8_t* q;        // [tile][K/32][row][32]
  float* scales;    // [tile][K/32][row]
  int32_t* offset;  // [tile][K/32][row]; -8 * sum of the 32 q: what the +8 of I4 adds too much (I8: 16 times that)
  int32_t* first;   // [tile][K/32][row]; -32 * sum of the first 16 q: what the +32 of S6 adds too much in their half
  float* sums;      // [tile][K/32][row]; scale * sum of the 32 q: what minima are multiplied with
};

size_t packed_bytes(int kind, int64_t N, int64_t K);  // of data
size_t scales_bytes(int kind, int64_t N, int64_t K);  // of scales; 0 for floats

// Bytes of scratch for the activations of M rows with weights of this kind; 0 for floats.
size_t activation_bytes(int kind, int64_t M, int64_t K);

// Activations that point into `scratch` (64-byte aligned, activation_bytes long). Cheap; no thread needs to share it.
// For floats this is all there is to do: `prepare` returns at once.
Activations activations(int kind, const float* x, int64_t M, int64_t K, int64_t ldx, void* scratch);

// Quantise the rows of `x` into its scratch. Every thread of a team calls it, each does its share; a barrier must
// follow before `gemm`. One result serves all weights that read the same input.
void prepare(int kind, const Activations& x, int tid, int nth);

// y[m, n] = the product, or y[m, n] += the product where `add`. Every thread of a team calls it; each writes the
// outputs of its own panels, a contiguous share (see `share`). Neither allocates nor waits.
void gemm(const Packed& w, const Activations& x, float* y, int64_t ldy, bool add, int tid, int nth);

// Row n of the weight as float32, `out` [K]: the embedding of id n where the LM head is tied.
void unpack_row(const Packed& w, int64_t n, float* out);

// First and last + 1 of `count` things that thread tid of nth does: for panels of 16 outputs in `gemm`.
struct Share { int64_t begin, end; };
inline Share share(int64_t count, int tid, int nth) { return {count * tid / nth, count * (tid + 1) / nth}; }

// "avx512", "avx2" or "scalar": what this library was compiled for.
const char* gemm_isa();

}  // namespace sansi
