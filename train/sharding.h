// How a batch is divided among ranks so that the result does not depend on their number: it is cut
// into a fixed number of shards of neighbouring rows, each with a gradient of its own, and these
// are summed in the order of the shards. R ranks work in rounds: in round j rank r takes shard j *
// R + r. One process takes them one after the other and gets the same bits. The number of shards
// belongs to the run (run.json) like its number of threads; the number of ranks must divide it.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/communicator.h"
#include "data/batch.h"

namespace slotwise {

struct Sharding {
  std::int64_t shards = 1;
  std::shared_ptr<Communicator> group = single_process();

  std::int64_t rounds() const { return shards / group->size(); }
  std::int64_t shard_of_round(std::int64_t round) const {
    return round * group->size() + group->rank();
  }
};

// The shards of a batch; they differ by one row at most. UserError where there are more shards than
// rows.
std::vector<TokenBatch> shard_batch(const TokenBatch& batch, std::int64_t shards);
void expect_rows_for_shards(std::int64_t rows, std::int64_t shards);

// Runs `body` on the root, which the others wait for however long it takes, and tells all what it
// returned.
bool root_decides(Communicator& group, const std::function<bool()>& body);
void root_alone(Communicator& group, const std::function<void()>& body);

// What all ranks do after a step: stop where one of them was asked to, save where the root's clock
// says so.
struct NextMove {
  bool stop = false, save = false;
};
NextMove agree(Communicator& group, NextMove wish);

}  // namespace slotwise
