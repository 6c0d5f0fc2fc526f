// Softmax attention over blocks of keys (Dao et al. 2022): no [T, T] matrix is ever stored.
// q, out: [B, Tq, H, D]; k, v: [B, Tk, G, D] with H a multiple of G (grouped queries: head h reads
// group h / (H / G)); log_sum_exp: [B, Tq, H].
// Query t of row b stands at key position query_start[b] + t (0 + t when absent). Causal: it sees
// the keys up to its own position. key_length [B] i32, optional: keys at or past it are never seen.
// A query that sees no key gets 0, and log_sum_exp -inf.
//
// Packed rows: with `offsets` [R + 1] i32, B = 1 and Tq = Tk = M, and row r is the tokens
// [offsets[r], offsets[r + 1]) of M: rows of different lengths without padding. Ascending from 0 to
// M; excludes query_start and key_length. `longest`: the length of the longest row. The CPU checks
// the numbers; on CUDA they are taken as they are, for they never come from data: pack_rows()
// (layers/decoder.cpp) counts them on the host.
//
// On CUDA there are three bodies (kernels/attention_body.h). All take the same arguments and write
// the same log_sum_exp, so each can differentiate what another attended.
#pragma once

#include "kernels/dispatch.h"

namespace slotwise::kernels {

struct AttentionForward {
  Tensor out;
  Tensor log_sum_exp;
  Tensor q, k, v;
  Tensor query_start;  // optional
  Tensor key_length;   // optional
  Tensor offsets;      // optional
  std::int64_t longest = 0;
  bool causal = true;
  float scale = 1.0f;
  DType products = DType::f32;  // bf16: a body may round q, k, v, out and gradients to it
};
SLOTWISE_OP(attention_forward, AttentionForward)

struct AttentionBackward {
  Tensor dq, dk, dv;  // overwritten
  Tensor dout;
  Tensor out, log_sum_exp;
  Tensor q, k, v;
  Tensor query_start;  // optional
  Tensor key_length;   // optional
  Tensor offsets;      // optional
  std::int64_t longest = 0;
  bool causal = true;
  float scale = 1.0f;
  DType products = DType::f32;  // bf16: a body may round q, k, v, out and gradients to it
};
SLOTWISE_OP(attention_backward, AttentionBackward)

}  // namespace slotwise::kernels
