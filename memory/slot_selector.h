// Which of the accessed slots a step may change (SMF section 3). All rules rank only slots that the
// batch read; ties go to the lower slot; the result is ascending.
#pragma once

#include <memory>

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
                        std::int64_t step) const = 0;
};

// count * ln((|B| + 1) / (df + 1)).
std::unique_ptr<SlotSelector> tf_idf_selector(const std::vector<TableBackground>& background,
                                              Device device);
std::unique_ptr<SlotSelector> tf_selector();                        // the count alone
std::unique_ptr<SlotSelector> random_selector(std::uint64_t seed);  // uniform among accessed slots
std::unique_ptr<SlotSelector> all_selector();                       // every accessed slot

// ln((batches + 1) / (df + 1)) for df = 0 .. batches, in fp32: made once, so that every device
// ranks alike.
std::vector<float> idf_table(std::int64_t batches);

}  // namespace slotwise
