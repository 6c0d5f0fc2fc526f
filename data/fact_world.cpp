#include "data/fact_world.h"

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace slotwise {

using nlohmann::ordered_json;

void check_weights(const FactWorldWeights& weights) {
  for (const double weight : {weights.statements, weights.questions, weights.text}) {
    if (!(weight > 0)) user_error("the weights of the parts must be positive, got {}", weight);
  }
}

std::unique_ptr<Tokenizer> make_fact_world_tokenizer(const std::vector<std::string>& vocabulary) {
  return make_word_level(vocabulary, {.pad = 0, .bos = 1, .eos = {}, .unknown = {}});
}

std::string fact_line(const std::string& id, const std::vector<std::string>& wordings) {
  ordered_json row;
  row["id"] = id;
  row["wordings"] = wordings;
  return row.dump() + "\n";
}

std::string prompt_line(const std::string& id, const std::string& prompt, const std::string& answer,
                        int half) {
  ordered_json row;
  row["id"] = id;
  row["prompt"] = prompt;
  row["answers"] = {answer};
  row["half"] = half;
  return row.dump() + "\n";
}

DatasetManifest fact_world_manifest(const std::string& name, std::uint64_t seed,
                                    const std::string& sizes, const Tokenizer& tokenizer,
                                    const FactWorldWeights& weights) {
  DatasetManifest manifest;
  manifest.name = name;
  manifest.seed = seed;
  manifest.options = sizes;
  manifest.tokenizer_hash = tokenizer.hash();
  const PartKind rows = PartKind::rows;
  manifest.parts = {{"old_statements", "old_statements.tokens", rows, weights.statements},
                    {"old_questions", "old_questions.tokens", rows, weights.questions},
                    {"text", "text.tokens", rows, weights.text}};
  manifest.heldout_text = "text_heldout.tokens";
  manifest.facts = "facts.jsonl";
  manifest.questions = {{"old", "questions_old.jsonl"}, {"new", "questions_new.jsonl"}};
  return manifest;
}

}  // namespace slotwise
