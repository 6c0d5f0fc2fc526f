// What a model knows: answers to sets of questions, multiple choice and the likelihood of answers,
// and the loss on held-out text. docs/evaluation.md names every measure and its prompt.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/questions.h"
#include "memory/memory_model.h"
#include "train/answer_likelihood.h"
#include "train/answer_measure.h"
#include "train/multiple_choice.h"

namespace slotwise {

// Scores in [0, 1]. Exact match and F1 under both normalisations; `half0`, `half1`: the measure of
// the options over the two halves of the questions, as the rows mark them or else every other one;
// `has_halves` is false for a single question.
struct QuestionScores {
  std::int64_t count = 0;
  double exact = 0, f1 = 0;                      // SQuAD normalisation
  double exact_trivia_qa = 0, f1_trivia_qa = 0;  // TriviaQA normalisation
  double half0 = 0, half1 = 0;
  bool has_halves = false;
  // 95 %; of the F1s where the options ask for intervals.
  std::optional<Interval> exact_interval, exact_trivia_qa_interval, f1_interval,
      f1_trivia_qa_interval;
  std::string note;  // how the questions were asked

  double of(AnswerMeasure measure) const { return measure == AnswerMeasure::exact ? exact : f1; }
};

struct QuestionSet {
  std::string role;
  std::vector<Question> questions;
  std::vector<std::vector<std::int32_t>> prompts;
  std::int64_t max_new_tokens = 1;
  std::string note;  // how they are asked, for people
};

struct EvaluationOptions {
  AnswerMeasure measure = AnswerMeasure::exact;  // what halves and progress lines show
  std::int64_t batch = 256;
  std::int64_t max_new_tokens = 0;     // 0: as many as the longest first answer of the set has
  std::int64_t limit = 0;              // the first questions of every set; 0: all
  std::int64_t text_rows = 0;          // windows of held-out text; 0: all
  std::vector<std::string> questions;  // sets of a dataset to ask; empty: all
  std::vector<std::string> asked;      // of these, those to be answered whatever their rows hold
  std::int64_t text_window = 256;      // longer sequences are cut into windows of this many tokens
  bool intervals = false;              // bootstrap F1 and text loss, too
  bool quiet = true;                   // no progress lines
};

// The held-out text that was measured: `read` of the `there` sequences that the dataset has,
// evaluate.text_rows or --text-rows says how many, cut into windows.
struct TextRows {
  std::int64_t read = 0, there = 0, windows = 0;
  bool cut = false;          // the last row was read in part
  std::string text() const;  // "8 of 16 rows", "all 16 rows in 40 windows"
};

// The tokens of one sequence, cut into windows of `window` inputs. They overlap by one token: the
// last of one is the first input of the next.
TokenRows text_windows(const std::vector<std::int32_t>& tokens, std::int64_t window);

class Evaluator {
 public:
  // `positions`: the longest sequence that the model takes.
  Evaluator(const Tokenizer& tokenizer, const EvaluationOptions& options, std::int64_t positions);

  // UserError where a prompt with its answer is longer than the model's positions.
  void add_questions(const std::string& role, const std::vector<Question>& questions);
  void add_multiple_choice(const std::string& role, const std::vector<Question>& questions);
  void add_likelihood(const std::string& role, const std::vector<Question>& questions);
  void set_text(const TokenShard& shard);
  // The question sets of a dataset, those of the options or all, and its held-out text. Where every
  // row has choices they are scored as multiple choice, where every row has a solution by its
  // likelihood, and all others, and those that the options name, by the model's answers. UserError
  // where it has no such set.
  void add_dataset(const Dataset& dataset);

  struct Result {
    AnswerMeasure measure = AnswerMeasure::exact;  // of the halves
    std::vector<std::pair<std::string, QuestionScores>> questions;
    std::vector<Measured> likelihoods;  // multiple choice and answer likelihood, a set each
    double text_loss = 0;               // nats a token
    std::int64_t text_tokens = 0;
    TextRows text_rows;
    std::optional<Interval> text_interval;
    nlohmann::json json() const;
    // Every number there is, set by set, with what is to be said about the set.
    std::vector<Measured> measured() const;
    std::string text() const;
  };
  // memory_off: the memory's addition is zero. Throws Interrupted after Ctrl-C.
  Result run(MemoryModel& model, bool memory_off = false) const;
  // The model's answers: greedy, until the end-of-text token or a line break.
  std::vector<std::string> answers(MemoryModel& model, const QuestionSet& set,
                                   bool memory_off = false) const;
  // Of each question by the measure of the options. Throws Interrupted.
  std::vector<double> scores(MemoryModel& model, const QuestionSet& set) const;
  const std::vector<QuestionSet>& sets() const { return sets_; }
  const TokenRows& text() const { return text_; }  // windows
  // Of which sequence of the text each window is. Windows of one are alike, so it is sequences that
  // intervals resample.
  const std::vector<std::int64_t>& text_documents() const { return text_documents_; }
  // What run() feeds the model in whole rows: prompts whose answers are one token, a group for each
  // set, and text.
  std::vector<TokenRows> rows() const;

 private:
  std::vector<std::string> predict(MemoryModel& model, const QuestionSet& set) const;
  QuestionScores score(MemoryModel& model, const QuestionSet& set) const;
  void measure_text(MemoryModel& model, Result& result) const;
  // The questions that the limit leaves. UserError where a set of this kind has the name already.
  std::vector<Question> take(const std::string& role, const char* kind,
                             const std::vector<Question>& questions);

  const Tokenizer& tokenizer_;
  EvaluationOptions options_;
  std::int64_t positions_;
  std::vector<std::int32_t> line_breaks_;  // tokens that hold one
  std::vector<QuestionSet> sets_;
  std::vector<MultipleChoiceSet> choices_;
  std::vector<LikelihoodSet> likelihoods_;
  std::set<std::string> names_;  // "kind/role"
  TokenRows text_;
  std::vector<std::int64_t> text_documents_;
  TextRows text_rows_;
};

}  // namespace slotwise
