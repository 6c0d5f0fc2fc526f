// Google Benchmark over every registered op's bench cases, forward and backward, with bytes/s and
// FLOP/s. What they are to be judged against comes first: limit/copy (threaded copy: read + written
// bytes) and limit/gemm (1024^3). Choose with --benchmark_filter, threads with OMP_NUM_THREADS.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>
#include <vector>

#include "core/parallel.h"
#include "kernels/gemm.h"
#include "tests/support/op_registry.h"

namespace slotwise {
namespace {

void set_rates(benchmark::State& state, double bytes, double flops) {
  using benchmark::Counter;
  const auto rate = [](double value) { return Counter(value, Counter::kIsIterationInvariantRate); };
  if (bytes > 0.0) state.counters["bytes/s"] = rate(bytes);
  if (flops > 0.0) state.counters["FLOP/s"] = rate(flops);
}

void copy_limit(benchmark::State& state) {
  constexpr std::int64_t kBytes = std::int64_t{256} << 20;
  const Tensor from = Tensor::zeros({kBytes}, DType::u8);
  const Tensor to = Tensor::zeros({kBytes}, DType::u8);
  std::uint8_t* target = to.data<std::uint8_t>();
  const std::uint8_t* source = from.data<std::uint8_t>();
  for (auto _ : state) {
    parallel_for(kBytes, 1 << 20, [=](std::int64_t begin, std::int64_t end, int) {
      std::memcpy(target + begin, source + begin, static_cast<std::size_t>(end - begin));
    });
    benchmark::ClobberMemory();
  }
  set_rates(state, 2.0 * static_cast<double>(kBytes), 0.0);
}

void gemm_limit(benchmark::State& state) {
  constexpr std::int64_t kSize = 1024;
  const Tensor a = testing::random_normal({kSize, kSize}, 1);
  const Tensor b = testing::random_normal({kSize, kSize}, 2);
  const Tensor c = Tensor::empty_like(a);
  for (auto _ : state) kernels::gemm({.c = c, .a = a, .b = b});
  set_rates(state, 0.0, 2.0 * static_cast<double>(kSize * kSize * kSize));
}

// Cases are made when their benchmark runs, not all at once: together they would fill the memory.
testing::OpCase bench_case(const testing::Op& op, std::size_t index) {
  return op.bench_cases().at(index);
}

void forward(benchmark::State& state, const testing::Op& op, std::size_t index) {
  const testing::OpCase test = bench_case(op, index);
  for (auto _ : state) benchmark::DoNotOptimize(test.forward(test.inputs));
  set_rates(state, test.bytes, test.flops);
}

void backward(benchmark::State& state, const testing::Op& op, std::size_t index) {
  const testing::OpCase test = bench_case(op, index);
  const testing::Tensors outputs = test.forward(test.inputs);
  testing::Tensors grads(outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const bool wanted = test.output_has_gradient.empty() || test.output_has_gradient[i];
    if (wanted && outputs[i].dtype() == DType::f32) {
      grads[i] = testing::random_normal(outputs[i].shape(), i);
    }
  }
  for (auto _ : state) benchmark::DoNotOptimize(test.backward(test.inputs, outputs, grads));
}

void register_all() {
  benchmark::RegisterBenchmark("limit/copy", copy_limit)->UseRealTime();
  benchmark::RegisterBenchmark("limit/gemm", gemm_limit)->UseRealTime();
  for (const testing::Op& op : testing::registered_ops()) {
    if (!op.bench_cases) continue;
    const std::vector<testing::OpCase> cases = op.bench_cases();
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const std::string name = op.name + "/" + cases[i].label;
      const auto add = [&](const std::string& full, auto run) {
        benchmark::RegisterBenchmark(full.c_str(), [&op, i, run](benchmark::State& state) {
          run(state, op, i);
        })->UseRealTime();
      };
      add(name, forward);
      if (cases[i].backward) add(name + "/backward", backward);
    }
  }
}

}  // namespace
}  // namespace slotwise

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  slotwise::register_all();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
