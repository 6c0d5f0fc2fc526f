// Benchmarks of counting and ranking: 4,096 tokens of 128 reads each, of 2^20 slots.
#pragma once

#include "tests/support/op_registry.h"

namespace slotwise::testing {

std::vector<OpCase> count_bench_cases();
std::vector<OpCase> score_bench_cases();
std::vector<OpCase> map_bench_cases();
std::vector<OpCase> clear_bench_cases();
std::vector<OpCase> document_bench_cases();
std::vector<OpCase> number_bench_cases();
std::vector<OpCase> mark_bench_cases();

}  // namespace slotwise::testing
