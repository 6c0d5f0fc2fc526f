// A byte-level tokenizer and a random model of three layers with a memory that speaks it.
#pragma once

#include <memory>

#include "data/tokenizer.h"
#include "tests/memory/tiny_memory_model.h"

namespace slotwise::testing {

struct TinyTextModel {
  explicit TinyTextModel(std::uint64_t seed = 3, std::int64_t positions = 64) {
    BpeTrainer trainer;
    trainer.add("the capital of the land is a town\nQuestion: what is it\nAnswer: Oslo\n");
    trainer.add("the town of the land is the capital of it\n");
    tokenizer = trainer.train({.vocabulary_size = 280});
    ModelConfig config = tiny_memory_config();
    config.decoder.vocab_size = tokenizer->vocabulary_size();
    config.decoder.max_position_embeddings = positions;
    model = std::make_unique<MemoryModel>(config, seed, Device{});
  }

  // The beginning-of-sequence token and the text.
  std::vector<std::int32_t> encoded(const std::string& text) const {
    std::vector<std::int32_t> row = tokenizer->encode(text);
    row.insert(row.begin(), tokenizer->special().bos.value());
    return row;
  }

  // Multiplies the head's row of a token of one byte, so that it is often the likeliest.
  void favour(const std::string& text, float factor) {
    const Tensor& head = model->decoder().head().value();
    const auto row = static_cast<std::int64_t>(tokenizer->encode(text).at(0));
    const Tensor weights = head.slice(row, row + 1);
    for (float& weight : weights.span<float>()) weight *= factor;
  }

  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<MemoryModel> model;
};

}  // namespace slotwise::testing
