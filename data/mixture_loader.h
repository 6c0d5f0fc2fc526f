// Pretraining batches from a weighted mixture of token shards. Batch i is a pure function of (seed,
// stream name, i): a run's position is its step number, and two loaders that differ in the stream
// name (training, background) draw independently. Every row first draws its part, so the counts of
// a batch are multinomial.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/random.h"
#include "data/batch.h"
#include "data/token_shard.h"

namespace slotwise {

enum class PartKind {
  rows,    // a row of the batch is one whole sequence, drawn uniformly with replacement
  stream,  // a row is a window of window_tokens + 1 tokens that starts anywhere in the stream
};

struct MixturePart {
  std::string name;
  std::shared_ptr<const TokenShard> shard;
  PartKind kind = PartKind::rows;
  double weight = 1.0;
};

struct MixtureOptions {
  std::uint64_t seed = 0;
  std::string stream = "pretraining";
  int window_tokens = 256;  // inputs in a window of a stream part
  int pad_id = 0;
};

class MixtureLoader {
 public:
  static constexpr int kMaxRows = 1 << 24;

  MixtureLoader(std::vector<MixturePart> parts, const MixtureOptions& options);

  TokenBatch batch(std::int64_t index, int rows) const;
  // The rows of batch(index, rows) before padding; row r does not depend on the number of rows.
  std::vector<std::vector<std::int32_t>> sequences(std::int64_t index, int rows) const;

  // Index of the part that a row comes from.
  std::size_t part_of_row(std::int64_t index, int row) const;
  const std::vector<MixturePart>& parts() const { return parts_; }
  // The most inputs a row can have: T of the widest batch.
  std::int64_t longest_input() const;

 private:
  std::uint64_t first_draw(std::int64_t index, int row) const;

  std::vector<MixturePart> parts_;
  MixtureOptions options_;
  Random random_;
  std::vector<double> cumulative_;  // weights summed up, in shares of 1
};

}  // namespace slotwise
