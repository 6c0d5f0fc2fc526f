#include "train/pareto_methods.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "train/finetune_setup.h"

namespace slotwise {

void check_methods(const ParetoPlan& plan, const Options& options) {
  for (const ParetoMethod& method : plan.methods) {
    for (const ParetoSetting& setting : method.settings) {
      FinetuneRequest request;
      request.options = Options::from_json(nlohmann::json::parse(options.json_text()));
      for (const std::string& each : method.overrides) request.options.override_with(each);
      request.method = method.method;
      request.learning_rate = setting.learning_rate;
      if (!method.optimizer.empty()) request.row_optimizer = method.optimizer;
      if (setting.rows > 0) request.rows = setting.rows;
      if (setting.rank > 0) request.rank = setting.rank;
      try {
        read_finetune_settings(request);
      } catch (const UserError& error) {
        user_error("pareto.methods, {}: {}", method.name, error.what());
      }
    }
  }
}

}  // namespace slotwise
