// What a background is counted over: the mixture that the model was pretrained on, some parts of
// it, the facts that finetuning will teach, or the questions of a set with their answers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace slotwise {

// At most one of the three; none: all parts of the dataset.
struct CorpusChoice {
  std::vector<std::string> parts;  // names of parts of the dataset, mixed by their weights
  bool facts = false;              // every wording of the dataset's facts
  std::string questions;           // a question set: prompt and first answer

  bool is_mixture() const { return parts.empty() && !facts && questions.empty(); }
};

class BackgroundCorpus {
 public:
  // `window`: tokens of a row of a stream part. append_eos: as the facts are taught. UserError
  // where the dataset has no such thing.
  BackgroundCorpus(const Dataset& dataset, const CorpusChoice& choice, std::uint64_t seed,
                   std::int64_t window, bool append_eos);

  // Batch `index` is a pure function of the seed and the index.
  TokenBatch batch(std::int64_t index, std::int64_t rows) const;
  std::int64_t longest_input() const;
  // "parts text", "facts", ...; empty for the pretraining mixture.
  const std::string& name() const { return name_; }

 private:
  void take_facts(const Dataset& dataset, bool append_eos);
  void take_questions(const Dataset& dataset, const std::string& role);

  std::uint64_t seed_;
  int pad_id_;
  std::string name_;
  std::unique_ptr<MixtureLoader> mixture_;            // of shards, or
  std::vector<std::vector<std::int32_t>> sequences_;  // drawn uniformly, with replacement
};

}  // namespace slotwise
