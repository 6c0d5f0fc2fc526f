// The memory layer's path against the machine: bench/memory_path.h on the CPU or a GPU, and on the
// CPU also the kernels in the shapes of bench/notes.md (bench/memory_kernels.cpp).
#include <benchmark/benchmark.h>
#include <fmt/core.h>

#include "bench/arguments.h"
#include "bench/memory_path.h"
#include "core/devices.h"

namespace slotwise::bench {
namespace {

constexpr const char* kHelp =
    R"(memory_bench: the memory layer from the scores to the optimizer, each part beside the copy bandwidth and
the GEMM rate that the same run measures. One line for each part, number of slots, row width, kind of reads
(uniform, Zipf, recorded) and state of the caches (warm, cold); what does not fit into memory is named.
  --device X            cpu (default), cuda, cuda:N or auto
  --log2-slots LIST     even numbers: 2^14 to 2^24 slots are 14,16,18,20,22,24 (a GPU's default; CPU 14,18,22)
  --widths LIST         floats of a row (default 64,256,1024,2048; CPU 64,256,1024)
  --tokens M            tokens of a step (default 16384; CPU 1024)
  --heads H --top-k K   reads of a token: H * K (default 4 and 32)
  --half-key h          half of key_dim (default 256)
  --rows T              rows that a sparse step changes (default 500)
  --trace FILE          recorded reads, too: a file of slotwise-inspect --record-trace. They are taken in their
                        order and over again, H * K for a token; a smaller table takes slot modulo its size,
                        in a larger one each token draws one of the copies of the slots
  --rounds R            rounds of which the median is given (default 11)
  --memory-gib G        leave out what needs more (default: 0.9 of a GPU's memory, half of the machine's)
Threads of the CPU are OMP_NUM_THREADS. The rest are Google Benchmark's options:
  --benchmark_filter=REGEX  --benchmark_list_tests=true  --benchmark_out=FILE --benchmark_out_format=json
Examples:
  memory_bench --device cuda --benchmark_out=memory.json --benchmark_out_format=json
  memory_bench --device cuda --trace trace.safetensors --benchmark_filter='/(recorded|zipf)/cold'
  memory_bench --device cuda --log2-slots 16,18,20,22 --widths 1024 --tokens 4096 --benchmark_filter=sparse_step
  memory_bench --log2-slots 14 --widths 64 --tokens 64 --rounds 3 --benchmark_filter='path|scores|sparse_step'
)";

std::vector<std::int64_t> even_exponents(const std::vector<std::int64_t>& list) {
  for (const std::int64_t exponent : list) {
    if (exponent % 2 != 0 || exponent > 30) {
      throw UsageError(fmt::format(
          "--log2-slots takes even numbers up to 30 (slots are a square), got {}", exponent));
    }
  }
  return list;
}

struct Asked {
  PathShape shape;
  PathPlan plan;
  std::optional<AccessTrace> trace;
};

Asked read_arguments(Arguments& arguments) {
  Asked out;
  PathShape& shape = out.shape;
  PathPlan& plan = out.plan;
  using List = std::vector<std::int64_t>;
  shape.device = find_device(arguments.text("--device", "cpu"));
  const bool gpu = shape.device.is_cuda();
  shape.tokens = arguments.number("--tokens", gpu ? 16384 : 1024);
  shape.heads = arguments.number("--heads", shape.heads);
  shape.top_k = arguments.number("--top-k", shape.top_k);
  shape.half_key = arguments.number("--half-key", shape.half_key);
  shape.chosen = arguments.number("--rows", shape.chosen);
  plan.log2_slots = even_exponents(
      arguments.numbers("--log2-slots", gpu ? List{14, 16, 18, 20, 22, 24} : List{14, 18, 22}));
  plan.widths =
      arguments.numbers("--widths", gpu ? List{64, 256, 1024, 2048} : List{64, 256, 1024});
  plan.rounds = static_cast<int>(std::min<std::int64_t>(arguments.number("--rounds", 11), 1 << 20));
  const auto memory = static_cast<double>(memory_bytes(shape.device)) * (gpu ? 0.9 : 0.5);
  const std::int64_t asked = arguments.number("--memory-gib", 1 << 20);
  plan.memory_bytes = std::min(memory, static_cast<double>(asked) * (1 << 30));
  plan.reads = {Reads::uniform, Reads::zipf};
  if (const std::string file = arguments.text("--trace", ""); !file.empty()) {
    out.trace = load_access_trace(file);
    plan.reads.push_back(Reads::recorded);
  }
  for (const std::int64_t exponent : plan.log2_slots) {
    const std::int64_t n = std::int64_t{1} << exponent / 2;
    if (shape.top_k > n || shape.chosen > n * n) {
      user_error("2^{} slots are too few for --top-k {} and --rows {}", exponent, shape.top_k,
                 shape.chosen);
    }
  }
  if (shape.chosen > shape.accesses()) {
    user_error("--rows {} are more than the {} reads of a step", shape.chosen, shape.accesses());
  }
  return out;
}

void run(Arguments& arguments) {
  Asked asked = read_arguments(arguments);
  arguments.initialize_benchmark();
  if (!asked.shape.device.is_cpu()) benchmark::ClearRegisteredBenchmarks();
  benchmark::AddCustomContext("device", describe(asked.shape.device));
  benchmark::AddCustomContext("tokens", std::to_string(asked.shape.tokens));
  benchmark::AddCustomContext("reads of a token", std::to_string(asked.shape.reads()));
  if (asked.trace) benchmark::AddCustomContext("trace", asked.trace->source);
  const auto data = std::make_shared<PathData>(asked.shape, std::move(asked.trace));
  std::string left_out;
  for (const std::string& name : register_path(data, asked.plan)) {
    fmt::print(stderr, "left out: {}\n", name);
    left_out += (left_out.empty() ? "" : "; ") + name;
  }
  benchmark::AddCustomContext("left out", left_out.empty() ? "nothing" : left_out);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::ClearRegisteredBenchmarks();  // they hold tensors
  benchmark::Shutdown();
}

}  // namespace
}  // namespace slotwise::bench

int main(int argc, char** argv) {
  using namespace slotwise::bench;
  return run_bench("memory_bench", kHelp, argc, argv, run);
}
