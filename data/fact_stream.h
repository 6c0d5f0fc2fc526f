// Finetuning batches: a few facts, each in several wordings. An epoch visits every fact once, in a
// random order or that of the file; its last batch may hold fewer facts. Batch i is a pure function
// of (seed, i). The order of the last epoch asked for is kept, so one thread at a time may ask.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/batch.h"

namespace slotwise {

class Tokenizer;

struct Fact {
  std::string id;
  std::vector<std::string> wordings;
  std::string answer = {};  // what a question about it is answered with; may be empty
};

// A facts file: JSON Lines with {"id": text, "wordings": [texts]} and optionally "answer": text.
std::vector<Fact> read_facts(const std::filesystem::path& path);

struct FactStreamOptions {
  std::uint64_t seed = 0;
  int facts_per_batch = 4;
  // Drawn without replacement. Where a fact has fewer, all are taken and then drawn again, so that
  // every fact fills the same number of rows.
  int wordings_per_fact = 9;
  bool append_eos = false;
  bool in_order = false;  // every epoch in the order of the file
  int max_tokens = 0;     // per wording, with the special tokens; 0: no limit
  // Loss is taken from the answer's first token on, not on what leads to it. Wordings that go on
  // for more than kAfterAnswer bytes after the answer are left out: there it cannot be asked for.
  bool loss_on_answers = false;
};

class FactStream {
 public:
  static constexpr std::size_t kAfterAnswer = 2;  // a full stop, a quotation mark

  // Encodes every wording once, after the beginning-of-sequence token where the tokenizer has one.
  FactStream(const std::vector<Fact>& facts, const Tokenizer& tokenizer,
             const FactStreamOptions& options);

  TokenBatch batch(std::int64_t index) const;
  // The rows of batch(index) before padding: all wordings of its first fact, then of the next.
  std::vector<std::vector<std::int32_t>> sequences(std::int64_t index) const;
  // Which facts batch `index` teaches, as positions in the list of facts.
  std::vector<std::int64_t> facts_of_batch(std::int64_t index) const;

  std::int64_t facts() const { return static_cast<std::int64_t>(ids_.size()); }
  const std::string& id(std::int64_t fact) const { return ids_[static_cast<std::size_t>(fact)]; }
  const std::vector<std::vector<std::int32_t>>& wordings(std::int64_t fact) const {
    return encoded_[static_cast<std::size_t>(fact)];
  }
  std::int64_t batches_per_epoch() const;
  std::int64_t fewest_rows() const;      // of the batches: the last one of an epoch may be short
  std::int64_t longest_wording() const;  // in tokens, of all facts
  // Index of the first token of a wording that carries loss; 1 where all do (nothing predicts the
  // first token).
  std::int64_t first_loss(std::int64_t fact, std::int64_t wording) const {
    return first_loss_[static_cast<std::size_t>(fact)][static_cast<std::size_t>(wording)];
  }

 private:
  struct Draw {
    std::int64_t fact, wording;
  };
  std::vector<Draw> draws(std::int64_t index) const;
  std::vector<std::vector<std::int32_t>> rows_of(const std::vector<Draw>& draws) const;
  const std::vector<std::int32_t>& tokens(const Draw& draw) const {
    return wordings(draw.fact)[static_cast<std::size_t>(draw.wording)];
  }

  void order_epoch(std::int64_t epoch) const;

  FactStreamOptions options_;
  int pad_id_ = 0;
  std::vector<std::string> ids_;
  std::vector<std::vector<std::vector<std::int32_t>>> encoded_;
  std::vector<std::vector<std::int64_t>> first_loss_;
  // The facts in the order of one epoch, kept for the next batch of it.
  mutable std::vector<std::int64_t> order_;
  mutable std::int64_t ordered_epoch_ = -1;
};

}  // namespace slotwise
