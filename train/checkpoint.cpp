#include "train/checkpoint.h"

#include <fcntl.h>
#include <stdio.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "core/error.h"
#include "core/files.h"
#include "core/memory_pool.h"
#include "memory/background_usage.h"
#include "memory/lookup_hash.h"
#include "train/model_config.h"

namespace slotwise {
namespace fs = std::filesystem;
namespace {

std::vector<NamedTensor> model_tensors(const MemoryModel& model) {
  std::vector<NamedTensor> out;
  for (const Parameter& parameter : model.parameters().all()) {
    out.push_back({parameter.name, parameter.variable.value()});
  }
  return out;
}

// Puts `fresh` where `folder` stands. Where the file system can, both names are exchanged in one
// step.
void exchange(const fs::path& fresh, const fs::path& folder) {
  if (!fs::exists(folder)) {
    fs::rename(fresh, folder);
  } else if (renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, folder.c_str(), RENAME_EXCHANGE) == 0) {
    fs::remove_all(fresh);
  } else {
    const fs::path old = folder.string() + ".old";
    fs::remove_all(old);
    fs::rename(folder, old);
    fs::rename(fresh, folder);
    fs::remove_all(old);
  }
  sync_folder(folder.parent_path());
}

nlohmann::json read_json(const fs::path& path) {
  std::ifstream file(path);
  if (!file) user_error("cannot read {}: {}", path.string(), std::strerror(errno));
  nlohmann::json json = nlohmann::json::parse(file, nullptr, false);
  if (!json.is_object()) {
    user_error("{} is not a JSON object: the checkpoint is damaged, copy it again", path.string());
  }
  return json;
}

// Those that still belong: finetuning may have changed how the model looks slots up.
void copy_backgrounds(const fs::path& from, const fs::path& to, const MemoryModel& model) {
  const auto files = background_files(from);
  if (files.empty() || !model.config().memory.present()) return;
  const std::string lookup = lookup_hash(model);
  for (const fs::path& file : files) {
    try {
      if (load_background(file).lookup_hash != lookup) continue;
    } catch (const UserError& error) {  // the model is worth more than a background
      fmt::print(stderr, "warning: {}; it is left out of {}\n", error.what(), to.string());
      continue;
    }
    copy_file_flushed(file, to / file.filename());
  }
}

// The sizes that a config promises, against those of the file, before anything is allocated.
void check_sizes(const ModelConfig& config, const TensorFile& file) {
  const DecoderConfig& d = config.decoder;
  const auto expect = [&](const std::string& name, const Shape& shape) {
    const Tensor& stored = file.require(name);
    if (stored.shape() != shape) {
      user_error("{}: '{}' is {}, the config asks for {}; they do not belong together",
                 file.path.string(), name, stored.shape().text(), shape.text());
    }
  };
  expect("model.embed_tokens.weight", {d.vocab_size, d.hidden_size});
  for (std::int64_t layer = 0; layer < d.num_hidden_layers; ++layer) {
    const std::string prefix = fmt::format("model.layers.{}.", layer);
    expect(prefix + "self_attn.q_proj.weight",
           {d.num_attention_heads * d.head_size(), d.hidden_size});
    const MemoryConfig& memory = config.memory;
    if (memory.table_of(layer) >= 0) {
      expect(prefix + "memory.query.weight", {memory.heads * memory.key_dim, d.hidden_size});
      expect(prefix + "memory.output.weight", {d.hidden_size, memory.value_dim});
      expect(prefix + "memory.keys", {memory.heads, 2, memory.sub_keys, memory.key_dim / 2});
    }
    if (memory.table_of(layer) < 0 || memory.mode == MemoryMode::add) {
      expect(prefix + "mlp.gate_proj.weight", {d.intermediate_size, d.hidden_size});
    }
  }
  for (std::size_t table = 0; table < config.memory.tables.size(); ++table) {
    expect(value_table_name(config.memory, static_cast<int>(table)),
           {config.memory.slots(), config.memory.value_dim});
  }
}

// A tensor that the model has no place for (a bias, say) would change what it computes.
void refuse_unknown_tensors(const ModelConfig& config, const TensorFile& file,
                            const std::vector<NamedTensor>& known) {
  std::set<std::string> names;
  for (const NamedTensor& entry : known) names.insert(entry.name);
  // Copies of what is there: the embedding as the tied head, the frequencies of the rotary
  // embedding.
  if (config.decoder.tie_word_embeddings) names.insert("lm_head.weight");
  for (const NamedTensor& entry : file.tensors) {
    if (names.contains(entry.name) || entry.name.ends_with(".rotary_emb.inv_freq")) continue;
    user_error("{}: the model that the config describes has no tensor '{}'; it is not supported",
               file.path.string(), entry.name);
  }
}

}  // namespace

fs::path existing_checkpoint(const fs::path& folder) {
  if (fs::exists(folder / "config.json")) return folder;
  const fs::path old = folder.string() + ".old";
  if (fs::exists(old / "config.json")) return old;
  const fs::path inside = folder / "checkpoint";
  user_error(
      "there is no checkpoint at {}: expected a folder with config.json and model.safetensors{}",
      folder.string(),
      fs::exists(inside / "config.json") ? "; give " + inside.string() + " instead" : "");
}

void expect_finite_weights(const MemoryModel& model, std::int64_t step) {
  for (const Parameter& parameter : model.parameters().all()) {
    const Tensor host = parameter.variable.value().to(Device{});
    const auto values = host.span<float>();
    const auto wrong =
        std::find_if(values.begin(), values.end(), [](float x) { return !std::isfinite(x); });
    if (wrong == values.end()) continue;
    user_error(
        "the run diverged: after step {} '{}' holds {}; no checkpoint was written over; take a "
        "lower learning rate and another --out",
        step, parameter.name, std::isnan(*wrong) ? "nan" : "infinity");
  }
}

void save_checkpoint(const fs::path& folder, const MemoryModel& model, const Tokenizer& tokenizer,
                     const CheckpointState& state, const fs::path& keep_from) {
  expect_finite_weights(model, state.step);
  const fs::path fresh = folder.string() + ".tmp";
  try {
    fs::remove_all(fresh);
    fs::create_directories(fresh);
    if (!keep_from.empty()) copy_backgrounds(keep_from, fresh, model);
    write_file_atomically(fresh / "config.json",
                          config_json(model.config(), tokenizer.special()).dump(2) + "\n");
    write_safetensors(fresh / "model.safetensors", model_tensors(model), {{"format", "pt"}});
    tokenizer.save(fresh / "tokenizer.json");
    if (!state.optimizer.empty()) {
      write_safetensors(fresh / "optimizer.safetensors", state.optimizer);
    }
    if (!state.adapters.empty()) {
      write_safetensors(fresh / "adapters.safetensors", state.adapters);
    }
    if (!state.trainer_json.empty())
      write_file_atomically(fresh / "trainer.json", state.trainer_json);
    write_checksums(fresh);
    sync_folder(fresh);
    exchange(fresh, folder);
    if (!model.device().is_cpu()) MemoryPool::of({}).trim();  // the host's copies of the tables
  } catch (const fs::filesystem_error& e) {
    user_error("cannot write the checkpoint {}: {}", folder.string(), e.code().message());
  }
}

void load_tensors(const TensorFile& file, const std::vector<NamedTensor>& tensors) {
  for (const NamedTensor& entry : tensors) {
    const Tensor& stored = file.require(entry.name);
    if (stored.shape() != entry.tensor.shape() || stored.dtype() != entry.tensor.dtype()) {
      user_error("{}: '{}' is {} {}, the config asks for {} {}", file.path.string(), entry.name,
                 name_of(stored.dtype()), stored.shape().text(), name_of(entry.tensor.dtype()),
                 entry.tensor.shape().text());
    }
    entry.tensor.copy_from(stored);
  }
}

Checkpoint load_checkpoint(const fs::path& folder, Device device) {
  Checkpoint out;
  out.folder = existing_checkpoint(folder);
  if (fs::exists(out.folder / "adapters.safetensors")) {
    user_error(
        "{} is the state of an unfinished LoRA run; finish the run first (the same command "
        "resumes it)",
        out.folder.string());
  }
  verify_checksums(out.folder);
  const fs::path config_path = out.folder / "config.json";
  const ModelConfig config = parse_config_json(read_json(config_path), config_path.string());
  out.tokenizer = load_tokenizer(out.folder / "tokenizer.json");
  if (out.tokenizer->vocabulary_size() > config.decoder.vocab_size) {
    user_error("{}: the tokenizer has {} tokens, the model only {}; they do not belong together",
               out.folder.string(), out.tokenizer->vocabulary_size(), config.decoder.vocab_size);
  }
  {
    const TensorFile file = read_safetensors(out.folder / "model.safetensors", "checkpoint file");
    check_sizes(config, file);
    out.model = std::make_unique<MemoryModel>(config, std::nullopt, device);
    const std::vector<NamedTensor> tensors = model_tensors(*out.model);
    refuse_unknown_tensors(config, file, tensors);
    load_tensors(file, tensors);
  }
  MemoryPool::of({}).trim();  // no block as large as a table is needed again
  return out;
}

nlohmann::json read_trainer_json(const fs::path& folder) {
  const fs::path path = existing_checkpoint(folder) / "trainer.json";
  return fs::exists(path) ? read_json(path) : nlohmann::json();
}

bool checkpoint_exists(const fs::path& folder) {
  return fs::exists(folder / "config.json") ||
         fs::exists(fs::path(folder.string() + ".old") / "config.json");
}

}  // namespace slotwise
