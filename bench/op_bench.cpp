// Google Benchmark over every registered op's bench cases, forward and backward. Each line gives
// the bytes and FLOPs that the op cannot do without, bytes/s and FLOP/s, and their shares of what
// the same run measured of the machine: copy_share (bench/limits.h) and gemm_share (f32, or bf16
// where the operands are). Lines without a kernel of their own come first: limit/copy and
// limit/gemm. On a GPU times are by events, over several runs in a row.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <string>
#include <vector>

#include "bench/arguments.h"
#include "bench/limits.h"
#include "core/device_timer.h"
#include "core/devices.h"
#include "tests/support/names_only.h"
#include "tests/support/op_registry.h"

namespace slotwise {
namespace {

constexpr const char* kHelp =
    R"(op_bench: every op of the catalogue against copy bandwidth and GEMM rate.
  --device X   cpu (default), cuda, cuda:N or auto
Threads of the CPU are OMP_NUM_THREADS. The rest are Google Benchmark's options:
  --benchmark_filter=REGEX   --benchmark_min_time=SECONDS   --benchmark_list_tests=true
  --benchmark_out=FILE --benchmark_out_format=json
Examples:
  op_bench --benchmark_filter='limit|rms_norm'
  op_bench --device cuda --benchmark_min_time=0.2 --benchmark_out=ops.json --benchmark_out_format=json
)";

Device g_device;

struct Work {
  double bytes, flops;
  DType operands = DType::f32;
};

void set_rates(benchmark::State& state, const Work& work, double seconds) {
  state.counters["bytes"] = work.bytes;
  state.counters["FLOPs"] = work.flops;
  if (work.bytes > 0.0) {
    std::vector<double> copies;
    for (int round = 0; round < 3; ++round) copies.push_back(bench::copy_rate(g_device));
    state.counters["bytes/s"] = work.bytes / seconds;
    state.counters["copy_share"] = work.bytes / seconds / bench::median(copies);
  }
  if (work.flops > 0.0) {
    state.counters["FLOP/s"] = work.flops / seconds;
    state.counters["gemm_share"] = work.flops / seconds / bench::gemm_rate(g_device, work.operands);
  }
}

testing::Tensors on_device(const testing::Tensors& tensors) {
  testing::Tensors moved;
  for (const Tensor& tensor : tensors) {
    moved.push_back(tensor.defined() ? tensor.to(g_device) : Tensor());
  }
  return moved;
}

// `run` gives the seconds of one run.
template <class Run>
void measure_seconds(benchmark::State& state, const Work& work, Run&& run) {
  double total = 0.0;
  for (auto _ : state) {
    const double seconds = run();
    state.SetIterationTime(seconds);
    total += seconds;
  }
  set_rates(state, work, total / static_cast<double>(state.iterations()));
}

template <class Body>
void measure(benchmark::State& state, const Work& work, Body&& body) {
  const int runs = g_device.is_cuda() ? 10 : 1;
  DeviceTimer timer(g_device);
  if (g_device.is_cuda()) body();  // the first one allocates and chooses kernels
  measure_seconds(state, work, [&] {
    if (g_device.is_cuda()) body();  // on an idle GPU the timer would see the host's launches
    timer.start();
    for (int run = 0; run < runs; ++run) body();
    return timer.stop() / runs;
  });
}

void copy_limit(benchmark::State& state) {
  const auto bytes = static_cast<double>(bench::copy_bytes(g_device));
  measure_seconds(state, {bytes, 0.0}, [=] { return bytes / bench::copy_rate(g_device); });
}

void gemm_limit(benchmark::State& state, DType operands) {
  const double flops = bench::gemm_flops(g_device);
  measure_seconds(state, {0.0, flops, operands},
                  [=] { return flops / bench::gemm_rate(g_device, operands); });
}

// Cases get their values when their benchmark runs, not all at once: together they would fill the
// memory, and most of them the filter leaves out.
// The last one is kept, because Google Benchmark calls for more and more runs of it.
struct Current {
  const testing::Op* op = nullptr;
  std::size_t index = 0;
  testing::OpCase test;
  testing::Tensors inputs;  // on the device
};
Current g_current;

const Current& bench_case(const testing::Op& op, std::size_t index) {
  if (g_current.op == &op && g_current.index == index) return g_current;
  g_current = {};
  testing::OpCase test = op.bench_cases().at(index);
  testing::Tensors inputs = on_device(test.inputs);
  g_current = {&op, index, std::move(test), std::move(inputs)};
  return g_current;
}

void forward(benchmark::State& state, const testing::Op& op, std::size_t index) {
  const Current& now = bench_case(op, index);
  const Work work{now.test.bytes, now.test.flops, now.test.operands};
  if (now.test.timed) return measure(state, work, [&] { now.test.timed(now.inputs); });
  measure(state, work, [&] { benchmark::DoNotOptimize(now.test.forward(now.inputs)); });
}

void backward(benchmark::State& state, const testing::Op& op, std::size_t index) {
  const Current& now = bench_case(op, index);
  const testing::Tensors outputs = now.test.forward(now.inputs);
  testing::Tensors grads(outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const auto& wanted = now.test.output_has_gradient;
    if ((wanted.empty() || wanted[i]) && outputs[i].dtype() == DType::f32) {
      grads[i] = testing::random_normal(outputs[i].shape(), i).to(g_device);
    }
  }
  measure(state, {now.test.backward_bytes, now.test.backward_flops, now.test.operands},
          [&] { benchmark::DoNotOptimize(now.test.backward(now.inputs, outputs, grads)); });
}

void register_limits() {
  benchmark::RegisterBenchmark("limit/copy", copy_limit)->UseManualTime()->Iterations(5);
  benchmark::RegisterBenchmark("limit/gemm", gemm_limit, DType::f32)
      ->UseManualTime()
      ->Iterations(1);
  if (g_device.is_cuda()) {
    benchmark::RegisterBenchmark("limit/gemm_bf16", gemm_limit, DType::bf16)
        ->UseManualTime()
        ->Iterations(1);
  }
}

void register_ops() {
  const testing::NamesOnly names_only;
  for (const testing::Op& op : testing::registered_ops()) {
    const std::vector<testing::OpCase> cases = op.bench_cases();
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const testing::OpCase& test = cases[i];
      SLOTWISE_CHECK(test.bytes > 0.0 && (!test.backward || test.backward_bytes > 0.0),
                     "[bench] {} {} does not say its bytes", op.name, test.label);
      const std::string name = op.name + "/" + test.label;
      const auto add = [&](const std::string& full, auto run) {
        benchmark::RegisterBenchmark(full.c_str(), [&op, i, run](benchmark::State& state) {
          run(state, op, i);
        })->UseManualTime();
      };
      add(name, forward);
      if (test.backward) add(name + "/backward", backward);
    }
  }
}

void run(bench::Arguments& arguments) {
  g_device = find_device(arguments.text("--device", "cpu"));
  arguments.initialize_benchmark();
  benchmark::AddCustomContext("device", describe(g_device));
  register_limits();
  register_ops();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  g_current = {};
}

}  // namespace
}  // namespace slotwise

int main(int argc, char** argv) {
  return slotwise::bench::run_bench("op_bench", slotwise::kHelp, argc, argv, slotwise::run);
}
