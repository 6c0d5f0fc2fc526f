#include "train/prepare_run.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "data/biographies.h"
#include "data/dataset.h"
#include "data/tokenizer.h"

namespace slotwise {
namespace {

namespace fs = std::filesystem;

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

std::string settings_text(const PrepareRequest& request) {
  const auto tree = nlohmann::json::parse(request.options.json_text());
  return nlohmann::json(
             {{"data", tree.value("data", nlohmann::json::object())}, {"seed", request.seed}})
             .dump(2) +
         "\n";
}

// True when the folder is there already and complete.
bool made_before(const PrepareRequest& request, const std::string& settings) {
  if (request.fresh || !fs::exists(request.out / "dataset.json")) return false;
  const fs::path path = request.out / "prepare.json";
  if (fs::exists(path) && read_file(path) == settings) return true;
  user_error(
      "{} holds a dataset made with other settings; choose another --out, or --fresh to make "
      "it again",
      request.out.string());
}

}  // namespace

void prepare(const PrepareRequest& request) {
  const std::string settings = settings_text(request);
  if (made_before(request, settings)) {
    if (!request.quiet) fmt::print("{} is up to date\n", request.out.string());
    return;
  }
  const std::string kind = request.options.text("data.kind");
  if (kind == "biographies") {
    const BiographyOptions options = biography_options(request.options, request.seed);
    request.options.refuse_unread("data");
    write_biographies(options, request.out);
  } else if (kind == "text") {
    prepare_text(request.options, request.seed, request.out, request.quiet);
  } else {
    user_error("[data] kind must be biographies or text, got '{}'", kind);
  }
  write_file_atomically(request.out / "prepare.json", settings);
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
