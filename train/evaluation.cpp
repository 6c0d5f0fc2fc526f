#include "train/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "data/answer_metrics.h"
#include "data/tokenizer.h"
#include "layers/generation.h"
#include "train/evaluation_progress.h"
#include "train/model_batch.h"
#include "train/prompt.h"

namespace slotwise {
namespace {

// The tables of the model as they are, with nothing watching and the memory on or off.
class HooksForEvaluation {
 public:
  HooksForEvaluation(MemoryModel& model, bool memory_off) : model_(model), saved_(model.hooks()) {
    model.hooks() = MemoryHooks{};
    model.hooks().disabled = memory_off;
  }
  ~HooksForEvaluation() { model_.hooks() = saved_; }

 private:
  MemoryModel& model_;
  MemoryHooks saved_;
};

int pad_id(const Tokenizer& tokenizer) {
  return tokenizer.special().pad.value_or(0);
}

std::vector<std::int32_t> tokens_with_line_break(const Tokenizer& tokenizer) {
  std::vector<std::int32_t> out;
  for (std::int32_t id = 0; id < tokenizer.vocabulary_size(); ++id) {
    if (tokenizer.token_text(id).empty()) continue;
    if (tokenizer.decode({&id, 1}).find('\n') != std::string::npos) out.push_back(id);
  }
  return out;
}

// Prompts of like length side by side, so that a batch has little padding. Answers of one token
// need none, and keep the order in which the prefix cache knows them.
std::vector<std::size_t> order_of_asking(const QuestionSet& set) {
  std::vector<std::size_t> order(set.prompts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  if (set.max_new_tokens > 1) {
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return set.prompts[a].size() < set.prompts[b].size();
    });
  }
  return order;
}

// Where the rows do not mark both halves, the questions take turns.
void mark_halves(std::vector<Question>& questions) {
  const auto marked = [&](int half) {
    return std::any_of(questions.begin(), questions.end(),
                       [&](const Question& each) { return each.half == half; });
  };
  if (marked(0) && marked(1)) return;
  for (std::size_t i = 0; i < questions.size(); ++i) questions[i].half = static_cast<int>(i % 2);
}

std::string note_on(const QuestionSet& set) {
  const bool prompts = std::all_of(set.questions.begin(), set.questions.end(),
                                   [](const Question& each) { return each.is_prompt; });
  return fmt::format(
      "greedy answers of at most {} tokens, ended by a line break or end-of-text; prompt: {}",
      set.max_new_tokens,
      prompts ? "that of the row" : "\"Question: ...\\nAnswer:\" (a \"prompt\" as it stands)");
}

}  // namespace

TokenRows text_windows(const std::vector<std::int32_t>& tokens, std::int64_t window) {
  TokenRows out;
  const auto step = static_cast<std::size_t>(window);
  for (std::size_t begin = 0; begin + 1 < tokens.size(); begin += step) {
    const std::size_t end = std::min(tokens.size(), begin + step + 1);
    out.emplace_back(tokens.begin() + static_cast<std::ptrdiff_t>(begin),
                     tokens.begin() + static_cast<std::ptrdiff_t>(end));
  }
  return out;
}

Evaluator::Evaluator(const Tokenizer& tokenizer, const EvaluationOptions& options,
                     std::int64_t positions)
    : tokenizer_(tokenizer),
      options_(options),
      positions_(positions),
      line_breaks_(tokens_with_line_break(tokenizer)) {
  options_.text_window = std::min(options_.text_window, positions);
}

std::vector<Question> Evaluator::take(const std::string& role, const char* kind,
                                      const std::vector<Question>& questions) {
  if (!names_.insert(fmt::format("{}/{}", kind, role)).second) {
    user_error("there are two sets of questions '{}' for {}; give one another name: NAME=FILE",
               role, kind);
  }
  const auto most = static_cast<std::size_t>(options_.limit);
  if (most == 0 || questions.size() <= most) return questions;
  return {questions.begin(), questions.begin() + options_.limit};
}

void Evaluator::add_questions(const std::string& role, const std::vector<Question>& questions) {
  QuestionSet set{role,
                  take(role, "answers", questions),
                  {},
                  std::max<std::int64_t>(1, options_.max_new_tokens)};
  mark_halves(set.questions);
  for (const Question& question : set.questions) {
    std::vector<std::int32_t> prompt;
    if (tokenizer_.special().bos) prompt.push_back(*tokenizer_.special().bos);
    const std::string text = asked_text(question);
    const auto tokens = tokenizer_.encode(text);
    prompt.insert(prompt.end(), tokens.begin(), tokens.end());
    if (prompt.empty()) user_error("question {} of '{}' is empty", question.id, role);
    set.prompts.push_back(std::move(prompt));
    if (options_.max_new_tokens > 0) continue;
    const auto answer = tokenizer_.encode(following(text, question.answers.front()));
    set.max_new_tokens = std::max(set.max_new_tokens, static_cast<std::int64_t>(answer.size()));
  }
  for (std::size_t i = 0; i < set.prompts.size(); ++i) {
    const auto length = static_cast<std::int64_t>(set.prompts[i].size());
    if (length + set.max_new_tokens - 1 > positions_) {
      user_error(
          "question {} of '{}' has {} tokens, which with {} for the answer are more than the "
          "model's {} positions; shorten it, or lower the number of new tokens",
          set.questions[i].id, role, length, set.max_new_tokens, positions_);
    }
  }
  set.note = note_on(set);
  sets_.push_back(std::move(set));
}

void Evaluator::add_multiple_choice(const std::string& role,
                                    const std::vector<Question>& questions) {
  const std::vector<Question> some = take(role, "multiple choice", questions);
  if (!has_choices(some)) {
    user_error("'{}' cannot be scored as multiple choice: a row has no \"choices\"", role);
  }
  choices_.push_back(make_multiple_choice(role, some, tokenizer_, positions_));
}

void Evaluator::add_likelihood(const std::string& role, const std::vector<Question>& questions) {
  likelihoods_.push_back(
      make_likelihood(role, take(role, "likelihood", questions), tokenizer_, positions_));
}

void Evaluator::set_text(const TokenShard& shard) {
  text_rows_ = {.read = 0, .there = shard.sequences()};
  // Windows are counted: one long document may hold thousands.
  const auto full = [&] {
    return options_.text_rows > 0 && static_cast<std::int64_t>(text_.size()) >= options_.text_rows;
  };
  for (std::int64_t i = 0; i < shard.sequences() && !full(); ++i) {
    ++text_rows_.read;
    for (auto& window : text_windows(shard.sequence(i), options_.text_window)) {
      if (full()) {
        text_rows_.cut = true;
        break;
      }
      text_.push_back(std::move(window));
      text_documents_.push_back(i);
      ++text_rows_.windows;
    }
  }
}

void Evaluator::add_dataset(const Dataset& dataset) {
  const auto& sets = dataset.manifest().questions;
  for (const std::string& role : options_.questions) {
    if (sets.contains(role)) continue;
    std::vector<std::string> known;
    for (const auto& [name, file] : sets) known.push_back(name);
    user_error("evaluate.questions: there is no set '{}' in the data; it has {}", role,
               known.empty() ? "none" : fmt::format("{}", fmt::join(known, ", ")));
  }
  for (const auto& [role, file] : sets) {
    const auto& wanted = options_.questions;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), role) == wanted.end()) continue;
    const std::vector<Question> questions = read_questions(dataset.questions_path(role));
    const auto& asked = options_.asked;
    if (std::find(asked.begin(), asked.end(), role) != asked.end()) {
      add_questions(role, questions);
    } else if (has_choices(questions)) {
      add_multiple_choice(role, questions);
    } else if (has_solutions(questions)) {
      add_likelihood(role, questions);
    } else {
      add_questions(role, questions);
    }
  }
  if (!dataset.manifest().heldout_text.empty()) set_text(dataset.heldout_text());
}

std::vector<std::string> Evaluator::answers(MemoryModel& model, const QuestionSet& set,
                                            bool memory_off) const {
  const HooksForEvaluation hooks(model, memory_off);
  return predict(model, set);
}

std::vector<std::string> Evaluator::predict(MemoryModel& model, const QuestionSet& set) const {
  std::vector<std::string> out(set.prompts.size());
  GenerationOptions generation;
  generation.max_new_tokens = set.max_new_tokens;
  generation.vocabulary = tokenizer_.vocabulary_size();
  if (tokenizer_.special().eos) generation.stop_tokens = {*tokenizer_.special().eos};
  generation.last_tokens = line_breaks_;
  const std::vector<std::size_t> order = order_of_asking(set);
  const auto batch = static_cast<std::size_t>(options_.batch);
  EvaluationProgress progress(
      set.role, static_cast<std::int64_t>((order.size() + batch - 1) / batch), options_.quiet);
  for (std::size_t begin = 0; begin < order.size(); begin += batch) {
    const std::size_t end = std::min(order.size(), begin + batch);
    TokenRows prompts;
    std::int64_t read = 0;
    for (std::size_t i = begin; i < end; ++i) prompts.push_back(set.prompts[order[i]]);
    const TokenRows tokens = generate(model.decoder(), prompts, generation, model.device());
    for (std::size_t i = begin; i < end; ++i) {
      const std::string text = tokenizer_.decode(tokens[i - begin]);
      out[order[i]] = text.substr(0, text.find('\n'));
      read += static_cast<std::int64_t>(prompts[i - begin].size() + tokens[i - begin].size());
    }
    progress.batch_done(read);
  }
  return out;
}

std::vector<double> Evaluator::scores(MemoryModel& model, const QuestionSet& set) const {
  const HooksForEvaluation hooks(model, false);
  const std::vector<std::string> predictions = predict(model, set);
  std::vector<double> out;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const AnswerScore score =
        best_score(predictions[i], set.questions[i].answers, AnswerNormalisation::squad);
    out.push_back(options_.measure == AnswerMeasure::exact ? score.exact : score.f1);
  }
  return out;
}

QuestionScores Evaluator::score(MemoryModel& model, const QuestionSet& set) const {
  QuestionScores out;
  out.count = static_cast<std::int64_t>(set.questions.size());
  out.note = set.note;
  if (out.count == 0) return out;
  const std::vector<std::string> predictions = predict(model, set);
  double half_sum[2] = {0, 0}, half_count[2] = {0, 0};
  std::vector<double> f1, f1_trivia_qa;
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const Question& question = set.questions[i];
    const AnswerScore squad =
        best_score(predictions[i], question.answers, AnswerNormalisation::squad);
    const AnswerScore trivia =
        best_score(predictions[i], question.answers, AnswerNormalisation::trivia_qa);
    out.exact += squad.exact;
    out.exact_trivia_qa += trivia.exact;
    f1.push_back(squad.f1);
    f1_trivia_qa.push_back(trivia.f1);
    if (question.half) {
      half_sum[*question.half] += options_.measure == AnswerMeasure::exact ? squad.exact : squad.f1;
      half_count[*question.half] += 1;
    }
  }
  const auto count = static_cast<double>(out.count);
  out.exact_interval = wilson_interval(out.exact, out.count);
  out.exact_trivia_qa_interval = wilson_interval(out.exact_trivia_qa, out.count);
  if (options_.intervals) {
    out.f1_interval = bootstrap_interval(f1);
    out.f1_trivia_qa_interval = bootstrap_interval(f1_trivia_qa);
  }
  out.exact /= count;
  out.f1 = std::accumulate(f1.begin(), f1.end(), 0.0) / count;
  out.exact_trivia_qa /= count;
  out.f1_trivia_qa = std::accumulate(f1_trivia_qa.begin(), f1_trivia_qa.end(), 0.0) / count;
  out.has_halves = half_count[0] > 0 && half_count[1] > 0;
  if (out.has_halves) {
    out.half0 = half_sum[0] / half_count[0];
    out.half1 = half_sum[1] / half_count[1];
  }
  return out;
}

void Evaluator::measure_text(MemoryModel& model, Result& result) const {
  const NoGrad no_grad;
  const auto step = static_cast<std::size_t>(options_.batch);
  EvaluationProgress progress(
      "held-out text", static_cast<std::int64_t>((text_.size() + step - 1) / step), options_.quiet);
  double sum = 0.0;
  std::vector<double> document_sums, document_tokens;
  for (std::size_t begin = 0; begin < text_.size(); begin += step) {
    const std::size_t end = std::min(text_.size(), begin + step);
    const TokenBatch piece = make_batch({text_.begin() + static_cast<std::ptrdiff_t>(begin),
                                         text_.begin() + static_cast<std::ptrdiff_t>(end)},
                                        pad_id(tokenizer_));
    const ModelBatch ready = make_model_batch(piece, model.device());
    const Tensor hidden = model.decoder().hidden(ready.tokens, ready.context).value();
    const auto losses =
        token_losses(hidden, model.decoder().head().value(), ready.targets).to_vector<float>();
    std::size_t next = 0;
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t tokens = text_[i].size() - 1;
      const double before = sum;
      for (std::size_t t = 0; t < tokens; ++t) sum += losses[next++];
      if (i == 0 || text_documents_[i] != text_documents_[i - 1]) {
        document_sums.push_back(0);
        document_tokens.push_back(0);
      }
      document_sums.back() += sum - before;
      document_tokens.back() += static_cast<double>(tokens);
    }
    result.text_tokens += piece.valid_tokens;
    progress.batch_done(piece.valid_tokens);
  }
  if (result.text_tokens == 0) return;
  result.text_rows = text_rows_;
  result.text_loss = sum / static_cast<double>(result.text_tokens);
  if (options_.intervals) result.text_interval = bootstrap_interval(document_sums, document_tokens);
}

Evaluator::Result Evaluator::run(MemoryModel& model, bool memory_off) const {
  const HooksForEvaluation hooks(model, memory_off);
  Result result;
  result.measure = options_.measure;
  for (const QuestionSet& set : sets_) result.questions.emplace_back(set.role, score(model, set));
  for (const MultipleChoiceSet& set : choices_) {
    result.likelihoods.push_back(measure_multiple_choice(model, set, options_.quiet));
  }
  for (const LikelihoodSet& set : likelihoods_) {
    result.likelihoods.push_back(measure_likelihood(model, set, options_.quiet));
  }
  measure_text(model, result);
  return result;
}

std::vector<TokenRows> Evaluator::rows() const {
  std::vector<TokenRows> out;
  for (const QuestionSet& set : sets_) {
    if (set.max_new_tokens == 1) out.push_back(set.prompts);
  }
  TokenRows& text = out.emplace_back();
  for (const auto& window : text_) {
    if (window.size() > 1) text.emplace_back(window.begin(), window.end() - 1);
  }
  return out;
}

}  // namespace slotwise
