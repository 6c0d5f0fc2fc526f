#include "train/answer_likelihood.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "train/prompt.h"

namespace slotwise {
namespace {

// Of each question: the loss of the tokens that belong to one thing, and how many they are.
struct Sums {
  std::vector<double> losses, tokens;

  void add(std::vector<float>::const_iterator begin, std::vector<float>::const_iterator end) {
    losses.push_back(std::accumulate(begin, end, 0.0));
    tokens.push_back(static_cast<double>(end - begin));
  }

  void measure(const std::string& role, const std::string& key, const std::string& what,
               std::vector<Measurement>& out) const {
    const double tokens_of_all = std::accumulate(tokens.begin(), tokens.end(), 0.0);
    const double loss_of_all = std::accumulate(losses.begin(), losses.end(), 0.0);
    std::vector<double> means;
    for (std::size_t i = 0; i < losses.size(); ++i) means.push_back(losses[i] / tokens[i]);
    const double mean_of_all = std::accumulate(means.begin(), means.end(), 0.0);
    out.push_back({.set = role,
                   .key = key + "_nll_per_token",
                   .name = "NLL of the " + what + ", nats a token: mean over tokens",
                   .value = loss_of_all / tokens_of_all,
                   .interval = bootstrap_interval(losses, tokens),
                   .count = static_cast<std::int64_t>(tokens_of_all),
                   .counted = "tokens"});
    out.push_back({.set = role,
                   .key = key + "_nll_per_question",
                   .name = "NLL of the " + what + ", nats a token: mean over questions",
                   .value = mean_of_all / static_cast<double>(means.size()),
                   .interval = bootstrap_interval(means),
                   .count = static_cast<std::int64_t>(means.size())});
  }
};

}  // namespace

bool has_solutions(const std::vector<Question>& questions) {
  return !questions.empty() &&
         std::all_of(questions.begin(), questions.end(),
                     [](const Question& each) { return !each.solution.empty(); });
}

LikelihoodSet make_likelihood(const std::string& role, const std::vector<Question>& questions,
                              const Tokenizer& tokenizer, std::int64_t positions) {
  LikelihoodSet set;
  set.role = role;
  set.solutions = has_solutions(questions);
  for (const Question& question : questions) {
    const std::string prompt = asked_text(question);
    const std::string before_answer =
        set.solutions ? prompt + following(prompt, question.solution) + "\n####" : prompt;
    const std::string answer = following(before_answer, question.answers.front());
    const EncodedPair last = encode_pair(tokenizer, before_answer, answer);
    ScoredRow row = scored_row(last);
    if (set.solutions) {
      row.first =
          encode_pair(tokenizer, prompt, following(prompt, question.solution)).context.size();
    }
    const std::size_t before = row.tokens.size();
    if (!fit_row(row, positions)) {
      ++set.left_out;
      continue;
    }
    set.cut += row.tokens.size() < before ? 1 : 0;
    set.rows.push_back(std::move(row));
    set.answers.push_back(last.continuation.size());
  }
  return set;
}

Measured measure_likelihood(MemoryModel& model, const LikelihoodSet& set, bool quiet) {
  const auto losses = row_losses(model, set.rows, set.role, quiet);
  Sums solution, answer;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const auto boundary = losses[i].end() - static_cast<std::ptrdiff_t>(set.answers[i]);
    if (set.solutions) solution.add(losses[i].begin(), boundary);
    answer.add(boundary, losses[i].end());
  }
  Measured out;
  if (set.solutions) {
    solution.measure(set.role, "solution", "solution", out.rows);
    answer.measure(set.role, "answer", "final answer", out.rows);
  } else {
    answer.measure(set.role, "answer", "first answer", out.rows);
  }
  out.note = set.solutions
                 ? "likelihood; prompt: \"Question: ...\\nAnswer:\" (a \"prompt\" as it stands), "
                   "then the solution with its mark \"\\n####\", then the final answer"
                 : "likelihood; prompt: \"Question: ...\\nAnswer:\" (a \"prompt\" as it stands), "
                   "then the first answer";
  if (set.cut > 0) out.note += fmt::format("; {} prompts cut from the left", set.cut);
  if (set.left_out > 0) out.note += fmt::format("; {} questions too long, left out", set.left_out);
  return out;
}

}  // namespace slotwise
