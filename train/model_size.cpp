#include "train/model_size.h"

#include "core/devices.h"
#include "core/error.h"

namespace slotwise {
namespace {

// Products are taken in double: sizes of 31 bits overflow 64 bits when three are multiplied.
double feed_forward_weights(const ModelConfig& config, std::int64_t layer) {
  const auto hidden = static_cast<double>(config.decoder.hidden_size);
  const double dense = 3.0 * hidden * static_cast<double>(config.decoder.intermediate_size);
  const MemoryConfig& memory = config.memory;
  if (memory.table_of(layer) < 0) return dense;
  const auto heads = static_cast<double>(memory.heads), width = static_cast<double>(memory.key_dim),
             value = static_cast<double>(memory.value_dim);
  const double query = hidden * heads * width;
  const double keys = heads * static_cast<double>(memory.sub_keys) * width;
  const double around = (memory.gate ? 2.0 : 1.0) * hidden * value;
  return query + keys + around + (memory.mode == MemoryMode::add ? dense : 0.0);
}

}  // namespace

double weight_count(const ModelConfig& config) {
  const DecoderConfig& d = config.decoder;
  const auto hidden = static_cast<double>(d.hidden_size), size = static_cast<double>(d.head_size());
  const double heads = static_cast<double>(d.num_attention_heads + d.num_key_value_heads);
  const double attention = 2.0 * hidden * heads * size;
  const double plain = attention + 3.0 * hidden * static_cast<double>(d.intermediate_size);
  double total =
      (d.tie_word_embeddings ? 1.0 : 2.0) * static_cast<double>(d.vocab_size) * hidden +
      plain * static_cast<double>(d.num_hidden_layers -
                                  static_cast<std::int64_t>(config.memory.layers.size()));
  for (const std::int64_t layer : config.memory.layers) {
    total += attention + feed_forward_weights(config, layer);
  }
  return total + static_cast<double>(config.memory.tables.size()) *
                     static_cast<double>(config.memory.slots()) *
                     static_cast<double>(config.memory.value_dim);
}

double training_bytes(const ModelConfig& config, const OptimizerSettings& optimizer,
                      std::int64_t rounds) {
  const double states = optimizer.name == "adamw" ? 2.0 : optimizer.momentum > 0 ? 1.0 : 0.0;
  const double gradients = rounds > 1 ? 2.0 : 1.0;
  return sizeof(float) * weight_count(config) * (1.0 + gradients + states);
}

void refuse_model_beyond_memory(const ModelConfig& config, const OptimizerSettings& optimizer,
                                Device device, const MemorySharing& sharing) {
  const double each = training_bytes(config, optimizer, sharing.rounds), all = each * sharing.ranks;
  const auto there = static_cast<double>(memory_bytes(device));
  if (all <= there) return;
  constexpr double kGibibyte = 1024.0 * 1024.0 * 1024.0;
  const std::string together =
      sharing.ranks == 1 ? ""
                         : fmt::format(" in each of {} ranks on one host, {:.4g} GiB together",
                                       sharing.ranks, all / kGibibyte);
  user_error(
      "the model has {:.3g} parameters, which with their gradients and the state of {} take {:.4g} "
      "GiB{}, and this {} has {:.4g} GiB; lower the sizes in [model] or [memory]{}",
      weight_count(config), optimizer.name, each / kGibibyte, together,
      device.is_cuda() ? "GPU" : "machine", there / kGibibyte,
      sharing.ranks == 1 ? "" : ", or take fewer ranks on this host");
}

}  // namespace slotwise
