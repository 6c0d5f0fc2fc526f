// Which body of attention runs a call on CUDA. Three do the same arithmetic:
//   composed  scores by GEMM, softmax, weighted sum by GEMM; writes out [Tq, Tk] a head: the plain
//             reference. Takes every form
//   blocked   own kernels that walk blocks of keys, fp32; takes every form
//   cudnn     cuDNN's fused attention on bf16 copies of q, k, v (kernels/cuda/attention_cudnn.cpp)
// All host code, so that it is tested without a GPU. The CPU has one body and does not ask.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kernels/attention.h"

namespace slotwise::kernels {

enum class AttentionBody : std::uint8_t { composed, blocked, cudnn };
std::string_view name_of(AttentionBody body);

// None: automatic, which is cuDNN where it can run the call, else blocked.
using AttentionChoice = std::optional<AttentionBody>;
// Of "auto", "composed", "blocked", "cudnn"; UserError otherwise.
AttentionChoice attention_choice_of(const std::string& text);

// One setting for the whole program, automatic at first.
void set_attention_choice(AttentionChoice choice);
AttentionChoice attention_choice();

// What of a call decides who can run it.
struct AttentionForm {
  std::int64_t batch = 1, queries = 2, keys = 2;
  std::int64_t heads = 1, groups = 1, size = 64;  // size: D
  bool causal = true;
  bool ragged = false;  // query_start, key_length or offsets are given
  float scale = 1.0f;
  DType products = DType::f32;
  auto operator<=>(const AttentionForm&) const = default;
};

template <class Args>
AttentionForm form_of(const Args& args) {
  return {
      .batch = args.q.size(0),
      .queries = args.q.size(1),
      .keys = args.k.size(1),
      .heads = args.q.size(2),
      .groups = args.k.size(2),
      .size = args.q.size(3),
      .causal = args.causal,
      .ragged = args.query_start.defined() || args.key_length.defined() || args.offsets.defined(),
      .scale = args.scale,
      .products = args.products};
}

// cuDNN works out a plan for a shape once; this is what it is kept under.
struct AttentionPlanKey {
  int device = 0;
  bool backward = false;
  AttentionForm form;
  auto operator<=>(const AttentionPlanKey&) const = default;
};

// Whether cuDNN can be used at all: "cuDNN 9.19.0, frontend 1.32.0", or why not.
struct CudnnStatus {
  bool usable = false;
  std::string text;
};
namespace cuda {
const CudnnStatus& cudnn_status();  // loads the library when first asked
}

// Why cuDNN does not take such a call; empty when it does.
std::string cudnn_refusal(const AttentionForm& form);

// UserError when cuDNN was asked for and cannot run the call.
AttentionBody choose_attention_body(AttentionChoice choice, const CudnnStatus& cudnn,
                                    const AttentionForm& form);

// By the program's setting; cuDNN is loaded only where it could be taken.
AttentionBody attention_body(const AttentionForm& form);

// For the start of a program on a CUDA device: the body of its usual calls, whole rows of equal
// length with such products. UserError when the choice cannot be met.
AttentionBody usual_attention_body(DType products);
// "cudnn (cuDNN 9.19.0, ...); blocked for rows of unequal length, ...".
std::string describe_attention(DType products);

}  // namespace slotwise::kernels
