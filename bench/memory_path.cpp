// Every round measures the machine's copy first, and the share is the median over the rounds: a
// shared machine's bandwidth moves by a third from one second to the next.
#include "bench/memory_path.h"

#include <benchmark/benchmark.h>

#include <cmath>

#include "bench/limits.h"
#include "bench/memory_parts.h"
#include "core/device_timer.h"

namespace slotwise::bench {
namespace {

void measure(benchmark::State& state, const PathShape& shape, bool cold,
             const std::function<Prepared()>& prepare) {
  const auto [bytes, flops, body] = prepare();
  body();  // allocates, and chooses kernels
  DeviceTimer timer(shape.device);
  std::vector<double> seconds, copy_shares;
  for (auto _ : state) {
    const double copy = copy_rate(shape.device);
    if (cold) {
      sweep_caches(shape.device);
    } else {
      body();
    }
    timer.start();
    body();
    seconds.push_back(timer.stop());
    state.SetIterationTime(seconds.back());
    copy_shares.push_back(bytes / seconds.back() / copy);
  }
  const double typical = median(seconds);
  state.counters["median_us"] = typical * 1e6;
  state.counters["tokens/s"] = static_cast<double>(shape.tokens) / typical;
  state.counters["bytes"] = bytes;
  state.counters["GB/s"] = bytes / typical * 1e-9;
  state.counters["copy_share"] = median(copy_shares);
  state.counters["FLOPs"] = flops;
  state.counters["GFLOP/s"] = flops / typical * 1e-9;
  state.counters["gemm_share"] = flops / typical / gemm_rate(shape.device, DType::f32);
}

// Registers what fits and keeps the names of the rest.
class Register {
 public:
  Register(const std::shared_ptr<PathData>& data, const PathPlan& plan)
      : data_(data), plan_(plan) {}

  void scores(std::int64_t N) {
    const PathShape& s = data_->shape();
    const auto queries = static_cast<double>(s.tokens * s.heads);
    const double n = std::sqrt(static_cast<double>(N));
    const double keys = 8.0 * static_cast<double>(s.heads * s.half_key) * n;
    const double vectors = 8.0 * queries * static_cast<double>(s.half_key + s.top_k);
    for (const ScorePart& part : score_parts()) {
      const double halves = 4.0 * queries * n * (part.half_scores ? 2.0 : 1.0);
      add(fmt::format("scores/{}/slots:{}", part.name, N), 2.0 * (keys + vectors) + halves, false,
          [data = data_, part, N] { return part.prepare(data->shape(), N); });
    }
  }

  void rows(TableSize size, bool first_width) {
    for (const Reads reads : plan_.reads) {
      for (const bool cold : {false, true}) {
        for (const RowPart& part : row_parts()) {
          if (!part.by_width && !first_width) continue;
          const std::string name =
              fmt::format("path/{}/{}/{}/slots:{}{}", part.name, name_of(reads),
                          cold ? "cold" : "warm", size.N, width(size, part.by_width));
          add(name, needed(size, part.tables), cold, [data = data_, part, reads, size] {
            return part.prepare(*data, data->accesses(reads, size.N), size);
          });
        }
      }
    }
  }

  void sparse_step(TableSize size, bool first_width) {
    for (const SparsePart& part : sparse_parts()) {
      if (!part.by_width && !first_width) continue;
      add(fmt::format("sparse_step/{}/slots:{}{}", part.name, size.N, width(size, part.by_width)),
          needed(size, 1), false, [data = data_, part, size] { return part.prepare(*data, size); });
    }
  }

  std::vector<std::string> left_out;

 private:
  static std::string width(TableSize size, bool matters) {
    return matters ? fmt::format("/d_v:{}", size.D) : "";
  }

  // With the accesses, what belongs to the tokens, the sort, and some lists of N.
  double needed(TableSize size, int tables) const {
    const PathShape& s = data_->shape();
    const auto slots = static_cast<double>(size.N), columns = static_cast<double>(size.D);
    return 4.0 * tables * slots * columns + 24.0 * slots +
           40.0 * static_cast<double>(s.accesses()) +
           12.0 * static_cast<double>(s.tokens) * columns;
  }

  void add(const std::string& name, double needed, bool cold, std::function<Prepared()> prepare) {
    const double all = needed + static_cast<double>(copy_bytes(data_->shape().device));
    if (all > plan_.memory_bytes) {
      left_out.push_back(fmt::format("{} (needs {:.1f} GiB, {:.1f} may be used)", name,
                                     all / (1 << 30), plan_.memory_bytes / (1 << 30)));
      return;
    }
    const auto run = [data = data_, cold, prepare](benchmark::State& state) {
      measure(state, data->shape(), cold, prepare);
    };
    benchmark::RegisterBenchmark(name.c_str(), run)
        ->Iterations(plan_.rounds)
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
  }

  std::shared_ptr<PathData> data_;
  const PathPlan& plan_;
};

}  // namespace

std::vector<std::string> register_path(const std::shared_ptr<PathData>& data,
                                       const PathPlan& plan) {
  Register all(data, plan);
  for (const std::int64_t log2_slots : plan.log2_slots) {
    const std::int64_t N = std::int64_t{1} << log2_slots;
    all.scores(N);
    for (std::size_t i = 0; i < plan.widths.size(); ++i) {
      all.rows({N, plan.widths[i]}, i == 0);
      all.sparse_step({N, plan.widths[i]}, i == 0);
    }
  }
  return all.left_out;
}

}  // namespace slotwise::bench
