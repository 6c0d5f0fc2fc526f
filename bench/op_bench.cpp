// Google Benchmark over every registered op's bench cases, forward and backward, with bytes/s and
// FLOP/s. What they are to be judged against comes first: limit/copy (read + written bytes) and
// limit/gemm (1024^3 on the CPU, 8192^3 on a GPU; there in bf16, too). Choose with
// --benchmark_filter, threads with OMP_NUM_THREADS, the device with --device cpu|cuda|auto (cpu).
// On a GPU times are by events, over several runs in a row.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "core/device_timer.h"
#include "core/devices.h"
#include "core/parallel.h"
#include "kernels/elementwise.h"
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

Device g_device;

testing::Tensors on_device(const testing::Tensors& tensors) {
  testing::Tensors moved;
  for (const Tensor& tensor : tensors) {
    moved.push_back(tensor.defined() ? tensor.to(g_device) : Tensor());
  }
  return moved;
}

template <class Body>
void measure(benchmark::State& state, double bytes, double flops, Body&& body) {
  const int runs = g_device.is_cuda() ? 10 : 1;
  DeviceTimer timer(g_device);
  if (g_device.is_cuda()) body();  // the first one allocates and chooses kernels
  for (auto _ : state) {
    timer.start();
    for (int run = 0; run < runs; ++run) body();
    state.SetIterationTime(timer.stop() / runs);
  }
  set_rates(state, bytes, flops);
}

void copy_limit(benchmark::State& state) {
  const std::int64_t size = std::int64_t{g_device.is_cuda() ? 4096 : 256} << 20;
  const Tensor from = Tensor::zeros({size}, DType::u8, g_device);
  const Tensor to = Tensor::zeros({size}, DType::u8, g_device);
  measure(state, 2.0 * static_cast<double>(size), 0.0, [&] {
    if (!g_device.is_cpu()) return to.copy_from(from);
    std::uint8_t* target = to.data<std::uint8_t>();
    const std::uint8_t* source = from.data<std::uint8_t>();
    parallel_for(size, 1 << 20, [=](std::int64_t begin, std::int64_t end, int) {
      std::memcpy(target + begin, source + begin, static_cast<std::size_t>(end - begin));
    });
    benchmark::ClobberMemory();
  });
}

void gemm_limit(benchmark::State& state, DType operands) {
  const std::int64_t size = g_device.is_cuda() ? 8192 : 1024;
  const auto operand = [&](std::uint64_t seed) {
    const Tensor x = testing::random_normal({size, size}, seed).to(g_device);
    const Tensor out = Tensor::empty(x.shape(), operands, g_device);
    kernels::cast({.y = out, .x = x});
    return out;
  };
  const Tensor a = operand(1), b = operand(2);
  const Tensor c = Tensor::empty({size, size}, DType::f32, g_device);
  measure(state, 0.0, 2.0 * static_cast<double>(size * size * size),
          [&] { kernels::gemm({.c = c, .a = a, .b = b}); });
}

// Cases are made when their benchmark runs, not all at once: together they would fill the memory.
testing::OpCase bench_case(const testing::Op& op, std::size_t index) {
  return op.bench_cases().at(index);
}

void forward(benchmark::State& state, const testing::Op& op, std::size_t index) {
  const testing::OpCase test = bench_case(op, index);
  const testing::Tensors inputs = on_device(test.inputs);
  measure(state, test.bytes, test.flops, [&] { benchmark::DoNotOptimize(test.forward(inputs)); });
}

void backward(benchmark::State& state, const testing::Op& op, std::size_t index) {
  const testing::OpCase test = bench_case(op, index);
  const testing::Tensors inputs = on_device(test.inputs);
  const testing::Tensors outputs = test.forward(inputs);
  testing::Tensors grads(outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const bool wanted = test.output_has_gradient.empty() || test.output_has_gradient[i];
    if (wanted && outputs[i].dtype() == DType::f32) {
      grads[i] = testing::random_normal(outputs[i].shape(), i).to(g_device);
    }
  }
  measure(state, 0.0, 0.0,
          [&] { benchmark::DoNotOptimize(test.backward(inputs, outputs, grads)); });
}

void register_all() {
  benchmark::RegisterBenchmark("limit/copy", copy_limit)->UseManualTime();
  benchmark::RegisterBenchmark("limit/gemm", gemm_limit, DType::f32)->UseManualTime();
  if (g_device.is_cuda()) {
    benchmark::RegisterBenchmark("limit/gemm_bf16", gemm_limit, DType::bf16)->UseManualTime();
  }
  for (const testing::Op& op : testing::registered_ops()) {
    if (!op.bench_cases) continue;
    const std::vector<testing::OpCase> cases = op.bench_cases();
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const std::string name = op.name + "/" + cases[i].label;
      const auto add = [&](const std::string& full, auto run) {
        benchmark::RegisterBenchmark(full.c_str(), [&op, i, run](benchmark::State& state) {
          run(state, op, i);
        })->UseManualTime();
      };
      add(name, forward);
      if (cases[i].backward) add(name + "/backward", backward);
    }
  }
}

}  // namespace
}  // namespace slotwise

namespace {

// Takes --device X or --device=X out of the arguments.
std::string take_device(int& argc, char** argv) {
  std::string device = "cpu";
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--device" && i + 1 < argc) {
      device = argv[++i];
    } else if (word.starts_with("--device=")) {
      device = word.substr(word.find('=') + 1);
    } else {
      argv[kept++] = argv[i];
    }
  }
  argc = kept;
  return device;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    slotwise::g_device = slotwise::find_device(take_device(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "op_bench: %s\n", error.what());
    return 1;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::AddCustomContext("device", slotwise::describe(slotwise::g_device));
  slotwise::register_all();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
