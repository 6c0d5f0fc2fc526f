#include "train/logits.h"

#include <nlohmann/json.hpp>

#include "core/files.h"
#include "core/variable.h"
#include "data/json_lines.h"
#include "kernels/gemm.h"
#include "layers/functional/precision.h"

namespace slotwise {
namespace {

using nlohmann::json;

// [B, T] i32
Tensor read_tokens(const std::filesystem::path& path, const DecoderConfig& config) {
  const json rows = parse_json_text(read_file(path), path.string());
  if (!rows.is_array() || rows.empty() || !rows[0].is_array() || rows[0].empty()) {
    user_error("{}: expected a list of lists of token ids", path.string());
  }
  const std::size_t length = rows[0].size();
  if (static_cast<std::int64_t>(length) > config.max_position_embeddings) {
    user_error("{}: {} tokens are more than the model's {} positions", path.string(), length,
               config.max_position_embeddings);
  }
  std::vector<std::int32_t> tokens;
  for (const json& row : rows) {
    if (!row.is_array() || row.size() != length) {
      user_error("{}: expected lists of equal length, {} as in the first", path.string(), length);
    }
    for (const json& token : row) {
      if (!token.is_number_integer() || token < 0 || token >= config.vocab_size) {
        user_error("{}: {} is no token of a vocabulary of {}", path.string(), token.dump(),
                   config.vocab_size);
      }
      tokens.push_back(token.get<std::int32_t>());
    }
  }
  return Tensor::from(tokens,
                      {static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(length)});
}

}  // namespace

void write_logits(const Checkpoint& checkpoint, const std::filesystem::path& tokens,
                  const std::filesystem::path& out) {
  Decoder& decoder = checkpoint.model->decoder();
  const Device device = checkpoint.model->device();
  const Tensor ids = read_tokens(tokens, decoder.config());
  const NoGrad no_grad;
  const Tensor hidden = decoder.hidden(ids.to(device), make_context(ids, {}, device)).value();
  const Tensor head = operand(decoder.head().value());
  const Tensor logits =
      Tensor::empty({ids.size(0), ids.size(1), head.size(0)}, DType::f32, device, "logits");
  kernels::gemm({.c = logits.view({hidden.size(0), head.size(0)}),
                 .a = operand(hidden),
                 .b = head,
                 .transpose_b = true});
  write_safetensors(out, {{"logits", logits}});
}

}  // namespace slotwise
