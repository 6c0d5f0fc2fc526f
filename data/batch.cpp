#include "data/batch.h"

#include <algorithm>

namespace slotwise {

TokenBatch make_batch(const std::vector<std::vector<std::int32_t>>& sequences, int pad_id) {
  std::size_t longest = 0;
  for (const auto& sequence : sequences) longest = std::max(longest, sequence.size());
  SLOTWISE_CHECK(longest >= 2,
                 "[make_batch] expected a sequence of at least 2 tokens, got {} of {}",
                 sequences.size(), longest);
  const auto B = static_cast<std::int64_t>(sequences.size());
  const auto T = static_cast<std::int64_t>(longest) - 1;
  TokenBatch batch{Tensor::empty({B, T}, DType::i32, {}, "batch.tokens"),
                   Tensor::empty({B, T}, DType::i32, {}, "batch.targets")};
  std::fill_n(batch.tokens.data<std::int32_t>(), B * T, static_cast<std::int32_t>(pad_id));
  std::fill_n(batch.targets.data<std::int32_t>(), B * T, -1);
  for (std::int64_t row = 0; row < B; ++row) {
    const auto& sequence = sequences[static_cast<std::size_t>(row)];
    if (sequence.size() < 2) {
      if (!sequence.empty()) batch.tokens.data<std::int32_t>()[row * T] = sequence[0];
      continue;
    }
    std::copy(sequence.begin(), sequence.end() - 1, batch.tokens.data<std::int32_t>() + row * T);
    std::copy(sequence.begin() + 1, sequence.end(), batch.targets.data<std::int32_t>() + row * T);
    batch.valid_tokens += static_cast<std::int64_t>(sequence.size()) - 1;
  }
  return batch;
}

}  // namespace slotwise
