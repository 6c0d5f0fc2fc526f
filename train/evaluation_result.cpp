// The results of an evaluation as JSON and as the table for people.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "train/evaluation.h"

namespace slotwise {
namespace {

Measured measured_answers(const std::string& role, const QuestionScores& scores) {
  Measured out;
  const auto add = [&](const char* key, const char* name, double value,
                       const std::optional<Interval>& interval) {
    out.rows.push_back({role, key, name, value, interval, scores.count, "questions"});
  };
  add("exact", "exact match, SQuAD normalisation", scores.exact, scores.exact_interval);
  add("f1", "token F1, SQuAD normalisation", scores.f1, scores.f1_interval);
  add("exact_trivia_qa", "exact match, TriviaQA normalisation", scores.exact_trivia_qa,
      scores.exact_trivia_qa_interval);
  add("f1_trivia_qa", "token F1, TriviaQA normalisation", scores.f1_trivia_qa,
      scores.f1_trivia_qa_interval);
  out.note = scores.note;
  return out;
}

}  // namespace

std::string TextRows::text() const {
  const std::string rows =
      read == there ? fmt::format("all {} rows", there) : fmt::format("{} of {} rows", read, there);
  if (cut) return fmt::format("{}, the last one in part, in {} windows", rows, windows);
  return windows == read ? rows : fmt::format("{} in {} windows", rows, windows);
}

nlohmann::json Evaluator::Result::json() const {
  nlohmann::json sets = nlohmann::json::object(), measures = nlohmann::json::object();
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
  for (const Measured& set : likelihoods) {
    for (const Measurement& each : set.rows) measures[each.set][each.key] = each.value;
  }
  nlohmann::json out = {{"measure", key_of(measure)},  {"questions", sets},
                        {"text_loss", text_loss},      {"text_tokens", text_tokens},
                        {"text_rows", text_rows.read}, {"text_rows_there", text_rows.there}};
  if (!measures.empty()) out["likelihoods"] = measures;
  return out;
}

std::vector<Measured> Evaluator::Result::measured() const {
  std::vector<Measured> out;
  for (const auto& [role, scores] : questions) out.push_back(measured_answers(role, scores));
  out.insert(out.end(), likelihoods.begin(), likelihoods.end());
  if (text_tokens > 0) {
    out.push_back({{{"held-out text", "loss", "loss, nats a token", text_loss, text_interval,
                     text_tokens, "tokens"}},
                   text_rows.text()});
  }
  return out;
}

std::string Evaluator::Result::text() const {
  return measured_text(measured());
}

}  // namespace slotwise
