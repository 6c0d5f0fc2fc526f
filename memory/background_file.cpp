// background.safetensors, or background.NAME.safetensors: df int32 [N] (P.df where there are
// several tables), the rest in its metadata.
#include <algorithm>
#include <cctype>

#include "core/safetensors.h"
#include "core/sha256.h"
#include "memory/background_usage.h"
#include "memory/lookup_hash.h"

namespace slotwise {
namespace {

std::string tensor_name(std::size_t tables, std::size_t index, const char* what) {
  return tables == 1 ? what : fmt::format("{}.{}", index, what);
}

std::string digest_of(const std::vector<NamedTensor>& tensors) {
  Sha256 hash;
  for (const NamedTensor& entry : tensors) {
    const Tensor host = entry.tensor.to(Device{});
    hash.add(entry.name).add(host.raw(), host.bytes());
  }
  return hash.hex();
}

std::string metadata(const TensorFile& file, const char* key) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end()) {
    user_error(
        "{} is not a background: its metadata has no '{}'; make one with slotwise-background",
        file.path.string(), key);
  }
  return found->second;
}

// Bounded, so that a damaged file asks for no table without end.
std::int64_t number(const TensorFile& file, const char* key) {
  const std::string text = metadata(file, key);
  std::size_t used = 0;
  std::int64_t value = -1;
  try {
    value = std::stoll(text, &used);
  } catch (const std::exception&) {
    used = 0;
  }
  constexpr std::int64_t kMost = 1 << 24;
  if (text.empty() || used != text.size() || value < 1 || value > kMost) {
    user_error("{}: '{}' must be a number from 1 to {}, got '{}'; make a new background",
               file.path.string(), key, kMost, text);
  }
  return value;
}

std::int64_t changed_rows(const BackgroundUsage& background, const MemoryModel& model) {
  std::int64_t changed = 0;
  for (std::size_t t = 0; t < background.row_digests.size(); ++t) {
    const std::vector<std::int64_t> now = digest_rows(model.tables()[t]);
    for (std::size_t i = 0; i < now.size(); ++i) {
      if (now[i] != background.row_digests[t][i]) ++changed;
    }
  }
  return changed;
}

constexpr std::string_view kStem = "background", kEnding = ".safetensors";

}  // namespace

std::filesystem::path background_path(const std::filesystem::path& checkpoint,
                                      const std::string& name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-';
  });
  if (!plain) {
    user_error("the name of a background has letters, digits, '_' and '-' only, got '{}'", name);
  }
  return checkpoint / fmt::format("{}{}{}{}", kStem, name.empty() ? "" : ".", name, kEnding);
}

bool is_background_file(const std::string& file_name) {
  return file_name.starts_with(fmt::format("{}.", kStem)) && file_name.ends_with(kEnding);
}

std::vector<std::filesystem::path> background_files(const std::filesystem::path& checkpoint) {
  std::vector<std::filesystem::path> out;
  for (const auto& entry : std::filesystem::directory_iterator(checkpoint)) {
    if (is_background_file(entry.path().filename().string())) out.push_back(entry.path());
  }
  std::sort(out.begin(), out.end());
  return out;
}

void save_background(const BackgroundUsage& background, const std::filesystem::path& path) {
  const std::size_t count = background.tables.size();
  std::vector<NamedTensor> tensors;
  for (std::size_t t = 0; t < count; ++t) {
    tensors.push_back({tensor_name(count, t, "df"), background.tables[t].df});
  }
  for (std::size_t t = 0; t < background.row_digests.size(); ++t) {
    const auto rows = static_cast<std::int64_t>(background.row_digests[t].size());
    tensors.push_back(
        {tensor_name(count, t, "row_digest"), Tensor::from(background.row_digests[t], {rows})});
  }
  write_safetensors(path, tensors,
                    {{"format", "slotwise-background"},
                     {"digest", digest_of(tensors)},
                     {"tables", std::to_string(count)},
                     {"num_batches", std::to_string(background.tables.at(0).batches)},
                     {"batch_rows", std::to_string(background.batch_rows)},
                     {"batch_length", std::to_string(background.batch_length)},
                     {"tokenizer_hash", background.tokenizer_hash},
                     {"lookup_hash", background.lookup_hash},
                     {"source", background.source}});
}

BackgroundUsage load_background(const std::filesystem::path& path) {
  const TensorFile file = read_safetensors(path, "background");
  BackgroundUsage out;
  const auto count = static_cast<std::size_t>(number(file, "tables"));
  const std::int64_t batches = number(file, "num_batches");
  out.batch_rows = number(file, "batch_rows");
  out.batch_length = number(file, "batch_length");
  out.tokenizer_hash = metadata(file, "tokenizer_hash");
  out.lookup_hash = metadata(file, "lookup_hash");
  if (file.metadata.contains("source")) out.source = file.metadata.at("source");
  for (std::size_t t = 0; t < count; ++t) {
    const Tensor& df = file.require(tensor_name(count, t, "df"));
    if (df.dtype() != DType::i32 || df.shape().dimensions() != 1) {
      user_error("{}: df must be i32 [N], got {} {}", path.string(), name_of(df.dtype()),
                 df.shape().text());
    }
    for (const std::int32_t value : df.span<std::int32_t>()) {
      if (value < 0 || value > batches) {
        user_error("{}: df holds {}, which is not within 0 and the {} batches; it is corrupted",
                   path.string(), value, batches);
      }
    }
    out.tables.push_back({df, batches});
    if (const Tensor* digest = file.find(tensor_name(count, t, "row_digest"))) {
      if (digest->dtype() != DType::i64 || digest->shape() != df.shape()) {
        user_error("{}: row_digest must be i64 {}, got {} {}; make a new background", path.string(),
                   df.shape().text(), name_of(digest->dtype()), digest->shape().text());
      }
      out.row_digests.push_back(digest->to_vector<std::int64_t>());
    }
  }
  const auto digest = file.metadata.find("digest");
  if (digest != file.metadata.end() && digest->second != digest_of(file.tensors)) {
    user_error("{} does not match its digest: it is damaged; make a new background", path.string());
  }
  if (!out.row_digests.empty() && out.row_digests.size() != count) {
    user_error("{} has row digests of some tables only; make a new background", path.string());
  }
  return out;
}

std::int64_t check_background(const BackgroundUsage& background, const MemoryModel& model,
                              const std::string& tokenizer_hash) {
  const MemoryConfig& memory = model.config().memory;
  if (background.tables.size() != model.tables().size()) {
    user_error("the background was taken with {} value tables, the model has {}; make a new one",
               background.tables.size(), model.tables().size());
  }
  for (const TableBackground& table : background.tables) {
    if (table.df.size(0) == memory.slots()) continue;
    user_error("the background counts {} slots, the model has {}; make a new background",
               table.df.size(0), memory.slots());
  }
  if (background.tokenizer_hash != tokenizer_hash) {
    user_error(
        "the background was taken with another tokenizer (hash {:.12}, the model's is "
        "{:.12}); make a new background",
        background.tokenizer_hash, tokenizer_hash);
  }
  const std::string lookup = lookup_hash(model);
  if (background.lookup_hash != lookup) {
    user_error(
        "the background belongs to another model: its lookup hash is {:.12}, this model "
        "looks slots up with {:.12}; make a new background with slotwise-background",
        background.lookup_hash, lookup);
  }
  return changed_rows(background, model);
}

}  // namespace slotwise
