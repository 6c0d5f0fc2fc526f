#include "kernels/attention_body.h"

#include "core/error.h"

namespace slotwise::kernels {
namespace {

constexpr std::int64_t kMostCudnnHeadSize = 128;  // of the backward on every architecture
constexpr std::int64_t kMostCudnnWorkspace = std::int64_t{1} << 30;  // bytes

// Of the deterministic backward on Hopper: the derivatives of all weights in bf16, for tiles of 64
// queries and 128 keys.
std::int64_t cudnn_workspace(const AttentionForm& form) {
  const auto up = [](std::int64_t n, std::int64_t step) { return (n + step - 1) / step * step; };
  return 2 * form.batch * form.heads * up(form.queries, 64) * up(form.keys, 128);
}

AttentionChoice g_choice;

// cuDNN need not be loaded to know that it is not wanted.
const CudnnStatus& status_for(AttentionChoice choice, DType products) {
  static const CudnnStatus unasked{false, "not asked"};
  const bool matters =
      choice == AttentionBody::cudnn || (!choice.has_value() && products == DType::bf16);
  return matters ? cuda::cudnn_status() : unasked;
}

}  // namespace

std::string_view name_of(AttentionBody body) {
  switch (body) {
    case AttentionBody::composed:
      return "composed";
    case AttentionBody::blocked:
      return "blocked";
    case AttentionBody::cudnn:
      return "cudnn";
  }
  return "unknown";
}

AttentionChoice attention_choice_of(const std::string& text) {
  if (text == "auto") return {};
  for (const auto body : {AttentionBody::composed, AttentionBody::blocked, AttentionBody::cudnn}) {
    if (text == name_of(body)) return body;
  }
  user_error("--attention must be auto, composed, blocked or cudnn, got '{}'", text);
}

void set_attention_choice(AttentionChoice choice) {
  g_choice = choice;
}

AttentionChoice attention_choice() {
  return g_choice;
}

std::string cudnn_refusal(const AttentionForm& form) {
  if (form.products != DType::bf16) return "it multiplies in bf16 and fp32 was asked for";
  if (form.ragged) return "it is given rows of unequal length, padded or continued ones";
  if (form.size % 8 != 0 || form.size > kMostCudnnHeadSize || form.size == 0) {
    return fmt::format("it takes heads of a multiple of 8 up to {}, and these have {}",
                       kMostCudnnHeadSize, form.size);
  }
  if (form.batch == 0 || form.heads == 0 || form.queries < 2 || form.keys < 2) {
    return "it takes rows of at least 2 tokens";
  }
  if (cudnn_workspace(form) > kMostCudnnWorkspace) {
    return fmt::format("its deterministic backward would need {} MiB of workspace",
                       cudnn_workspace(form) >> 20);
  }
  return {};
}

AttentionBody choose_attention_body(AttentionChoice choice, const CudnnStatus& cudnn,
                                    const AttentionForm& form) {
  const std::string refusal = cudnn_refusal(form);
  if (!choice.has_value()) {
    return cudnn.usable && refusal.empty() ? AttentionBody::cudnn : AttentionBody::blocked;
  }
  if (choice == AttentionBody::cudnn) {
    if (!cudnn.usable) user_error("--attention cudnn: {}; leave it out or say auto", cudnn.text);
    if (!refusal.empty()) {
      user_error("--attention cudnn: cuDNN cannot run this call: {}; {}", refusal,
                 form.products == DType::bf16
                     ? "say auto, which runs such calls otherwise"
                     : "say auto, or give --precision bf16 to a program that has it");
    }
  }
  return *choice;
}

AttentionBody attention_body(const AttentionForm& form) {
  return choose_attention_body(g_choice, status_for(g_choice, form.products), form);
}

AttentionBody usual_attention_body(DType products) {
  return attention_body({.products = products});
}

std::string describe_attention(DType products) {
  const AttentionBody body = usual_attention_body(products);
  std::string text(name_of(body));
  const CudnnStatus& cudnn = status_for(g_choice, products);
  if (body == AttentionBody::cudnn) {
    text += " (" + cudnn.text + ")";
    if (!g_choice) text += "; blocked for rows of unequal length, padded and continued ones";
  } else if (!g_choice && products == DType::bf16) {
    text += " (" + cudnn.text + ")";
  }
  return text;
}

}  // namespace slotwise::kernels
