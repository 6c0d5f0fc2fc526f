#include "train/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "data/answer_metrics.h"
#include "data/tokenizer.h"
#include "layers/generation.h"
#include "train/model_batch.h"

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

// An answer as it stands behind its prompt.
std::string continuation(const std::string& prompt, const std::string& answer) {
  return prompt.ends_with(' ') || prompt.ends_with('\n') ? answer : " " + answer;
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

double text_loss(MemoryModel& model, const std::vector<std::vector<std::int32_t>>& rows,
                 std::int64_t batch, int pad, std::int64_t& tokens) {
  const NoGrad no_grad;
  double sum = 0.0;
  tokens = 0;
  for (std::size_t begin = 0; begin < rows.size(); begin += static_cast<std::size_t>(batch)) {
    const std::size_t end = std::min(rows.size(), begin + static_cast<std::size_t>(batch));
    const TokenBatch piece = make_batch({rows.begin() + static_cast<std::ptrdiff_t>(begin),
                                         rows.begin() + static_cast<std::ptrdiff_t>(end)},
                                        pad);
    const ModelBatch ready = make_model_batch(piece, model.device());
    const Tensor hidden = model.decoder().hidden(ready.tokens, ready.context).value();
    for (const float loss :
         token_losses(hidden, model.decoder().head().value(), ready.targets).to_vector<float>()) {
      sum += loss;
    }
    tokens += piece.valid_tokens;
  }
  return tokens > 0 ? sum / static_cast<double>(tokens) : 0.0;
}

}  // namespace

Evaluator::Evaluator(const Tokenizer& tokenizer, const EvaluationOptions& options,
                     std::int64_t positions)
    : tokenizer_(tokenizer),
      options_(options),
      positions_(positions),
      line_breaks_(tokens_with_line_break(tokenizer)) {
  options_.text_window = std::min(options_.text_window, positions);
}

void Evaluator::add_questions(const std::string& role, const std::vector<Question>& questions) {
  QuestionSet set{role, questions, {}, std::max<std::int64_t>(1, options_.max_new_tokens)};
  for (const Question& question : questions) {
    std::vector<std::int32_t> prompt;
    if (tokenizer_.special().bos) prompt.push_back(*tokenizer_.special().bos);
    const std::string text = prompt_text(question);
    const auto tokens = tokenizer_.encode(text);
    prompt.insert(prompt.end(), tokens.begin(), tokens.end());
    if (prompt.empty()) user_error("question {} of '{}' is empty", question.id, role);
    set.prompts.push_back(std::move(prompt));
    if (options_.max_new_tokens > 0) continue;
    const auto answer = tokenizer_.encode(continuation(text, question.answers.front()));
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
  sets_.push_back(std::move(set));
}

void Evaluator::set_text(const TokenShard& shard) {
  const auto window = static_cast<std::size_t>(options_.text_window);
  for (std::int64_t i = 0; i < shard.sequences(); ++i) {
    if (options_.text_rows > 0 && static_cast<std::int64_t>(text_.size()) >= options_.text_rows) {
      return;
    }
    const std::vector<std::int32_t> all = shard.sequence(i);
    // Windows overlap by one token: the last of one is the first input of the next.
    for (std::size_t begin = 0; begin + 1 < all.size(); begin += window) {
      const std::size_t end = std::min(all.size(), begin + window + 1);
      text_.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(begin),
                         all.begin() + static_cast<std::ptrdiff_t>(end));
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
    add_questions(role, read_questions(dataset.questions_path(role)));
  }
  if (!dataset.manifest().heldout_text.empty()) set_text(dataset.heldout_text());
}

std::vector<std::string> Evaluator::answers(MemoryModel& model, const QuestionSet& set) const {
  std::vector<std::string> out(set.prompts.size());
  GenerationOptions generation;
  generation.max_new_tokens = set.max_new_tokens;
  if (tokenizer_.special().eos) generation.stop_tokens = {*tokenizer_.special().eos};
  generation.last_tokens = line_breaks_;
  const std::vector<std::size_t> order = order_of_asking(set);
  const auto batch = static_cast<std::size_t>(options_.batch);
  for (std::size_t begin = 0; begin < order.size(); begin += batch) {
    const std::size_t end = std::min(order.size(), begin + batch);
    TokenRows prompts;
    for (std::size_t i = begin; i < end; ++i) prompts.push_back(set.prompts[order[i]]);
    const TokenRows tokens = generate(model.decoder(), prompts, generation, model.device());
    for (std::size_t i = begin; i < end; ++i) {
      const std::string text = tokenizer_.decode(tokens[i - begin]);
      out[order[i]] = text.substr(0, text.find('\n'));
    }
  }
  return out;
}

QuestionScores Evaluator::score(MemoryModel& model, const QuestionSet& set) const {
  QuestionScores out;
  out.count = static_cast<std::int64_t>(set.questions.size());
  if (out.count == 0) return out;
  const std::vector<std::string> predictions = answers(model, set);
  double half_sum[2] = {0, 0}, half_count[2] = {0, 0};
  for (std::size_t i = 0; i < predictions.size(); ++i) {
    const Question& question = set.questions[i];
    const AnswerScore squad =
        best_score(predictions[i], question.answers, AnswerNormalisation::squad);
    const AnswerScore trivia =
        best_score(predictions[i], question.answers, AnswerNormalisation::trivia_qa);
    out.exact += squad.exact;
    out.f1 += squad.f1;
    out.exact_trivia_qa += trivia.exact;
    out.f1_trivia_qa += trivia.f1;
    if (question.half) {
      half_sum[*question.half] += options_.measure == AnswerMeasure::exact ? squad.exact : squad.f1;
      half_count[*question.half] += 1;
    }
  }
  const auto count = static_cast<double>(out.count);
  out.exact /= count;
  out.f1 /= count;
  out.exact_trivia_qa /= count;
  out.f1_trivia_qa /= count;
  out.has_halves = half_count[0] > 0 && half_count[1] > 0;
  if (out.has_halves) {
    out.half0 = half_sum[0] / half_count[0];
    out.half1 = half_sum[1] / half_count[1];
  }
  return out;
}

Evaluator::Result Evaluator::run(MemoryModel& model, bool memory_off) const {
  const HooksForEvaluation hooks(model, memory_off);
  Result result;
  result.measure = options_.measure;
  for (const QuestionSet& set : sets_) result.questions.emplace_back(set.role, score(model, set));
  result.text_loss =
      text_loss(model, text_, options_.batch, pad_id(tokenizer_), result.text_tokens);
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

nlohmann::json Evaluator::Result::json() const {
  nlohmann::json sets = nlohmann::json::object();
  for (const auto& [role, scores] : questions) {
    nlohmann::json& set = sets[role];
    set = {{"count", scores.count},
           {"exact", scores.exact},
           {"f1", scores.f1},
           {"exact_trivia_qa", scores.exact_trivia_qa},
           {"f1_trivia_qa", scores.f1_trivia_qa}};
    if (scores.has_halves) {
      set["half0"] = scores.half0;
      set["half1"] = scores.half1;
    }
  }
  return {{"measure", key_of(measure)},
          {"questions", sets},
          {"text_loss", text_loss},
          {"text_tokens", text_tokens}};
}

std::string Evaluator::Result::text() const {
  std::string out = fmt::format("{:<16}{:>7}{:>13}{:>11}{:>15}{:>13}\n", "questions", "count",
                                "exact SQuAD", "F1 SQuAD", "exact TriviaQA", "F1 TriviaQA");
  for (const auto& [role, scores] : questions) {
    out += fmt::format("{:<16}{:>7}{:>13.3f}{:>11.3f}{:>15.3f}{:>13.3f}\n", role, scores.count,
                       scores.exact, scores.f1, scores.exact_trivia_qa, scores.f1_trivia_qa);
  }
  if (text_tokens > 0) {
    out +=
        fmt::format("held-out text   {:.4f} nats a token over {} tokens\n", text_loss, text_tokens);
  }
  return out;
}

}  // namespace slotwise
