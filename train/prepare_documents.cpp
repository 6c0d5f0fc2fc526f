#include "train/prepare_documents.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/json_lines.h"
#include "data/questions.h"
#include "data/token_shard.h"
#include "train/progress.h"

namespace slotwise {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct Enough {};

}  // namespace

std::string in_data_folder(const Options& options, const std::string& path) {
  const std::string folder = options.text("data.folder", "");
  return folder.empty() || path.empty() ? path : (fs::path(folder) / path).string();
}

std::vector<std::string> file_list(const Options& options, const std::string& key) {
  const json& value = options.tree("data." + key);
  if (value.is_null()) return {};
  std::vector<std::string> files;
  const auto is_text = [](const json& each) { return each.is_string(); };
  if (value.is_string()) {
    files = {value.get<std::string>()};
  } else if (value.is_array() && std::all_of(value.begin(), value.end(), is_text)) {
    files = value.get<std::vector<std::string>>();
  } else {
    user_error("[data] {} must be a path or a list of paths, got {}", key, value.dump());
  }
  for (std::string& file : files) file = in_data_folder(options, file);
  return files;
}

std::map<std::string, std::string> question_files(const Options& options) {
  const json& value = options.tree("data.questions");
  if (value.is_null()) return {};
  const auto is_text = [](const json& each) { return each.is_string(); };
  if (!value.is_object() || !std::all_of(value.begin(), value.end(), is_text)) {
    user_error("[data] questions must be a table of roles and paths, got {}", value.dump());
  }
  auto files = value.get<std::map<std::string, std::string>>();
  for (auto& [role, file] : files) {
    file = in_data_folder(options, file);
    read_questions(file);
  }
  return files;
}

void copy_questions(const std::map<std::string, std::string>& files, const fs::path& out,
                    DatasetManifest& manifest) {
  for (const auto& [role, path] : files) {
    const std::string name = "questions_" + role + fs::path(path).extension().string();
    copy_in(path, out / name);
    manifest.questions[role] = name;
  }
}

void copy_in(const std::string& from, const fs::path& to) {
  try {
    fs::copy_file(from, to, fs::copy_options::overwrite_existing);
  } catch (const fs::filesystem_error& e) {
    user_error("cannot copy {} to {}: {}", from, to.string(), e.code().message());
  }
}

std::unique_ptr<Tokenizer> open_tokenizer(const fs::path& path) {
  const std::string name = path.filename().string(), encoder = "encoder.json";
  const std::size_t at = name.find(encoder);
  if (at == name.npos) return load_tokenizer(path);
  std::string merges = name;
  merges.replace(at, encoder.size(), "vocab.bpe");
  return load_gpt2(path, path.parent_path() / merges);
}

void for_each_document(const std::vector<std::string>& files, std::int64_t byte_limit,
                       const std::function<bool(const std::string& text)>& visit) {
  std::int64_t bytes = 0;
  try {
    for (const std::string& file : files) {
      read_json_lines(file, [&](const json& row, std::int64_t) {
        if (!row.contains("text") || !row.at("text").is_string()) {
          user_error("expected a field \"text\" with the document");
        }
        const auto& text = row.at("text").get_ref<const std::string&>();
        bytes += static_cast<std::int64_t>(text.size());
        if (!visit(text) || (byte_limit > 0 && bytes >= byte_limit)) throw Enough();
      });
    }
  } catch (const Enough&) {
  }
}

std::unique_ptr<Tokenizer> train_tokenizer(
    std::int64_t vocabulary_size, bool quiet,
    const std::function<void(const std::function<bool(const std::string&)>& add)>& texts) {
  BpeTrainer trainer;
  std::int64_t bytes = 0;
  texts([&](const std::string& text) {
    trainer.add(text);
    bytes += static_cast<std::int64_t>(text.size());
    return true;
  });
  if (!quiet) {
    fmt::print("training a tokenizer of {} tokens on {:.1f} MB\n", vocabulary_size,
               1e-6 * static_cast<double>(bytes));
  }
  return trainer.train({.vocabulary_size = static_cast<int>(vocabulary_size)});
}

void write_document_shard(const std::vector<std::string>& files, std::int64_t byte_limit,
                          const Tokenizer& tokenizer, const fs::path& path, const std::string& name,
                          bool quiet) {
  TokenShardWriter writer(path, tokenizer.vocabulary_size(), tokenizer.hash());
  Progress progress(name, 0, 0, quiet);
  std::int64_t documents = 0, tokens = 0;
  for_each_document(files, byte_limit, [&](const std::string& text) {
    std::vector<std::int32_t> sequence = tokenizer.encode(text);
    if (tokenizer.special().eos) sequence.push_back(*tokenizer.special().eos);
    writer.append(sequence);
    tokens += static_cast<std::int64_t>(sequence.size());
    if (++documents % 1000 == 0) {
      progress.message(fmt::format("{}: {} documents, {} tokens, {:.0f} tokens/s", name, documents,
                                   tokens, static_cast<double>(tokens) / progress.seconds()));
    }
    return true;
  });
  writer.finish();
}

}  // namespace slotwise
