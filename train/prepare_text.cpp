// Real text: JSONL files of documents become token shards; the tokenizer is given or trained on
// them.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "data/dataset.h"
#include "data/fact_stream.h"
#include "data/json_lines.h"
#include "data/questions.h"
#include "data/token_shard.h"
#include "data/tokenizer.h"
#include "train/prepare_run.h"
#include "train/progress.h"

namespace slotwise {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

using TextVisitor = std::function<bool(const std::string& text)>;  // false: enough

std::vector<std::string> file_list(const Options& options, const std::string& key) {
  const json& value = options.tree("data." + key);
  if (value.is_null()) return {};
  if (value.is_string()) return {value.get<std::string>()};
  const auto is_text = [](const json& each) { return each.is_string(); };
  if (!value.is_array() || !std::all_of(value.begin(), value.end(), is_text)) {
    user_error("[data] {} must be a path or a list of paths, got {}", key, value.dump());
  }
  return value.get<std::vector<std::string>>();
}

std::map<std::string, std::string> question_files(const Options& options) {
  const json& value = options.tree("data.questions");
  if (value.is_null()) return {};
  const auto is_text = [](const json& each) { return each.is_string(); };
  if (!value.is_object() || !std::all_of(value.begin(), value.end(), is_text)) {
    user_error("[data] questions must be a table of roles and paths, got {}", value.dump());
  }
  return value.get<std::map<std::string, std::string>>();
}

struct Enough {};

void for_each_text(const std::vector<std::string>& files, const TextVisitor& visit) {
  try {
    for (const std::string& file : files) {
      read_json_lines(file, [&](const json& row, std::int64_t line) {
        if (!row.contains("text") || !row.at("text").is_string()) {
          user_error("{}, line {}: expected a field \"text\" with the document", file, line);
        }
        if (!visit(row.at("text").get<std::string>())) throw Enough();
      });
    }
  } catch (const Enough&) {
  }
}

std::unique_ptr<Tokenizer> make_tokenizer(const Options& options,
                                          const std::vector<std::string>& files, bool quiet) {
  const std::string how = options.text("data.tokenizer", "bpe");
  const std::int64_t size = options.count("data.vocabulary_size", 1, 8192);
  const std::int64_t budget = options.integer("data.train_bytes", 20'000'000);
  options.refuse_unread("data");
  if (how != "bpe") return load_tokenizer(how);
  BpeTrainer trainer;
  std::int64_t bytes = 0;
  for_each_text(files, [&](const std::string& text) {
    trainer.add(text);
    bytes += static_cast<std::int64_t>(text.size());
    return bytes < budget;
  });
  if (!quiet)
    fmt::print("training a tokenizer of {} tokens on {:.1f} MB\n", size,
               1e-6 * static_cast<double>(bytes));
  return trainer.train({.vocabulary_size = static_cast<int>(size)});
}

// Each document is a sequence that ends with the end-of-text token.
void write_shard(const std::vector<std::string>& files, const Tokenizer& tokenizer,
                 const fs::path& path, const std::string& name, bool quiet) {
  TokenShardWriter writer(path, tokenizer.vocabulary_size(), tokenizer.hash());
  Progress progress(name, 0, 0, quiet);
  std::int64_t documents = 0, tokens = 0;
  for_each_text(files, [&](const std::string& text) {
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
  const std::string facts = options.text("data.facts", "");
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
  write_shard(text, *tokenizer, out / "text.tokens", "text", quiet);
  if (!heldout.empty()) {
    manifest.heldout_text = "text_heldout.tokens";
    write_shard(heldout, *tokenizer, out / manifest.heldout_text, "held-out text", quiet);
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
