#include "train/evaluation_options.h"

#include <nlohmann/json.hpp>

namespace slotwise {

EvaluationOptions read_evaluation_options(const Options& options) {
  EvaluationOptions out;
  out.batch = options.count("evaluate.batch", 1, out.batch);
  out.max_new_tokens = options.count("evaluate.max_new_tokens", 0, out.max_new_tokens);
  out.text_rows = options.count("evaluate.text_rows", 0, out.text_rows);
  out.text_window = options.count("evaluate.text_window", 1, out.text_window);
  options.tree("evaluate.target");  // read by the report
  options.tree("evaluate.heldout");
  options.refuse_unread("evaluate");
  return out;
}

nlohmann::json evaluation_json(const EvaluationOptions& options) {
  return {{"batch", options.batch},
          {"max_new_tokens", options.max_new_tokens},
          {"text_rows", options.text_rows},
          {"text_window", options.text_window}};
}

}  // namespace slotwise
