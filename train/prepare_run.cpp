#include "train/prepare_run.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/sha256.h"
#include "data/biographies.h"
#include "data/dataset.h"
#include "data/tokenizer.h"
#include "data/wordnet.h"
#include "data/wordnet_dataset.h"
#include "train/prepare_documents.h"
#include "train/run_lock.h"

namespace slotwise {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

BiographyOptions biography_options(const Options& options, std::uint64_t seed) {
  BiographyOptions b;
  b.seed = seed;
  const auto size = [&](const char* key, int otherwise) {
    return static_cast<int>(options.count(std::string("data.") + key, 0, otherwise));
  };
  b.first_names = size("first_names", b.first_names);
  b.last_names = size("last_names", b.last_names);
  b.old_people = size("old_people", b.old_people);
  b.fully_questioned_people = size("fully_questioned_people", b.old_people / 2);
  b.new_people = size("new_people", b.new_people);
  b.values = size("values", b.values);
  b.text_sentences = size("text_sentences", b.text_sentences);
  b.heldout_sentences = size("heldout_sentences", b.heldout_sentences);
  b.statement_weight = options.number("data.statement_weight", b.statement_weight);
  b.question_weight = options.number("data.question_weight", b.question_weight);
  b.text_weight = options.number("data.text_weight", b.text_weight);
  return b;
}

WordNetOptions wordnet_options(const Options& options, std::uint64_t seed) {
  WordNetOptions w;
  w.seed = seed;
  w.wordnet = options.text("data.wordnet", w.wordnet.string());
  const auto size = [&](const char* key, int otherwise) {
    return static_cast<int>(options.count(std::string("data.") + key, 0, otherwise));
  };
  w.vocabulary = size("vocabulary", w.vocabulary);
  w.old_nouns = size("old_nouns", w.old_nouns);
  w.fully_questioned_nouns = size("fully_questioned_nouns", w.old_nouns * 5 / 8);
  w.new_nouns = size("new_nouns", w.new_nouns);
  w.least_facts = size("least_facts", w.least_facts);
  w.least_uses = size("least_uses", w.least_uses);
  w.longest_definition = size("longest_definition", w.longest_definition);
  w.longest_sentence = size("longest_sentence", w.longest_sentence);
  w.heldout_sentences = size("heldout_sentences", w.heldout_sentences);
  w.largest_share = options.number("data.largest_share", w.largest_share);
  w.statement_weight = options.number("data.statement_weight", w.statement_weight);
  w.question_weight = options.number("data.question_weight", w.question_weight);
  w.text_weight = options.number("data.text_weight", w.text_weight);
  return w;
}

// What a dataset was made with: the head of prepare.json.
json request_json(const PrepareRequest& request) {
  const json tree = json::parse(request.options.json_text());
  // As text once, so that a number is compared as it is written.
  return json::parse(
      json({{"data", tree.value("data", json::object())}, {"seed", request.seed}}).dump());
}

// Path -> SHA-256 of all files that the settings name: a dataset is as old as what it was made of.
json input_digests(const PrepareRequest& request) {
  json out = json::object();
  const auto add = [&](const json& value) {
    if (!value.is_string()) return;
    const fs::path path = in_data_folder(request.options, value.get<std::string>());
    std::error_code error;
    if (fs::is_regular_file(path, error)) out[path.string()] = sha256_of_file(path);
  };
  const json tree = json::parse(request.options.json_text());
  for (const json& value : tree.value("data", json::object()).flatten()) add(value);
  if (request.options.text("data.kind", "") == "wordnet") {
    const fs::path folder = wordnet_options(request.options, request.seed).wordnet;
    for (const fs::path& path : wordnet_files(folder)) add(path.string());
  }
  return out;
}

// Name -> SHA-256 of all files that belong to the dataset.
json file_digests(const fs::path& folder) {
  const DatasetManifest manifest = read_manifest(folder);
  std::vector<std::string> names = {"dataset.json", manifest.tokenizer};
  for (const DatasetManifest::Part& part : manifest.parts) names.push_back(part.shard);
  for (const std::string& name : {manifest.heldout_text, manifest.facts}) {
    if (!name.empty()) names.push_back(name);
  }
  for (const auto& [role, name] : manifest.questions) names.push_back(name);
  json out = json::object();
  for (const std::string& name : names) out[name] = sha256_of_file(folder / name);
  return out;
}

void verify_files(const json& digests, const fs::path& folder) {
  for (const auto& [name, digest] : digests.items()) {
    const fs::path path = folder / name;
    const char* fault = !fs::exists(path) ? "is missing"
                        : sha256_of_file(path) != digest.get<std::string>()
                            ? "is not as it was made"
                            : nullptr;
    if (fault != nullptr) {
      user_error("{} {}; copy it again, or --fresh makes the dataset again", path.string(), fault);
    }
  }
}

// prepare.pending holds the request while a dataset is being made: a folder that has it was left by
// a kill, and is made again. A mistake (an exception) takes it away.
class Pending {
 public:
  explicit Pending(const PrepareRequest& request) : path_(path(request.out)) {
    write_file_atomically(path_, request_json(request).dump(2) + "\n");
  }
  ~Pending() {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }
  Pending(const Pending&) = delete;
  Pending& operator=(const Pending&) = delete;

  static fs::path path(const fs::path& out) { return out / "prepare.pending"; }
  static bool left_by(const PrepareRequest& request) {
    return fs::exists(path(request.out)) &&
           json::parse(read_file(path(request.out)), nullptr, false) == request_json(request);
  }

 private:
  fs::path path_;
};

// True when the folder is there already, complete and as it was made.
bool made_before(const PrepareRequest& request) {
  const fs::path path = request.out / "prepare.json";
  if (request.fresh || (!fs::exists(request.out / "dataset.json") && !fs::exists(path))) {
    return false;
  }
  if (Pending::left_by(request)) return false;
  if (!fs::exists(path)) {
    user_error(
        "{} holds a dataset without its prepare.json; choose another --out, or --fresh to make it "
        "again",
        request.out.string());
  }
  json made = json::parse(read_file(path), nullptr, false);
  if (!made.is_object() || !made.contains("files")) {
    user_error("{} is damaged; --fresh makes the dataset again", path.string());
  }
  const json digests = made.at("files"), inputs = made.value("inputs", json::object());
  made.erase("files");
  made.erase("inputs");
  if (made != request_json(request)) {
    user_error(
        "{} holds a dataset made with other settings; choose another --out, or --fresh to make "
        "it again",
        request.out.string());
  }
  if (const json now = input_digests(request); now != inputs) {
    for (const auto& [input, digest] : now.items()) {
      if (inputs.value(input, "") == digest.get<std::string>()) continue;
      user_error("{} has changed since {} was made of it; --fresh makes the dataset again", input,
                 request.out.string());
    }
    user_error("files that {} was made of are gone; copy them back, or leave the dataset as it is",
               request.out.string());
  }
  verify_files(digests, request.out);
  return true;
}

void refuse_other_contents(const fs::path& out) {
  refuse_out_file(out);
  for (const char* name : {"run.json", "config.json"}) {
    if (!fs::exists(out / name)) continue;
    user_error("--out {} holds a {}; give a folder of its own", out.string(),
               std::string_view(name) == "run.json" ? "run" : "model");
  }
}

}  // namespace

void prepare(const PrepareRequest& request) {
  refuse_other_contents(request.out);
  refuse_foreign_folder(request.out, {"prepare.json", "prepare.pending", "dataset.json"});
  const RunLock lock(request.out);
  if (made_before(request)) {
    if (!request.quiet) fmt::print("{} is up to date\n", request.out.string());
    return;
  }
  const std::string kind = request.options.text("data.kind");
  const Pending pending(request);
  const json inputs = input_digests(request);
  if (kind == "biographies") {
    const BiographyOptions options = biography_options(request.options, request.seed);
    request.options.refuse_unread("data");
    write_biographies(options, request.out);
  } else if (kind == "wordnet") {
    const WordNetOptions options = wordnet_options(request.options, request.seed);
    request.options.refuse_unread("data");
    write_wordnet(options, request.out);
  } else if (kind == "text") {
    prepare_text(request.options, request.seed, request.out, request.quiet);
  } else if (kind == "facts") {
    prepare_facts(request.options, request.seed, request.out, request.quiet);
  } else {
    user_error("[data] kind must be biographies, facts, text or wordnet, got '{}'", kind);
  }
  json made = request_json(request);
  made["files"] = file_digests(request.out);
  if (input_digests(request) != inputs) {
    user_error("files that {} is made of changed while it was being made; --fresh makes it again",
               request.out.string());
  }
  made["inputs"] = inputs;
  write_file_atomically(request.out / "prepare.json", made.dump(2) + "\n");
  if (request.quiet) return;
  const Dataset dataset(request.out);
  fmt::print("{}: vocabulary of {} tokens\n", request.out.string(),
             dataset.tokenizer().vocabulary_size());
  for (const MixturePart& part : dataset.parts()) {
    fmt::print("  {:<18} {:>9} sequences {:>11} tokens, weight {:.2f}\n", part.name,
               part.shard->sequences(), part.shard->tokens(), part.weight);
  }
}

}  // namespace slotwise
