// Starting several ranks of a program. `--ranks N` runs mpirun with N copies of this program, the
// same options and the settings that N ranks on one host need; under mpirun or srun a program finds
// itself a rank. For GPUs the environment may name the ranks as torchrun does: RANK, WORLD_SIZE,
// LOCAL_RANK with MASTER_ADDR and MASTER_PORT, or with SLOTWISE_ID_FILE, a path that all see.
// Where a rank fails, all end, and one sentence says why.
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

// As what a launcher (mpirun, srun) or the environment alone started this process.
struct RankPlace {
  int rank = 0, ranks = 1;
  int local_rank = 0;  // on this host
};
std::optional<RankPlace> place_by_launcher();
std::optional<RankPlace> place_by_environment();  // of several ranks

// Calls body(group): in this process, as a rank, or, with --ranks above 1 and no launcher of
// several, in N ranks that it starts and waits for. Returns the exit code. `expect`, called first
// with the number of ranks, refuses what is known to be wrong before any is started.
using RankBody = std::function<int(const std::shared_ptr<Communicator>&)>;
int run_ranks(const char* name, const RankArguments& arguments, int argc, char** argv,
              const RankBody& body, const std::function<void(int ranks)>& expect = {});

// The device of this rank; collective, and the same kind for all. "cuda": the GPU of its number on
// this host, UserError where a rank has none of its own; "auto": that, or else the CPU. Where ranks
// want different ones (by files that only they see) the root's wish counts.
std::string device_of_rank(const std::string& wanted, Communicator& group);
// The group that carries tensors of the device: `group` itself on the CPU, NCCL beside it on GPUs.
std::shared_ptr<Communicator> group_for(Device device, const std::shared_ptr<Communicator>& group,
                                        const GroupOptions& options);

// How many ranks of the group run on this one's host, with it; collective.
int ranks_on_this_host(Communicator& group);
// Where each rank runs, as a table; collective.
std::string rank_table(Communicator& group, const std::string& device);

}  // namespace slotwise
