#include "train/evaluation_options.h"

namespace slotwise {

EvaluationOptions read_evaluation_options(const Options& options) {
  EvaluationOptions out;
  out.batch = options.integer("evaluate.batch", out.batch);
  out.max_new_tokens = options.integer("evaluate.max_new_tokens", out.max_new_tokens);
  out.text_rows = options.integer("evaluate.text_rows", out.text_rows);
  out.text_window = options.integer("evaluate.text_window", out.text_window);
  options.tree("evaluate.target");  // read by the report
  options.tree("evaluate.heldout");
  options.refuse_unread("evaluate");
  if (out.batch < 1 || out.text_window < 1) {
    user_error("evaluation needs batch >= 1 and text_window >= 1, got {} and {}", out.batch,
               out.text_window);
  }
  return out;
}

}  // namespace slotwise
