// What the datasets of a closed world of facts have in common, biographies and WordNet's nouns:
// rows of one sentence over whole words, a part of statements, one of questions and one of text
// about the old knowledge, facts.jsonl with the new, and prompts that ask for either.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/token_shard.h"
#include "data/tokenizer.h"

namespace slotwise {

struct FactWorldWeights {
  double statements = 0, questions = 0, text = 0;  // shares of a pretraining batch
};
void check_weights(const FactWorldWeights& weights);  // UserError where one is not positive

// `vocabulary` begins with <pad> and <bos>.
std::unique_ptr<Tokenizer> make_fact_world_tokenizer(const std::vector<std::string>& vocabulary);

// A shard of rows <bos> sentence; `fill` is called with a function that adds a sentence.
template <class Fill>
void write_sentences(const std::filesystem::path& path, const Tokenizer& tokenizer, Fill&& fill) {
  TokenShardWriter writer(path, tokenizer.vocabulary_size(), tokenizer.hash());
  fill([&](const std::string& sentence) {
    std::vector<std::int32_t> tokens = tokenizer.encode(sentence);
    tokens.insert(tokens.begin(), tokenizer.special().bos.value());
    writer.append(tokens);
  });
  writer.finish();
}

// Lines of facts.jsonl and of a question file.
std::string fact_line(const std::string& id, const std::vector<std::string>& wordings);
std::string prompt_line(const std::string& id, const std::string& prompt, const std::string& answer,
                        int half);

// `sizes`: a JSON object, what the dataset was made with. Old and new questions are named; the
// dataset may add sets.
DatasetManifest fact_world_manifest(const std::string& name, std::uint64_t seed,
                                    const std::string& sizes, const Tokenizer& tokenizer,
                                    const FactWorldWeights& weights);

}  // namespace slotwise
