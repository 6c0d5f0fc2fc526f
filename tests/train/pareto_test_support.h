// Synthetic sweeps for the tests of the analysis and of the report.
#pragma once

#include "train/pareto_analysis.h"

namespace slotwise::testing {

// Both halves alike.
inline PromptScores same(double score) {
  return {.all = score, .half0 = score, .half1 = score};
}
inline Checkpoint checkpoint(std::int64_t step, double target, double heldout, double text = 2) {
  return {.step = step, .target = same(target), .heldout = same(heldout), .text_loss = text};
}

// Methods "full" and "smf_adam" with two settings each.
inline ParetoPlan two_method_plan(std::vector<std::int64_t> seeds) {
  return {.name = "test",
          .target = "new",
          .heldout = "old",
          .matched_target = 0.9,
          .seeds = std::move(seeds),
          .methods = {{"full", "full", "", {{1e-4}, {1e-3}}},
                      {"smf_adam", "smf", "adam", {{0.05, 256}, {0.05, 512}}}}};
}

// Full finetuning loses 20 % (setting 0) or 40 % at the end, sparse 10 %; seed s loses s points
// more. All reach the target at the last step, but for sparse setting 0, which never does.
inline SweepResults two_method_results(const ParetoPlan& plan) {
  SweepResults results;
  for (std::size_t seed = 0; seed < plan.seeds.size(); ++seed) {
    const double bad = 0.01 * static_cast<double>(seed);
    results.pretrain.push_back(
        {.heldout = same(1), .heldout_memory_off = same(0.6 - bad), .text_loss = 2, .seconds = 10});
    const auto add = [&](std::size_t method, std::size_t setting, double target, double drop) {
      results.finetune.push_back(
          {.method = method,
           .setting = setting,
           .seed = seed,
           .checkpoints = {checkpoint(0, 0, 1), checkpoint(10, target / 2, 1 - drop / 2, 2.1),
                           checkpoint(20, target, 1 - drop - bad, 2.3)},
           .seconds = 1,
           .trainable_per_batch = method == 0 ? 1'000'000 : 16'384});
    };
    add(0, 0, 0.95, 0.2);
    add(0, 1, 1.0, 0.4);
    add(1, 0, 0.8, 0.05);
    add(1, 1, 0.9, 0.1);
  }
  return results;
}

}  // namespace slotwise::testing
