// Starting several ranks of a program. `--ranks N` runs mpirun with N copies of this program, the
// same options and the settings that N ranks on one host need; under mpirun or srun a program finds
// itself a rank. Where one of them fails, all end, and one sentence says why.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/communicator.h"

namespace CLI {
class App;
}

namespace slotwise {

struct RankArguments {
  int ranks = 0;  // 0: one, or as many as mpirun or srun started
  double timeout_seconds = 300.0;
  std::string sums = "ordered";

  void add_to(CLI::App& app);
  GroupOptions group_options() const;  // UserError for an unknown --sums
};

// As what a launcher started this process: its rank and how many there are.
struct RankPlace {
  int rank = 0, ranks = 1;
};
std::optional<RankPlace> place_by_launcher();

// Calls body(group): in this process, as a rank, or, with --ranks above 1 and no launcher, in N
// ranks that it starts and waits for. Returns the exit code.
using RankBody = std::function<int(const std::shared_ptr<Communicator>&)>;
int run_ranks(const char* name, const RankArguments& arguments, int argc, char** argv,
              const RankBody& body);

// Where each rank runs, as a table; collective.
std::string rank_table(Communicator& group, const std::string& device);

}  // namespace slotwise
