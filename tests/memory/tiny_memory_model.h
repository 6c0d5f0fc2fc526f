// A model of three layers with a small memory, and one step of training on it.
#pragma once

#include "layers/functional/language_model_loss.h"
#include "memory/memory_model.h"
#include "tests/layers/tiny_decoder.h"
#include "tests/support/op_registry.h"

namespace slotwise::testing {

// 36 slots; `layers` have a memory, `tables` share values.
inline ModelConfig tiny_memory_config(std::vector<std::int64_t> layers = {1},
                                      std::vector<std::vector<std::int64_t>> tables = {{1}}) {
  ModelConfig config;
  config.decoder = tiny_decoder_config();
  config.decoder.num_hidden_layers = 3;
  config.memory.sub_keys = 6;
  config.memory.heads = 2;
  config.memory.top_k = 3;
  config.memory.key_dim = 8;
  config.memory.value_dim = 10;
  config.memory.value_std = 0.3;
  config.memory.layers = std::move(layers);
  config.memory.tables = std::move(tables);
  return config;
}

inline Tensor tiny_tokens(std::int64_t rows, std::int64_t length, std::uint64_t seed) {
  return random_integers({rows, length}, seed, 23);
}

inline void forward_only(MemoryModel& model, const Tensor& tokens, const Tensor& valid = {}) {
  const NoGrad no_grad;
  model.decoder().hidden(tokens, make_context(tokens, valid, {}));
}

// Forward and backward of the mean loss over random targets; returns the loss.
inline double train_on(MemoryModel& model, const Tensor& tokens, std::uint64_t target_seed) {
  const Tensor targets = random_integers({tokens.elements()}, target_seed, 23);
  const auto chosen = LossTargets::from(targets, {});
  ForwardContext context = make_context(tokens, {}, {});
  context.training = true;
  const Variable hidden = model.decoder().hidden(tokens, context);
  const Variable loss = language_model_loss(hidden, model.decoder().head(), chosen,
                                            static_cast<double>(chosen.count()));
  backward(loss);
  return static_cast<double>(loss.value().data<float>()[0]);
}

inline Tensor parameter_of(const MemoryModel& model, std::string_view name) {
  const Parameter* parameter = model.parameters().find(name);
  if (parameter == nullptr) fail("the model has no parameter {}", name);
  return parameter->variable.value();
}

}  // namespace slotwise::testing
