// How far finetuning moved what the model predicts: KL(base || finetuned) = sum over the vocabulary
// of p_base ln(p_base / p_finetuned), in nats, the mean over predicted tokens. 0: nothing moved.
// Where the finetuned model gives little to what the base held likely, it is large. Log-softmax and
// sums in double precision.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "data/tokenizer.h"
#include "memory/memory_model.h"
#include "train/evaluation.h"
#include "train/measurement.h"
#include "train/row_losses.h"

namespace slotwise {

// Of one prediction, from the logits of both over the same vocabulary.
double kl_divergence(std::span<const float> base, std::span<const float> finetuned);

struct KlSet {
  std::string role;
  std::vector<ScoredRow> rows;  // `first`: where the answer begins; all tokens are predicted
  std::vector<std::int64_t> documents;  // whose part each row is; empty: each is one of its own
  std::int64_t cut = 0, left_out = 0;   // from the left; longer than the model takes
  bool has_answers = false;
};

// Each prompt with its first accepted answer behind it, as it would be taught.
KlSet kl_questions(const QuestionSet& set, const Tokenizer& tokenizer, std::int64_t positions);
// Windows of text, and of which document each is; all tokens but the first of each are predicted.
KlSet kl_text(const std::string& role, const TokenRows& windows,
              const std::vector<std::int64_t>& documents);

// "kl_from_base", and where there are answers "kl_from_base_prompt" and "kl_from_base_answer".
// Bootstrap intervals over rows, of text over documents. Both models take the same tokens. Throws
// Interrupted.
Measured measure_kl(MemoryModel& base, MemoryModel& finetuned, const KlSet& set, bool quiet);

}  // namespace slotwise
