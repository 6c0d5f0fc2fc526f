// slotwise-rank-checks --ranks N: starts N ranks of itself, as the programs do, and lets them run
// the checks. tests/train/ranks_test.cpp starts it.
#include "tests/ranks/rank_checks.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "train/program.h"

int main(int argc, char** argv) {
  using namespace slotwise;
  CLI::App app{"Checks what a group of ranks gives."};
  RankArguments ranks;
  ranks.add_to(app);
  const char* name = "slotwise-rank-checks";
  return run_program(name, app, argc, argv, [&] {
    return run_ranks(name, ranks, argc, argv, [&](const auto& group) {
      testing::check_verbs(*group, ranks.group_options().order);
      if (ranks.group_options().order == SumOrder::ranks) {
        testing::check_gradient_exchange(group);
        testing::check_sparse_step(group);
      }
      if (group->is_root()) fmt::print("{} ranks: all checks passed\n", group->size());
      return 0;
    });
  });
}
