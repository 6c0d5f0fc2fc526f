// Which of the accessed slots a step may change (SMF section 3). All rules rank only slots that the
// batch read; ties go to the lower slot; the result is ascending.
#pragma once

#include <memory>

#include "core/safetensors.h"
#include "memory/access_counter.h"

namespace slotwise {

struct TableBackground {
  Tensor df;                 // [N] i32: in how many background batches a slot was read
  std::int64_t batches = 0;  // |B|
};

class SlotSelector {
 public:
  virtual ~SlotSelector() = default;
  // At most `count` rows of `table`; `step` is the number of the optimizer step, from 0. On a
  // device -1 may stand behind the rows: their number need not be known to the host.
  virtual Tensor select(int table, const AccessCounter& counter, std::int64_t count,
                        std::int64_t step) = 0;
  // Every access of the batch, before select(): for rules that look at single sequences.
  virtual void observe(const Access&) {}
  // Also before select(): the ranks tell one another what they observed.
  virtual void share(Communicator&) {}
  // These selected rows were changed: not called for a step that was left out because its gradient
  // was not finite.
  virtual void written(int /*table*/, const Tensor& /*rows*/) {}
  // What earlier selections left behind, for a checkpoint.
  virtual std::vector<NamedTensor> state() const { return {}; }
  virtual void load_state(const TensorFile&) {}
};

// How a slot's count c in the batch is weighed against its df in the background.
enum class ScoreRule {
  tf_idf,     // c * ln((|B| + 1) / (df + 1))           (SMF)
  idf_power,  // c * ln((|B| + 1) / (df + 1))^power
  df,         // c / (df + 1)
  kl,         // p ln(p / q): the slot's term of KL(batch || background), p = c / sum c,
              // q = (df + 1) / (sum df + N), sums over all slots (after arXiv 2604.05248; q from
              // df, because that is what a background holds)
};

struct RankingOptions {
  ScoreRule rule = ScoreRule::tf_idf;
  double power = 3.0;  // of idf_power
  // Sequences name slots in turn, each its next best by the rule on its own counts, until `count`
  // are named; those named in the last round that do not all fit go by their score over the whole
  // batch. A sequence takes part once for each memory layer that reads the table.
  bool per_sequence = false;
  // Above 0 the background is dynamic: each step adds this to the df of the rows it changed (|B|
  // stays), so that later facts may spare the rows of earlier ones.
  std::int64_t written_weight = 0;
};
std::unique_ptr<SlotSelector> background_selector(const std::vector<TableBackground>& background,
                                                  const RankingOptions& options, Device device);
// The same with the default options.
std::unique_ptr<SlotSelector> tf_idf_selector(const std::vector<TableBackground>& background,
                                              Device device);
std::unique_ptr<SlotSelector> tf_selector();                        // the count alone
std::unique_ptr<SlotSelector> random_selector(std::uint64_t seed);  // uniform among accessed slots
std::unique_ptr<SlotSelector> all_selector();                       // every accessed slot

}  // namespace slotwise
