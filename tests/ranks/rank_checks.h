// What a group of ranks must give, checked inside the ranks: a check throws Error on a rank that
// got something else, which ends the job with its sentence.
#pragma once

#include "core/communicator.h"

namespace slotwise::testing {

void check_verbs(Communicator& group, SumOrder order);
void check_gradient_exchange(const std::shared_ptr<Communicator>& group);
void check_sparse_step(const std::shared_ptr<Communicator>& group);

// Bytes that a rank sends for an ordered sum of so many elements.
std::int64_t ordered_sum_bytes(const Communicator& group, std::int64_t elements,
                               std::int64_t element_bytes = 4);

}  // namespace slotwise::testing
