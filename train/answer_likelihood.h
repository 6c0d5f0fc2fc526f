// How likely the model finds the right answers, without asking it to answer: the negative
// log-likelihood (NLL, nats) of the answer's tokens behind the prompt. A question with a worked
// solution (GSM8K) is measured twice, as "prompt solution\n#### answer": over the solution's
// tokens, and over the final answer's, which then follows the right solution. Without one, the
// first accepted answer follows the prompt.
#pragma once

#include <string>
#include <vector>

#include "data/questions.h"
#include "data/tokenizer.h"
#include "memory/memory_model.h"
#include "train/measurement.h"
#include "train/row_losses.h"

namespace slotwise {

// Each row has a worked solution.
bool has_solutions(const std::vector<Question>& questions);

struct LikelihoodSet {
  std::string role;
  bool solutions = false;
  std::vector<ScoredRow> rows;       // one a question: all tokens of solution and answer count
  std::vector<std::size_t> answers;  // how many of the last tokens are the final answer's
  std::int64_t left_out = 0;         // longer than the model takes
  std::int64_t cut = 0;              // prompts that were cut from the left
};

LikelihoodSet make_likelihood(const std::string& role, const std::vector<Question>& questions,
                              const Tokenizer& tokenizer, std::int64_t positions);

// "answer_nll_per_token" (all tokens alike), "answer_nll_per_question" (the mean of the questions'
// means), and the same of "solution". Bootstrap intervals over questions.
Measured measure_likelihood(MemoryModel& model, const LikelihoodSet& set, bool quiet);

}  // namespace slotwise
