// Text generation with a key-value cache: prompts of different lengths in one batch, greedy or
// sampled.
#pragma once

#include <cstdint>
#include <vector>

#include "layers/decoder.h"

namespace slotwise {

struct GenerationOptions {
  std::int64_t max_new_tokens = 32;
  double temperature = 0.0;               // 0: greedy, ties to the lower token id
  std::int64_t top_k = 0;                 // sample among the k most likely tokens; 0: all
  double top_p = 1.0;                     // ... among the fewest that hold this probability
  std::int64_t vocabulary = 0;            // only tokens below it, for padded heads; 0: all
  std::int64_t first_row = 0;             // of the prompts: of a list generated in several batches
  std::uint64_t seed = 0;                 // row r, token i draws number r * max_new_tokens + i
  std::vector<std::int32_t> stop_tokens;  // a row ends with one of these (it is not returned)
  std::vector<std::int32_t> last_tokens;  // ... or with one of these (it is returned)
};

// New tokens of each prompt; the batch ends when all its rows have. Prompts must not be empty. No
// gradients.
std::vector<std::vector<std::int32_t>> generate(
    Decoder& decoder, const std::vector<std::vector<std::int32_t>>& prompts,
    const GenerationOptions& options, Device device);

}  // namespace slotwise
