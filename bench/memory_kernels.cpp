// The memory layer's kernels on the CPU in the shapes of bench/notes.md: bags beside a threaded
// copy of the same bytes, the sorted backward beside an atomic scatter-add, selection beside the
// score GEMM, lookup over N. Each share is bytes/s of the kernel over bytes/s of a limit measured
// in the same run on the same threads (bench/limits.h): copy_share, memcpy_share, and read_share,
// the nearer limit of a kernel that hardly writes.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "bench/access_slots.h"
#include "bench/limits.h"
#include "core/device_timer.h"
#include "core/parallel.h"
#include "core/random.h"
#include "kernels/cpu/sgemm.h"
#include "kernels/product_key.h"
#include "kernels/row_optimizer.h"
#include "kernels/weighted_bag.h"

namespace slotwise {
namespace {

using bench::copy_rate, bench::median, bench::memcpy_rate, bench::read_rate;
using bench::uniform_slots, bench::zipf_slots;

constexpr std::int64_t kTableBytes = std::int64_t{256} << 20;

Tensor normal(const Shape& shape, std::uint64_t seed, float std = 1.0f) {
  const Tensor out = Tensor::empty(shape);
  fill_normal(out, std, Random(seed, "bench"));
  return out;
}

Tensor noise(const Shape& shape) {
  return bench::noise(shape, {});
}

// Runs the loop and reports bytes/s and its shares of the limits. A shared machine's bandwidth
// moves by a third from one second to the next, so kernel and limits are timed in turn and each
// share is the median of 31 such rounds.
template <class Body>
void measure_bytes(benchmark::State& state, double bytes, Body&& body) {
  body();
  for (auto _ : state) body();
  std::vector<double> rates, of_copy, of_memcpy, of_read;
  for (int round = 0; round < 31; ++round) {
    const double copy = copy_rate({}), memory_copy = memcpy_rate(), read = read_rate();
    DeviceTimer timer({});
    timer.start();
    body();
    const double rate = bytes / timer.stop();
    rates.push_back(rate);
    of_copy.push_back(rate / copy);
    of_memcpy.push_back(rate / memory_copy);
    of_read.push_back(rate / read);
  }
  state.counters["GB/s"] = median(rates) * 1e-9;
  state.counters["copy_share"] = median(of_copy);
  state.counters["memcpy_share"] = median(of_memcpy);
  state.counters["read_share"] = median(of_read);
}

void copy_and_read(benchmark::State& state) {
  for (auto _ : state) {
  }
  state.counters["copy_GB/s"] = copy_rate({}) * 1e-9;
  state.counters["memcpy_GB/s"] = memcpy_rate() * 1e-9;
  state.counters["read_GB/s"] = read_rate() * 1e-9;
}
BENCHMARK(copy_and_read)->Iterations(1);

struct BagData {
  std::int64_t M, J, N, D;
  Tensor values, slots, weights, dy, y;

  BagData(std::int64_t tokens, std::int64_t reads, std::int64_t width, bool zipf,
          std::int64_t table_bytes = kTableBytes)
      : M(tokens),
        J(reads),
        N(table_bytes / 4 / width),
        D(width),
        values(noise({N, D})),
        slots(zipf ? zipf_slots({M, J}, N) : uniform_slots({M, J}, N)),
        weights(normal({M, J}, 2)),
        dy(normal({M, D}, 3)),
        y(Tensor::zeros({M, D})) {}
  double row_bytes() const { return static_cast<double>(M * J * D) * 4.0; }
  double token_bytes() const { return static_cast<double>(M * D) * 4.0; }
  std::int64_t touched_rows() const {
    std::vector<bool> seen(static_cast<std::size_t>(N), false);
    for (const std::int32_t slot : slots.span<std::int32_t>()) {
      seen[static_cast<std::size_t>(slot)] = true;
    }
    return std::count(seen.begin(), seen.end(), true);
  }
};

// Args: D, J, zipf, MiB of the table.
void bag_forward(benchmark::State& state) {
  const std::int64_t J = state.range(1);
  const BagData data((std::int64_t{64} << 20) / (state.range(0) * J), J, state.range(0),
                     state.range(2) != 0, state.range(3) << 20);
  measure_bytes(state, data.row_bytes() + data.token_bytes(), [&] {
    kernels::weighted_bag_forward({data.y, data.values, data.slots, data.weights});
  });
}
BENCHMARK(bag_forward)
    ->ArgNames({"D", "J", "zipf", "table_MiB"})
    ->Args({256, 32, 0, 128})
    ->Args({256, 32, 0, 256})
    ->Args({256, 32, 0, 1024})
    ->Args({1024, 128, 0, 256})
    ->Args({1024, 128, 1, 256})
    ->Args({64, 16, 0, 256})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// The table of the small pilot model: in the cache.
void bag_forward_warm(benchmark::State& state) {
  const BagData data(4096, 16, 64, false, std::int64_t{16} << 20);
  measure_bytes(state, data.row_bytes() + data.token_bytes(), [&] {
    kernels::weighted_bag_forward({data.y, data.values, data.slots, data.weights});
  });
}
BENCHMARK(bag_forward_warm)->UseRealTime()->Unit(benchmark::kMillisecond);

void bag_backward_weights(benchmark::State& state) {
  const BagData data(1024, 64, state.range(0), false);
  const Tensor dweights = Tensor::empty({data.M, data.J});
  measure_bytes(state, data.row_bytes() + data.token_bytes(), [&] {
    kernels::weighted_bag_backward_weights({{dweights}, data.dy, data.values, data.slots});
  });
}
BENCHMARK(bag_backward_weights)
    ->ArgName("D")
    ->Arg(256)
    ->Arg(1024)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// Accumulating into the table's gradient; minimum bytes: dy once, touched rows read and written.
template <class Backward>
void measure_backward(benchmark::State& state, Backward&& backward) {
  const BagData data(2048, 32, state.range(0), state.range(1) != 0);
  const Tensor dvalues = Tensor::zeros({data.N, data.D});
  const double touched_bytes = static_cast<double>(data.touched_rows() * data.D) * 4.0;
  measure_bytes(state, data.token_bytes() + 2.0 * touched_bytes, [&] { backward(data, dvalues); });
}

void bag_backward_values_sorted(benchmark::State& state) {
  measure_backward(state, [](const BagData& data, const Tensor& dvalues) {
    kernels::weighted_bag_backward_values({{dvalues, true}, data.dy, data.slots, data.weights});
  });
}
BENCHMARK(bag_backward_values_sorted)
    ->ArgNames({"D", "zipf"})
    ->ArgsProduct({{64, 256, 1024}, {0, 1}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// The rung below: every access adds atomically, in an order that changes from run to run.
void bag_backward_values_atomic(benchmark::State& state) {
  measure_backward(state, [](const BagData& data, const Tensor& dvalues) {
    parallel_for(data.M * data.J, 256, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t access = begin; access < end; ++access) {
        const float weight = data.weights.data<float>()[access];
        const float* dy = data.dy.data<float>() + access / data.J * data.D;
        float* row = dvalues.data<float>() + data.slots.data<std::int32_t>()[access] * data.D;
        for (std::int64_t d = 0; d < data.D; ++d) {
#pragma omp atomic
          row[d] += weight * dy[d];
        }
      }
    });
  });
}
BENCHMARK(bag_backward_values_atomic)
    ->ArgNames({"D", "zipf"})
    ->ArgsProduct({{64, 256, 1024}, {0, 1}})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

// 500 chosen rows of a table whose size must not matter.
void selected_rows(benchmark::State& state) {
  const std::int64_t N = std::int64_t{1} << state.range(0), t = 500, D = 64;
  const Tensor slots = uniform_slots({4096, 16}, std::int64_t{1} << 14);
  const Tensor map = Tensor::from(std::vector<std::int32_t>(static_cast<std::size_t>(N), -1), {N});
  for (std::int32_t row = 0; row < t; ++row) map.data<std::int32_t>()[row * 31] = row;
  const Tensor weights = normal({4096, 16}, 1), dy = normal({4096, D}, 2);
  const Tensor gradient = Tensor::zeros({t, D});
  for (auto _ : state) kernels::selected_row_gradient({{gradient}, dy, slots, weights, map});
}
BENCHMARK(selected_rows)
    ->ArgName("log2_N")
    ->DenseRange(16, 22, 3)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

// Beside score_gemm below: the same 1024 queries.
void select(benchmark::State& state) {
  const std::int64_t n = state.range(0), k = state.range(1), rows = 1024;
  const Tensor half_scores = normal({rows, 2, n}, 1);
  const Tensor slots = Tensor::empty({rows, k}, DType::i32), scores = Tensor::empty({rows, k});
  for (auto _ : state) kernels::product_key_select({slots, scores, half_scores});
  state.SetItemsProcessed(state.iterations() * rows);
}
BENCHMARK(select)
    ->ArgNames({"n", "k"})
    ->Args({128, 4})
    ->Args({256, 4})
    ->Args({256, 8})
    ->Args({1024, 32})
    ->Args({2048, 32})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

void score_gemm(benchmark::State& state) {
  const std::int64_t n = state.range(0), h = state.range(1), rows = 1024;
  const Tensor query = normal({rows, 2, h}, 1), keys = normal({2, n, h}, 2);
  const Tensor half_scores = Tensor::empty({rows, 2, n});
  for (auto _ : state) {
    for (std::int64_t half = 0; half < 2; ++half) {
      kernels::cpu::sgemm({.transpose_b = true,
                           .m = rows,
                           .n = n,
                           .k = h,
                           .a = query.data<float>() + half * h,
                           .lda = 2 * h,
                           .b = keys.data<float>() + half * n * h,
                           .ldb = h,
                           .c = half_scores.data<float>() + half * n,
                           .ldc = 2 * n});
    }
  }
  state.SetItemsProcessed(state.iterations() * rows);
}
BENCHMARK(score_gemm)
    ->ArgNames({"n", "h"})
    ->Args({256, 32})
    ->Args({1024, 64})
    ->Args({1024, 256})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

// The whole lookup and its backward; time ~ N^e: the exponent comes out of the 2^14 and 2^22 lines.
struct LookupData {
  Tensor query, keys, slots, weights;

  LookupData(std::int64_t n, std::int64_t h, std::int64_t k)
      : query(normal({2048, 1, 2, h}, 1)),
        keys(normal({1, 2, n, h}, 2, 1.0f / std::sqrt(static_cast<float>(h)))),
        slots(Tensor::empty({2048, 1, k}, DType::i32)),
        weights(Tensor::empty({2048, 1, k})) {}
};

void lookup(benchmark::State& state) {
  const LookupData data(std::int64_t{1} << state.range(0) / 2, state.range(1), 32);
  for (auto _ : state) {
    kernels::product_key_lookup({data.slots, data.weights, data.query, data.keys});
  }
  state.SetItemsProcessed(state.iterations() * 2048);
}
BENCHMARK(lookup)
    ->ArgNames({"log2_N", "h"})
    ->ArgsProduct({{14, 16, 18, 20, 22}, {64, 256}})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

void lookup_backward(benchmark::State& state) {
  const LookupData data(std::int64_t{1} << state.range(0) / 2, state.range(1), 32);
  kernels::product_key_lookup({data.slots, data.weights, data.query, data.keys});
  const Tensor dweights = normal(data.weights.shape(), 3);
  const Tensor dquery = Tensor::empty(data.query.shape()), dkeys = Tensor::empty(data.keys.shape());
  for (auto _ : state) {
    kernels::product_key_lookup_backward(
        {{dquery}, {dkeys}, dweights, data.slots, data.weights, data.query, data.keys});
  }
  state.SetItemsProcessed(state.iterations() * 2048);
}
BENCHMARK(lookup_backward)
    ->ArgNames({"log2_N", "h"})
    ->ArgsProduct({{16, 20}, {64, 256}})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

// Bytes: value, both moments read and written, gradient read.
void row_adam(benchmark::State& state) {
  const std::int64_t t = state.range(0), D = state.range(1), N = 100000;
  const Tensor values = noise({N, D}), first = noise({t, D});
  const Tensor second = Tensor::zeros({t, D}), gradient = noise({t, D});
  const Tensor steps = Tensor::zeros({t}, DType::i32);
  const Tensor rows = Tensor::empty({t}, DType::i32), state_row = Tensor::empty({t}, DType::i32);
  for (std::int32_t i = 0; i < t; ++i) {
    rows.data<std::int32_t>()[i] = static_cast<std::int32_t>(std::int64_t{i} * 7919 % N);
    state_row.data<std::int32_t>()[i] = i;
  }
  measure_bytes(state, static_cast<double>(t * D) * 4.0 * 7.0, [&] {
    kernels::row_adam({values, first, second, steps, rows, state_row, gradient, 1e-3f});
  });
}
BENCHMARK(row_adam)
    ->ArgNames({"t", "D"})
    ->Args({500, 64})
    ->Args({500, 1024})
    ->Args({20000, 256})
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace slotwise
