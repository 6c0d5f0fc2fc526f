// Digests of a model's weights: what decides its slots, and what its value rows hold.
#pragma once

#include "memory/memory_model.h"

namespace slotwise {

// SHA-256 of what decides which slots are read: every weight from the embedding up to the highest
// memory layer's query, query norm and keys, but not the value table.
std::string lookup_hash(const MemoryModel& model);

// One 64-bit digest per row of a table.
std::vector<std::int64_t> digest_rows(const ValueTable& table);

}  // namespace slotwise
