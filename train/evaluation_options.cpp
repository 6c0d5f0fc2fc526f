#include "train/evaluation_options.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace slotwise {
namespace {

// The report reads the roles, after hours of runs: a misspelt one is found before them.
void check_role(const Options& options, const char* key, const DatasetManifest& dataset) {
  const std::string role = options.text(std::string("evaluate.") + key, "");
  if (role.empty() || dataset.questions.empty() || dataset.questions.contains(role)) return;
  std::string known;
  for (const auto& [each, file] : dataset.questions) known += (known.empty() ? "" : ", ") + each;
  user_error("evaluate.{} must name a set of questions of the dataset ({}), got '{}'", key, known,
             role);
}

}  // namespace

EvaluationOptions read_evaluation_options(const Options& options, const DatasetManifest& dataset) {
  EvaluationOptions out;
  out.measure = read_answer_measure(options);
  out.batch = options.count("evaluate.batch", 1, out.batch);
  out.max_new_tokens = options.count("evaluate.max_new_tokens", 0, out.max_new_tokens);
  out.limit = options.count("evaluate.limit", 0, out.limit);
  out.text_rows = options.count("evaluate.text_rows", 0, out.text_rows);
  out.text_window = options.count("evaluate.text_window", 1, out.text_window);
  const nlohmann::json& questions = options.tree("evaluate.questions");
  if (!questions.is_null()) {
    const bool names =
        questions.is_array() && std::all_of(questions.begin(), questions.end(),
                                            [](auto& each) { return each.is_string(); });
    if (!names || questions.empty()) {
      user_error("evaluate.questions must be a list of names of question sets, got {}",
                 questions.dump());
    }
    out.questions = questions.get<std::vector<std::string>>();
  }
  for (const char* key : {"target", "heldout"}) {
    check_role(options, key, dataset);
    // A sweep compares answers.
    const std::string role = options.text(std::string("evaluate.") + key, "");
    if (!role.empty()) out.asked.push_back(role);
  }
  options.refuse_unread("evaluate");
  return out;
}

nlohmann::json evaluation_json(const EvaluationOptions& options) {
  nlohmann::json out = {{"batch", options.batch},
                        {"max_new_tokens", options.max_new_tokens},
                        {"questions", options.questions},
                        {"text_rows", options.text_rows},
                        {"text_window", options.text_window}};
  // Only where it is not the default, so that runs begun before there was a choice can go on.
  if (options.measure != AnswerMeasure::exact) out["measure"] = key_of(options.measure);
  if (options.limit > 0) out["limit"] = options.limit;
  return out;
}

}  // namespace slotwise
