#include "train/pretrain_run.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/memory_pool.h"
#include "core/trace.h"
#include "data/dataset.h"
#include "data/tokenizer.h"
#include "layers/functional/precision.h"
#include "optim/optimizer.h"
#include "optim/schedule.h"
#include "train/check_numerics.h"
#include "train/checkpoint.h"
#include "train/evaluation.h"
#include "train/evaluation_options.h"
#include "train/gradient_exchange.h"
#include "train/interrupt.h"
#include "train/metrics_log.h"
#include "train/model_batch.h"
#include "train/model_config.h"
#include "train/model_size.h"
#include "train/optimizer_setup.h"
#include "train/profiled_steps.h"
#include "train/progress.h"
#include "train/ranks.h"
#include "train/run_device.h"
#include "train/run_lock.h"
#include "train/skipped_steps.h"
#include "train/step_memory.h"

namespace slotwise {
namespace {

using nlohmann::json;

struct Settings {
  std::int64_t steps, batch, micro_batch, window, checkpoint_every;
  bool activation_checkpointing;
  double learning_rate;
  OptimizerSettings optimizer;
  Schedule schedule;
};

Settings read_settings(const Options& options) {
  Settings s;
  s.steps = options.count("pretrain.steps", 1);
  s.batch = options.count("pretrain.batch", 1);
  s.micro_batch = options.count("pretrain.micro_batch", 0, 0);
  s.window = options.count("pretrain.window", 1, 256);
  s.checkpoint_every = options.count("pretrain.checkpoint_every", 0, 0);
  s.activation_checkpointing = options.flag("pretrain.activation_checkpointing", false);
  s.learning_rate = options.number("pretrain.learning_rate");
  if (!(s.learning_rate > 0)) {
    user_error("[pretrain] learning_rate must be above 0, got {}", s.learning_rate);
  }
  const auto rate_scale = [&](const char* key) {
    const double rate = options.number(key, s.learning_rate);
    if (rate < 0) user_error("{} must be at least 0, got {}", key, rate);
    return rate / s.learning_rate;
  };
  s.optimizer = read_optimizer_settings(options, "pretrain");
  s.optimizer.value_rate_scale = rate_scale("pretrain.value_learning_rate");
  s.optimizer.embedding_rate_scale = rate_scale("pretrain.embedding_learning_rate");
  s.schedule = read_schedule(options, "pretrain", s.steps);
  options.refuse_unread("pretrain");
  if (s.batch > MixtureLoader::kMaxRows) {
    user_error("[pretrain] batch must be at most {}, got {}", MixtureLoader::kMaxRows, s.batch);
  }
  return s;
}

class Pretraining {
 public:
  Pretraining(const PretrainRequest& request)
      : request_(request),
        settings_(read_settings(request.options)),
        dataset_(request.data),
        evaluation_(read_evaluation_options(request.options, dataset_.manifest())),
        config_(model_config_from(request.options, dataset_.tokenizer().vocabulary_size())),
        folder_(request.run, run_json()) {}

  RunEnd run() {
    if (folder_.settle()) {
      if (!request_.run.quiet) fmt::print("{} is finished already\n", request_.run.out.string());
      return RunEnd::finished;
    }
    if (request_.run.group->is_root()) warn_of_long_warmup(settings_.schedule, "pretrain");
    const MixtureLoader loader(dataset_.parts(),
                               {.seed = request_.seed,
                                .window_tokens = static_cast<int>(settings_.window),
                                .pad_id = pad_id()});
    const std::int64_t positions = config_.decoder.max_position_embeddings;
    if (loader.longest_input() > positions) {
      user_error(
          "the longest sequence of {} has {} tokens, the model only {} positions; raise "
          "model.max_position_embeddings or lower pretrain.window",
          request_.data.string(), loader.longest_input(), positions);
    }
    expect_rows_for_shards(settings_.batch, folder_.sharding().shards);
    Evaluator evaluator(dataset_.tokenizer(), evaluation_, positions);
    evaluator.add_dataset(dataset_);
    const bool own_memory = request_.device.is_cuda();
    refuse_model_beyond_memory(
        config_, settings_.optimizer, request_.device,
        {folder_.sharding().rounds(), own_memory ? 1 : ranks_on_this_host(group())});
    make_model();
    folder_.begin();
    const auto log = MetricsLog::of_root(group(), folder_.metrics(), step_ > 0 ? step_ : -1);
    Progress progress("pretrain", step_, settings_.steps, request_.run.quiet);
    const std::int64_t first = step_;
    while (step_ < settings_.steps) {
      const json row = train_step(loader, progress);
      if (log) log->write(row);
      const NextMove next = agree(
          group(), {interrupted(), folder_.checkpoint_due(step_, settings_.checkpoint_every)});
      if (next.stop) note_interrupt();
      const bool stop =
          next.stop || (request_.run.stop_after > 0 && step_ - first >= request_.run.stop_after);
      // Also before the last evaluation, so that a stop there does not lose the training.
      if (stop || next.save || step_ == settings_.steps) {
        root_alone(group(), [this] { folder_.save_timed([this] { save(true); }); });
      }
      if (step_ < settings_.steps && stop) {
        progress.message(fmt::format("stopped at step {}; the same command resumes", step_));
        return RunEnd::interrupted;
      }
    }
    const bool finished = root_decides(group(), [&] {
      try {
        finish(evaluator);
        return true;
      } catch (const Interrupted&) {
        progress.message("stopped in the last evaluation; the same command resumes");
        return false;
      }
    });
    if (!finished) note_interrupt();
    return finished ? RunEnd::finished : RunEnd::interrupted;
  }

 private:
  Communicator& group() const { return *request_.run.group; }
  int pad_id() const { return dataset_.tokenizer().special().pad.value_or(0); }

  json run_json() const {
    const json tree = json::parse(request_.options.json_text());
    json out = {{"program", "pretrain"},
                {"seed", request_.seed},
                {"data", dataset_.fingerprint()},
                {"evaluate", evaluation_json(evaluation_)}};
    for (const char* section : {"model", "memory", "pretrain"}) {
      out[section] = tree.value(section, json::object());
    }
    add_device_settings(out, request_.device, request_.product_type);
    return out;
  }

  void make_model() {
    if (folder_.resumable()) {
      model_ = std::move(load_checkpoint(folder_.checkpoint(), request_.device).model);
      const json trainer = read_trainer_json(folder_.checkpoint());
      step_ = trainer.at("step");
      seconds_ = trainer.at("seconds");
      skipped_ = SkippedSteps(trainer.value("skipped_steps", 0));
    } else {
      model_ = std::make_unique<MemoryModel>(config_, request_.seed, request_.device);
    }
    model_->decoder().set_activation_checkpointing(settings_.activation_checkpointing);
    optimizer_ = make_optimizer(model_->parameters().all(), settings_.optimizer);
    exchange_ = std::make_unique<GradientExchange>(model_->parameters().all(), request_.run.group);
    if (step_ > 0) {
      optimizer_->load_state(
          read_safetensors(existing_checkpoint(folder_.checkpoint()) / "optimizer.safetensors"));
      optimizer_->set_steps(step_);
      MemoryPool::of({}).trim();  // what was read from the file
    }
  }

  json train_step(const MixtureLoader& loader, Progress& progress) {
    const auto begin = std::chrono::steady_clock::now();
    const TokenBatch batch = loader.batch(step_, static_cast<int>(settings_.batch));
    const double rate = settings_.learning_rate * settings_.schedule.factor(step_);
    if (request_.run.memory_report) MemoryPool::of(request_.device).reset_peaks();
    optimizer_->clear_gradients();
    profiled_.before(step_ + 1);
    const TraceRange range("step", step_ + 1);
    const Tensor losses = queue_gradients(*model_, batch,
                                          {.micro_batch = settings_.micro_batch,
                                           .batch_statistics = true,
                                           .sharding = folder_.sharding(),
                                           .hooks = exchange_->hooks()});
    const auto [loss, norm] = StepFigures(losses, optimizer_->queue_step(rate));
    ++step_;
    profiled_.after(step_);
    if (skipped_.count(folder_, step_, loss, norm)) progress.message(skipped_.text());
    if (request_.run.memory_report && step_ == settings_.steps) describe_memory(batch);
    const double took = seconds_since(begin);
    seconds_ += took;
    progress.report({step_, loss, norm, rate, batch.valid_tokens, took});
    return {{"step", step_},
            {"loss", loss},
            {"grad_norm", norm},
            {"learning_rate", rate},
            {"tokens", batch.valid_tokens},
            {"tokens_per_second", progress.tokens_per_second()}};
  }

  // Of the last step, in which all state is there.
  void describe_memory(const TokenBatch& batch) {
    std::int64_t tokens = 0, state = 4 * model_->parameters().count();  // the gradients
    for (const TokenBatch& piece : split_batch(batch, settings_.micro_batch)) {
      tokens = std::max(tokens, piece.valid_tokens);
    }
    for (const NamedTensor& entry : optimizer_->state()) {
      state += static_cast<std::int64_t>(entry.tensor.bytes());
    }
    const auto needed = settings_.activation_checkpointing ? NeededActivations::checkpoints
                                                           : NeededActivations::all;
    memory_text_ = step_memory_text(MemoryPool::of(request_.device).report(),
                                    step_minimum(*model_, tokens, state, 0, needed));
  }

  void save(bool with_state) {
    CheckpointState state{.step = step_};
    if (with_state) {
      state.optimizer = optimizer_->state();
      state.trainer_json = json({{"program", "pretrain"},
                                 {"step", step_},
                                 {"seconds", seconds_},
                                 {"skipped_steps", skipped_.all()}})
                               .dump(2);
    }
    save_checkpoint(folder_.checkpoint(), *model_, dataset_.tokenizer(), state);
  }

  void finish(const Evaluator& evaluator) {
    json result = {{"finished", true},
                   {"seconds", seconds_},
                   {"steps", settings_.steps},
                   {"skipped_steps", skipped_.all()},
                   {"parameters", model_->parameters().count()}};
    const Evaluator::Result on = evaluator.run(*model_);
    std::string text = fmt::format("\n{}", on.text());
    result["evaluation"] = on.json();
    if (config_.memory.present()) {
      const Evaluator::Result off = evaluator.run(*model_, true);
      result["evaluation_memory_off"] = off.json();
      text += fmt::format("\nwith the memory switched off\n{}", off.text());
    }
    folder_.finish(result, [this] { save(false); });
    // Last: an output that cannot be written costs no result.
    if (!request_.run.quiet) fmt::print("{}", text);
    if (request_.run.memory_report) fmt::print("\n{}", memory_text_);
  }

  PretrainRequest request_;
  Settings settings_;
  Dataset dataset_;
  EvaluationOptions evaluation_;
  ModelConfig config_;
  RunFolder folder_;
  std::unique_ptr<MemoryModel> model_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<GradientExchange> exchange_;
  std::string memory_text_;
  std::int64_t step_ = 0;
  SkippedSteps skipped_;
  ProfiledSteps profiled_{request_.run.profile_steps, request_.device};
  double seconds_ = 0;  // of training steps, with those of earlier starts
};

}  // namespace

RunEnd pretrain(const PretrainRequest& request) {
  refuse_out_among_inputs(request.run.out, {request.data});
  std::optional<RunLock> lock;
  if (request.run.group->is_root()) lock.emplace(request.run.out);
  const ProductType products(request.product_type);
  const CheckNumerics numerics(request.run.check_numerics);
  return Pretraining(request).run();
}

}  // namespace slotwise
