// Real text: JSONL files of documents become token shards; the tokenizer is given or trained on
// them.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "data/dataset.h"
#include "data/fact_stream.h"
#include "data/questions.h"
#include "data/tokenizer.h"
#include "train/prepare_documents.h"
#include "train/prepare_run.h"

namespace slotwise {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::map<std::string, std::string> question_files(const Options& options) {
  const json& value = options.tree("data.questions");
  if (value.is_null()) return {};
  const auto is_text = [](const json& each) { return each.is_string(); };
  if (!value.is_object() || !std::all_of(value.begin(), value.end(), is_text)) {
    user_error("[data] questions must be a table of roles and paths, got {}", value.dump());
  }
  auto files = value.get<std::map<std::string, std::string>>();
  for (auto& [role, file] : files) file = in_data_folder(options, file);
  return files;
}

std::unique_ptr<Tokenizer> make_tokenizer(const Options& options,
                                          const std::vector<std::string>& files, bool quiet) {
  const std::string how = options.text("data.tokenizer", "bpe");
  const std::int64_t size = options.count("data.vocabulary_size", 1, 8192);
  const std::int64_t budget = options.count("data.train_bytes", 1, 20'000'000);
  options.refuse_unread("data");
  if (how != "bpe") return load_tokenizer(how);
  return train_tokenizer(size, quiet,
                         [&](const auto& add) { for_each_document(files, budget, add); });
}

void copy_in(const std::string& from, const fs::path& to) {
  try {
    fs::copy_file(from, to, fs::copy_options::overwrite_existing);
  } catch (const fs::filesystem_error& e) {
    user_error("cannot copy {} to {}: {}", from, to.string(), e.code().message());
  }
}

}  // namespace

void prepare_text(const Options& options, std::uint64_t seed, const fs::path& out, bool quiet) {
  const std::vector<std::string> text = file_list(options, "text");
  const std::vector<std::string> heldout = file_list(options, "heldout_text");
  const std::map<std::string, std::string> questions = question_files(options);
  const std::string facts = in_data_folder(options, options.text("data.facts", ""));
  if (text.empty()) user_error("[data] kind = \"text\" needs text = [\"file.jsonl\", ...]");
  // What can be wrong is found before anything is written.
  if (!facts.empty()) read_facts(facts);
  for (const auto& [role, file] : questions) read_questions(file);
  const std::unique_ptr<Tokenizer> tokenizer = make_tokenizer(options, text, quiet);
  create_folder(out);
  fs::remove(out / "dataset.json");  // while files are being replaced the folder is no dataset

  DatasetManifest manifest;
  manifest.name = "text";
  manifest.seed = seed;
  manifest.tokenizer_hash = tokenizer->hash();
  manifest.parts = {{"text", "text.tokens", PartKind::stream, 1.0}};
  tokenizer->save(out / "tokenizer.json");
  write_document_shard(text, 0, *tokenizer, out / "text.tokens", "text", quiet);
  if (!heldout.empty()) {
    manifest.heldout_text = "text_heldout.tokens";
    write_document_shard(heldout, 0, *tokenizer, out / manifest.heldout_text, "held-out text",
                         quiet);
  }
  if (!facts.empty()) {
    manifest.facts = "facts.jsonl";
    copy_in(facts, out / manifest.facts);
  }
  for (const auto& [role, path] : questions) {
    const std::string name = "questions_" + role + fs::path(path).extension().string();
    copy_in(path, out / name);
    manifest.questions[role] = name;
  }
  write_manifest(manifest, out);
}

}  // namespace slotwise
