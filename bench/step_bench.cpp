// step_bench: times whole steps (pretraining, full, LoRA, sparse memory finetuning) of a fixed
// shape. `make` writes weights and batches that a peer can read, `run` prints one line of JSON: the
// losses and seconds of each step, tokens and FLOPs of one, and the GEMM rate measured in the same
// run. bench/compare_pytorch.py drives it.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <chrono>
#include <nlohmann/json.hpp>

#include "bench/limits.h"
#include "bench/step_shapes.h"
#include "bench/step_work.h"
#include "core/devices.h"
#include "core/files.h"
#include "core/memory_pool.h"
#include "core/parallel.h"
#include "kernels/attention_body.h"
#include "layers/functional/precision.h"
#include "train/checkpoint.h"
#include "train/finetune_method.h"
#include "train/interrupt.h"
#include "train/model_batch.h"
#include "train/model_config.h"
#include "train/program.h"

namespace {

using namespace slotwise;
using bench::StepInputs;
using nlohmann::json;

struct Run {
  std::string folder, shape, mode;
  int warmup = 2, steps = 8;
  std::int64_t rank = 32, rows = 256;
  std::string device = "cpu", precision = "fp32", attention = "auto";
  bool memory_report = false, cache = false;
};

OptimizerSettings optimizer_settings(const std::string& mode) {
  OptimizerSettings out;
  out.adamw = {.beta1 = 0.9, .beta2 = mode == "pretrain" ? 0.98 : 0.999};
  out.weight_decay = 0.01;
  out.value_rate_scale = mode == "pretrain" ? 5.0 : 1.0;
  return out;
}

double learning_rate(const std::string& mode) {
  if (mode == "smf_sgd") return 1.0;
  return mode == "smf_adam" ? 0.01 : 1e-4;
}

// Pretraining seen as a method: full finetuning with its own optimizer settings.
std::unique_ptr<FinetuneMethod> make_method(const Run& run, MemoryModel& model,
                                            const StepInputs& inputs) {
  const DenseMethodSettings dense{optimizer_settings(run.mode), 0};
  if (run.mode == "pretrain" || run.mode == "full") return full_finetuning(model, dense);
  if (run.mode == "lora") {
    return lora(model, {dense, run.rank, 2.0 * static_cast<double>(run.rank), false, 0});
  }
  if (run.mode != "smf_sgd" && run.mode != "smf_adam") {
    user_error("--mode must be pretrain, full, lora, smf_sgd or smf_adam, got '{}'", run.mode);
  }
  const auto adam = []() { return make_row_adam({}); };
  return sparse_memory_finetuning(
      model, {.selector = tf_idf_selector({{inputs.df, inputs.batches}}, model.device()),
              .make_row_optimizer = run.mode == "smf_sgd" ? make_row_sgd : +adam,
              .rows = run.rows,
              .prefix_cache_bytes = std::int64_t{1} << 30});
}

// As if the run had gone on for long: by then most rows of the table have been read, and a step
// moves them all. Moments of 1e-30 move no parameter.
void start_in_the_middle(FinetuneMethod& method) {
  TensorFile state;
  for (const NamedTensor& entry : method.optimizer_state()) {
    const std::vector<float> moments(static_cast<std::size_t>(entry.tensor.elements()), 1e-30f);
    state.tensors.push_back({entry.name, Tensor::from(moments, entry.tensor.shape())});
  }
  method.load_optimizer_state(state, 0);
}

TokenRows inputs_of(const std::vector<TokenBatch>& batches) {
  TokenRows rows;
  for (const TokenBatch& batch : batches) {
    const ModelBatch ready = make_model_batch(batch, {});
    rows.insert(rows.end(), ready.context.sequences->begin(), ready.context.sequences->end());
  }
  return rows;
}

// With the weights of the files, or with fresh ones.
std::unique_ptr<MemoryModel> make_model(const Run& run, Device device) {
  if (run.folder.empty()) {
    const auto shape = bench::step_shape(run.shape, "");
    return std::make_unique<MemoryModel>(model_config_from(shape.options, shape.vocabulary), 0,
                                         device);
  }
  const std::filesystem::path folder = run.folder;
  const json config = json::parse(read_file(folder / "config.json"));
  auto model =
      std::make_unique<MemoryModel>(parse_config_json(config, "config.json"), std::nullopt, device);
  std::vector<NamedTensor> weights;
  for (const Parameter& parameter : model->parameters().all()) {
    weights.push_back({parameter.name, parameter.variable.value()});
  }
  load_tensors(read_safetensors(folder / "model.safetensors"), weights);
  return model;
}

void run_steps(const Run& run) {
  if (run.folder.empty() == run.shape.empty()) user_error("give --from FOLDER or --shape NAME");
  const Device device = find_device(run.device);
  const kernels::AttentionChoice choice = kernels::attention_choice_of(run.attention);
  if (choice && !device.is_cuda()) user_error("--attention is a choice on CUDA devices");
  kernels::set_attention_choice(choice);
  const ProductType products(run.precision == "bf16" ? DType::bf16 : DType::f32);
  const auto made = make_model(run, device);
  MemoryModel& model = *made;
  const StepInputs inputs = run.folder.empty()
                                ? bench::make_step_inputs(bench::step_shape(run.shape, ""), "")
                                : bench::read_step_inputs(run.folder);
  const auto method = make_method(run, model, inputs);
  const std::vector<TokenBatch>& batches =
      run.mode == "pretrain" ? inputs.pretrain : inputs.finetune;
  if (run.cache) method->expect({inputs_of(batches)});
  if (run.mode == "pretrain") start_in_the_middle(*method);
  json losses = json::array();
  std::vector<double> seconds;
  for (int step = 0; step < run.warmup + run.steps; ++step) {
    throw_if_interrupted();
    const auto start = std::chrono::steady_clock::now();
    const TokenBatch& batch = batches[static_cast<std::size_t>(step) % batches.size()];
    losses.push_back(method->step(batch, step, learning_rate(run.mode)).loss);
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (step >= run.warmup) seconds.push_back(took.count());
  }
  const PoolReport memory = MemoryPool::of(device).report();  // before the limit takes its share
  const bench::StepWork work = bench::step_work(model, run.mode, batches);
  const double gemm = bench::gemm_rate(device, run.precision == "bf16" ? DType::bf16 : DType::f32);
  const double typical = bench::median(seconds);
  const std::string attention =
      device.is_cuda() ? kernels::describe_attention(product_type()) : "the CPU's";
  fmt::print("{}\n", json({{"shape", run.folder.empty() ? run.shape : run.folder},
                           {"mode", run.mode},
                           {"threads", thread_count()},
                           {"device", describe(device)},
                           {"precision", run.precision},
                           {"attention", attention},
                           {"peak_bytes", memory.peak_bytes},
                           {"tokens", work.tokens},
                           {"flops", work.flops},
                           {"tokens_per_second", work.tokens / typical},
                           {"gemm_flops_per_second", gemm},
                           {"gemm_share", work.flops / typical / gemm},
                           {"losses", losses},
                           {"seconds", seconds}})
                         .dump());
  if (run.memory_report) fmt::print("{}", memory.table());
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Times whole training steps of a fixed shape; OMP_NUM_THREADS sets the threads."};
  add_examples(
      app,
      "  step_bench run --shape gpt2 --mode pretrain --device cuda --precision bf16\n"
      "  step_bench run --shape paper --mode smf_adam --device cuda --precision bf16 --rows 500\n"
      "  step_bench run --shape tiny --mode lora\n"
      "  step_bench make --shape d512 --out out/d512 && step_bench run --from out/d512 --mode "
      "full");
  std::string shape_name, dataset, out;
  Run run;
  CLI::App* make = app.add_subcommand("make", "write weights and batches of a shape");
  make->add_option("--shape", shape_name, "biographies, d512, gpt2, paper, tiny, tiny_dense")
      ->required();
  make->add_option("--data", dataset, "dataset folder of the biographies");
  make->add_option("--out", out, "folder to write")->required();
  CLI::App* time = app.add_subcommand("run", "time steps from such a folder");
  time->add_option("--from", run.folder, "folder that `make` wrote");
  time->add_option("--shape", run.shape, "without files: any but biographies, drawn afresh");
  time->add_option("--mode", run.mode, "pretrain, full, lora, smf_sgd or smf_adam")->required();
  time->add_option("--warmup", run.warmup, "steps before the clock counts")
      ->check(CLI::Range(0, 1 << 20).description(""));
  time->add_option("--steps", run.steps, "steps timed")
      ->check(CLI::Range(1, 1 << 20).description(""));
  time->add_option("--rank", run.rank, "LoRA's rank")
      ->check(CLI::Range(1, 1 << 14).description(""));
  time->add_option("--rows", run.rows, "rows that sparse memory finetuning may change")
      ->check(CLI::Range(1, 1 << 24).description(""));
  time->add_option("--device", run.device, "cpu, cuda or auto");
  time->add_option("--precision", run.precision, "fp32 or bf16")
      ->check(CLI::IsMember({"fp32", "bf16"}));
  time->add_option("--attention", run.attention, "on a GPU: auto, composed, blocked or cudnn");
  time->add_flag("--prefix-cache", run.cache, "keep what the frozen lower layers make of each row");
  time->add_flag("--memory-report", run.memory_report, "print the named allocations at the end");
  app.require_subcommand(1);
  return run_program("step_bench", app, argc, argv, [&] {
    if (make->parsed()) {
      const auto shape = bench::step_shape(shape_name, dataset);
      create_folder(out);
      bench::write_step_files(shape, bench::make_step_inputs(shape, dataset), out);
    } else {
      run_steps(run);
    }
    return 0;
  });
}
