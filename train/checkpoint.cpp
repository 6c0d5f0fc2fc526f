#include "train/checkpoint.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/write_aside.h"
#include "train/model_config.h"

namespace slotwise {
namespace fs = std::filesystem;
namespace {

void write_text(const fs::path& path, const std::string& text) {
  WriteAside file(path);
  file.write(text);
  file.commit();
}

std::vector<NamedTensor> model_tensors(const MemoryModel& model) {
  std::vector<NamedTensor> out;
  for (const Parameter& parameter : model.parameters().all()) {
    out.push_back({parameter.name, parameter.variable.value()});
  }
  return out;
}

void sync_folder(const fs::path& folder) {
  const int descriptor = open(folder.c_str(), O_RDONLY | O_DIRECTORY);
  if (descriptor < 0) return;
  fsync(descriptor);
  close(descriptor);
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
  sync_folder(folder.parent_path().empty() ? "." : folder.parent_path());
}

fs::path existing_folder(const fs::path& folder) {
  if (fs::exists(folder / "config.json")) return folder;
  const fs::path old = folder.string() + ".old";
  if (fs::exists(old / "config.json")) return old;
  user_error(
      "there is no checkpoint at {}: expected a folder with config.json and model.safetensors",
      folder.string());
}

nlohmann::json read_json(const fs::path& path) {
  std::ifstream file(path);
  if (!file) user_error("cannot read {}: {}", path.string(), std::strerror(errno));
  nlohmann::json json = nlohmann::json::parse(file, nullptr, false);
  if (json.is_discarded()) user_error("{} is not JSON", path.string());
  return json;
}

}  // namespace

void save_checkpoint(const fs::path& folder, const MemoryModel& model, const Tokenizer& tokenizer,
                     const CheckpointState& state, const fs::path& keep_from) {
  const fs::path fresh = folder.string() + ".tmp";
  try {
    fs::remove_all(fresh);
    fs::create_directories(fresh);
    const fs::path background = keep_from / "background.safetensors";
    if (!keep_from.empty() && fs::exists(background)) {
      fs::copy_file(background, fresh / "background.safetensors");
    }
    write_text(fresh / "config.json",
               config_json(model.config(), tokenizer.special()).dump(2) + "\n");
    write_safetensors(fresh / "model.safetensors", model_tensors(model), {{"format", "pt"}});
    tokenizer.save(fresh / "tokenizer.json");
    if (!state.optimizer.empty()) {
      write_safetensors(fresh / "optimizer.safetensors", state.optimizer);
    }
    if (!state.adapters.empty()) {
      write_safetensors(fresh / "adapters.safetensors", state.adapters);
    }
    if (!state.trainer_json.empty()) write_text(fresh / "trainer.json", state.trainer_json);
    write_checksums(fresh);
    sync_folder(fresh);
    exchange(fresh, folder);
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
  out.folder = existing_folder(folder);
  verify_checksums(out.folder);
  const fs::path config_path = out.folder / "config.json";
  const ModelConfig config = parse_config_json(read_json(config_path), config_path.string());
  out.tokenizer = load_tokenizer(out.folder / "tokenizer.json");
  if (out.tokenizer->vocabulary_size() > config.decoder.vocab_size) {
    user_error("{}: the tokenizer has {} tokens, the model only {}; they do not belong together",
               out.folder.string(), out.tokenizer->vocabulary_size(), config.decoder.vocab_size);
  }
  out.model = std::make_unique<MemoryModel>(config, 0, device);
  load_tensors(read_safetensors(out.folder / "model.safetensors", "checkpoint file"),
               model_tensors(*out.model));
  return out;
}

nlohmann::json read_trainer_json(const fs::path& folder) {
  const fs::path path = existing_folder(folder) / "trainer.json";
  return fs::exists(path) ? read_json(path) : nlohmann::json();
}

bool checkpoint_exists(const fs::path& folder) {
  return fs::exists(folder / "config.json") ||
         fs::exists(fs::path(folder.string() + ".old") / "config.json");
}

}  // namespace slotwise
