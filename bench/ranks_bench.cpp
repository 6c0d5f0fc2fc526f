// ranks_bench: what several ranks on one machine give. Times the same steps in three ways: one rank
// alone on its share of the batch, N ranks at once that send nothing, and N ranks that train
// together. Efficiency is against N x one rank; what the second differs from the first is the
// machine's (shared memory bandwidth, cores), what the third differs from the second is
// communication that backward did not hide. Medians over the steps, on the root. Ctrl-C and SIGTERM
// stop it between two steps.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <chrono>

#include "bench/step_shapes.h"
#include "train/finetune_method.h"
#include "train/interrupt.h"
#include "train/model_batch.h"
#include "train/model_config.h"
#include "train/program.h"

namespace {

using namespace slotwise;
using Group = std::shared_ptr<Communicator>;

struct Bench {
  std::string shape = "d512", mode = "dense";
  int steps = 5, warmup = 2;
  std::int64_t rows = 256;
};

std::unique_ptr<FinetuneMethod> make_method(const Bench& bench, MemoryModel& model,
                                            const Sharding& sharding) {
  if (bench.mode == "dense") {
    return full_finetuning(model, {.optimizer = {}, .micro_batch = 0, .sharding = sharding});
  }
  if (bench.mode != "smf") user_error("--mode must be dense or smf, got '{}'", bench.mode);
  return sparse_memory_finetuning(model, {.selector = tf_selector(),
                                          .make_row_optimizer = make_row_sgd,
                                          .rows = bench.rows,
                                          .sharding = sharding});
}

// Median seconds of a step. `at_once`: those who begin every step together.
double seconds_of_step(const Bench& bench, FinetuneMethod& method,
                       const std::vector<TokenBatch>& batches, const Group& at_once) {
  std::vector<double> seconds;
  for (int step = 0; step < bench.warmup + bench.steps; ++step) {
    if (agree(*at_once, {.stop = interrupted()}).stop) throw Interrupted();
    const auto start = std::chrono::steady_clock::now();
    method.step(batches[static_cast<std::size_t>(step) % batches.size()], step, 1e-4);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (step >= bench.warmup) seconds.push_back(took.count());
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds[seconds.size() / 2];
}

// On a rank's share of the batches: of the root alone, which the others wait for, and of all at
// once.
struct Apart {
  double alone = 0, at_once = 0;
};
Apart time_apart(const Bench& bench, MemoryModel& model, const std::vector<TokenBatch>& batches,
                 const Group& group) {
  const auto method = make_method(bench, model, {1, single_process()});
  std::vector<TokenBatch> shares;
  for (const TokenBatch& batch : batches) {
    shares.push_back(shard_batch(batch, group->size())[static_cast<std::size_t>(group->rank())]);
  }
  Apart out;
  const bool finished = root_decides(*group, [&] {
    try {
      out.alone = seconds_of_step(bench, *method, shares, single_process());
      return true;
    } catch (const Interrupted&) {
      return false;
    }
  });
  if (!finished) throw Interrupted();
  out.at_once = seconds_of_step(bench, *method, shares, group);
  return out;
}

void run(const Bench& bench, const Group& group) {
  const auto shape = bench::step_shape(bench.shape, "");
  const auto inputs = bench::make_step_inputs(shape, "");
  const auto& batches = bench.mode == "dense" ? inputs.pretrain : inputs.finetune;
  MemoryModel model(model_config_from(shape.options, shape.vocabulary), 0, {});
  const auto [alone, silent] = time_apart(bench, model, batches, group);
  const auto method = make_method(bench, model, {group->size(), group});
  const auto sent = [&] {
    return group->sent(Verb::all_reduce).bytes + group->sent(Verb::all_gather).bytes;
  };
  const std::int64_t before = sent();
  const double together = seconds_of_step(bench, *method, batches, group);
  const std::int64_t bytes = (sent() - before) / (bench.warmup + bench.steps);
  if (!group->is_root()) return;
  fmt::print("{} {}, {} ranks of one thread\n", bench.shape, bench.mode, group->size());
  fmt::print("one rank alone on its share       {:9.4f} s a step\n", alone);
  fmt::print("{} ranks at once, nothing sent     {:9.4f} s\n", group->size(), silent);
  fmt::print("{} ranks together                  {:9.4f} s, each sends {:.2f} MiB a step\n",
             group->size(), together, static_cast<double>(bytes) / (1024.0 * 1024.0));
  fmt::print("exposed communication             {:9.4f} s, {:.1f} % of the step\n",
             together - silent, 100 * (together - silent) / together);
  fmt::print("efficiency                        {:9.1f} % of {} x one rank alone\n",
             100 * alone / together, group->size());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Times steps on several ranks of this machine against one rank."};
  Bench bench;
  RankArguments ranks;
  ranks.add_to(app);
  app.add_option("--shape", bench.shape, "d512, gpt2 or paper")
      ->capture_default_str()
      ->check(CLI::IsMember({"d512", "gpt2", "paper", "tiny"}));
  app.add_option("--mode", bench.mode, "dense (all parameters) or smf")
      ->capture_default_str()
      ->check(CLI::IsMember({"dense", "smf"}));
  app.add_option("--steps", bench.steps, "steps timed")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20).description(""));
  app.add_option("--rows", bench.rows, "rows that smf may change")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 24).description(""));
  add_examples(app, "  ranks_bench --ranks 2 --shape d512 --mode dense");
  const char* name = "ranks_bench";
  return run_program(name, app, argc, argv, [&] {
    return run_ranks(name, ranks, argc, argv, [&](const auto& group) {
      try {
        run(bench, group);
        return 0;
      } catch (const Interrupted&) {  // all ranks at the same step
        if (group->is_root()) fmt::print(stderr, "{}: interrupted, nothing was measured\n", name);
        return 130;
      }
    });
  });
}
