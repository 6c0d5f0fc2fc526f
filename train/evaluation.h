// What a model knows: answers to sets of questions, and the loss on held-out text.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/questions.h"
#include "memory/memory_model.h"
#include "train/answer_measure.h"

namespace slotwise {

// Scores in [0, 1]. Exact match and F1 under both normalisations; `half0`, `half1`: the measure of
// the options over the two halves of the questions, where those are marked.
struct QuestionScores {
  std::int64_t count = 0;
  double exact = 0, f1 = 0;                      // SQuAD normalisation
  double exact_trivia_qa = 0, f1_trivia_qa = 0;  // TriviaQA normalisation
  double half0 = 0, half1 = 0;
  bool has_halves = false;

  double of(AnswerMeasure measure) const { return measure == AnswerMeasure::exact ? exact : f1; }
};

struct QuestionSet {
  std::string role;
  std::vector<Question> questions;
  std::vector<std::vector<std::int32_t>> prompts;
  std::int64_t max_new_tokens = 1;
};

struct EvaluationOptions {
  AnswerMeasure measure = AnswerMeasure::exact;  // what halves and progress lines show
  std::int64_t batch = 256;
  std::int64_t max_new_tokens = 0;     // 0: as many as the longest first answer of the set has
  std::int64_t text_rows = 0;          // rows of held-out text; 0: all
  std::vector<std::string> questions;  // sets of a dataset to ask; empty: all
  std::int64_t text_window = 256;      // longer sequences are cut into windows of this many tokens
};

class Evaluator {
 public:
  // `positions`: the longest sequence that the model takes.
  Evaluator(const Tokenizer& tokenizer, const EvaluationOptions& options, std::int64_t positions);

  // UserError where a prompt with its answer is longer than the model's positions.
  void add_questions(const std::string& role, const std::vector<Question>& questions);
  void set_text(const TokenShard& shard);
  // The question sets of a dataset, those of the options or all, and its held-out text. UserError
  // where it has no such set.
  void add_dataset(const Dataset& dataset);

  struct Result {
    AnswerMeasure measure = AnswerMeasure::exact;  // of the halves
    std::vector<std::pair<std::string, QuestionScores>> questions;
    double text_loss = 0;  // nats a token
    std::int64_t text_tokens = 0;
    nlohmann::json json() const;
    std::string text() const;
  };
  // memory_off: the memory's addition is zero.
  Result run(MemoryModel& model, bool memory_off = false) const;
  // The model's answers: greedy, until the end-of-text token or a line break.
  std::vector<std::string> answers(MemoryModel& model, const QuestionSet& set) const;
  const std::vector<QuestionSet>& sets() const { return sets_; }
  // What run() feeds the model in whole rows: prompts whose answers are one token, a group for each
  // set, and text.
  std::vector<TokenRows> rows() const;

 private:
  QuestionScores score(MemoryModel& model, const QuestionSet& set) const;

  const Tokenizer& tokenizer_;
  EvaluationOptions options_;
  std::int64_t positions_;
  std::vector<std::int32_t> line_breaks_;  // tokens that hold one
  std::vector<QuestionSet> sets_;
  std::vector<std::vector<std::int32_t>> text_;  // windows
};

}  // namespace slotwise
