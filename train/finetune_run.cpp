#include "train/finetune_run.h"

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "core/memory_pool.h"
#include "core/sha256.h"
#include "core/trace.h"
#include "data/dataset.h"
#include "data/fact_stream.h"
#include "data/tokenizer.h"
#include "layers/functional/precision.h"
#include "memory/background_usage.h"
#include "train/check_numerics.h"
#include "train/checkpoint.h"
#include "train/evaluation.h"
#include "train/evaluation_options.h"
#include "train/finetune_setup.h"
#include "train/interrupt.h"
#include "train/metrics_log.h"
#include "train/model_batch.h"
#include "train/profiled_steps.h"
#include "train/progress.h"
#include "train/retention_plot.h"
#include "train/retention_probe.h"
#include "train/run_device.h"
#include "train/run_lock.h"
#include "train/skipped_steps.h"
#include "train/step_memory.h"

namespace slotwise {
namespace {

using nlohmann::json;

class Finetuning {
 public:
  explicit Finetuning(const FinetuneRequest& request)
      : request_(request),
        settings_(read_finetune_settings(request)),
        dataset_(request.data),
        evaluation_(read_evaluation_options(request.options, dataset_.manifest())),
        stream_(read_stream()),
        base_(load_checkpoint(request.checkpoint, request.device)) {
    if (base_.tokenizer->hash() != dataset_.manifest().tokenizer_hash) {
      user_error(
          "{} was made with another tokenizer than the checkpoint {}; prepare the data with "
          "the checkpoint's tokenizer.json",
          request.data.string(), request.checkpoint.string());
    }
  }

  RunEnd run() {
    if (folder_.settle(request_.keep_checkpoint)) {
      if (!request_.run.quiet) fmt::print("{} is finished already\n", request_.run.out.string());
      return RunEnd::finished;
    }
    if (request_.run.group->is_root()) warn_of_long_warmup(settings_.schedule, "finetune");
    const std::int64_t positions = base_.model->config().decoder.max_position_embeddings;
    if (stream_.longest_wording() > positions + 1) {
      user_error("a wording in {} has {} tokens, the model only {} positions; shorten it",
                 dataset_.facts_path().string(), stream_.longest_wording(), positions);
    }
    settings_.sharding = folder_.sharding();
    Evaluator evaluator(dataset_.tokenizer(), evaluation_, positions);
    evaluator.add_dataset(dataset_);
    if (settings_.retention_every > 0) {
      retention_ = std::make_unique<RetentionProbe>(
          dataset_, evaluation_, positions, stream_,
          RetentionRequest{settings_.steps, settings_.retention_every,
                           settings_.retention_questions});
    }
    method_ = make_method(request_, settings_, *base_.model, base_.folder, *base_.tokenizer);
    resume();
    method_->expect(repeated_rows(evaluator));
    folder_.begin();
    const auto log = MetricsLog::of_root(group(), folder_.metrics(), step_ > 0 ? step_ : -1);
    Progress progress("finetune", step_, settings_.steps, request_.run.quiet);
    if (!measure(evaluator, log.get(), progress)) return stopped(progress);
    const std::int64_t first = step_;
    while (step_ < settings_.steps) {
      const json row = train_step(progress);
      if (log) log->write(row);
      if (!measure(evaluator, log.get(), progress)) return stopped(progress);
      if (step_ == settings_.steps) break;
      const NextMove next = agree(
          group(), {interrupted(), folder_.checkpoint_due(step_, settings_.checkpoint_every)});
      if (next.stop) note_interrupt();
      const bool stop =
          next.stop || (request_.run.stop_after > 0 && step_ - first >= request_.run.stop_after);
      if (stop) return stopped(progress);
      if (next.save) root_alone(group(), [this] { folder_.save_timed([this] { save(true); }); });
    }
    root_alone(group(), [this] { finish(); });
    return RunEnd::finished;
  }

 private:
  Communicator& group() const { return *request_.run.group; }

  // Refuses what can be known before the model is loaded.
  FactStream read_stream() const {
    FactStream stream(read_facts(dataset_.facts_path()), dataset_.tokenizer(), settings_.stream);
    expect_rows_for_shards(stream.fewest_rows(),
                           shards_of_run(request_.run, request_.run.group->size()));
    return stream;
  }

  std::vector<TokenRows> repeated_rows(const Evaluator& evaluator) const {
    std::vector<TokenRows> groups(1);
    TokenRows& rows = groups[0];
    for (std::int64_t fact = 0; fact < stream_.facts(); ++fact) {
      for (const auto& wording : stream_.wordings(fact)) {
        if (wording.size() > 1) rows.emplace_back(wording.begin(), wording.end() - 1);
      }
    }
    const std::vector<TokenRows> asked = evaluator.rows();
    groups.insert(groups.end(), asked.begin(), asked.end());
    return groups;
  }

  json run_json() const {
    const json tree = json::parse(request_.options.json_text());
    // Another background would rank other rows: a resumed run must have the same.
    const auto background = background_path(base_.folder, settings_.background);
    const bool ranked = request_.method == "smf" && std::filesystem::exists(background);
    json out = {{"program", "finetune"},
                {"background", ranked ? sha256_of_file(background) : ""},
                {"method", request_.method},
                {"row_optimizer", row_optimizer_name(request_)},
                {"learning_rate", request_.learning_rate},
                {"rows", request_.rows.value_or(0)},
                {"rank", request_.rank.value_or(0)},
                {"seed", request_.seed},
                {"model", sha256_of_file(base_.folder / "model.safetensors")},
                {"data", dataset_.fingerprint()},
                {"evaluate", evaluation_json(evaluation_)},
                {"finetune", tree.value("finetune", json::object())}};
    add_device_settings(out, request_.device, request_.product_type);
    return out;
  }

  void resume() {
    if (!folder_.resumable()) return;
    const auto folder = existing_checkpoint(folder_.checkpoint());
    verify_checksums(folder);
    const json trainer = read_trainer_json(folder);
    step_ = trainer.at("step");
    seconds_ = trainer.at("seconds");
    evaluations_ = trainer.at("evaluations");
    trainable_ = trainer.at("trainable");
    if (retention_) retention_->matrix().load_rows(trainer.at("retention"));
    skipped_ = SkippedSteps(trainer.value("skipped_steps", 0));
    std::vector<NamedTensor> weights;
    for (const Parameter& parameter : base_.model->parameters().all()) {
      weights.push_back({parameter.name, parameter.variable.value()});
    }
    load_tensors(read_safetensors(folder / "model.safetensors"), weights);
    if (!method_->adapters().empty()) {
      load_tensors(read_safetensors(folder / "adapters.safetensors"), method_->adapters());
    }
    if (std::filesystem::exists(folder / "optimizer.safetensors")) {
      method_->load_optimizer_state(read_safetensors(folder / "optimizer.safetensors"), step_);
    }
    MemoryPool::of({}).trim();  // what was read from the files
  }

  json train_step(Progress& progress) {
    const auto begin = std::chrono::steady_clock::now();
    const TokenBatch batch = stream_.batch(step_);
    const double rate = request_.learning_rate * settings_.schedule.factor(step_);
    if (request_.run.memory_report) MemoryPool::of(request_.device).reset_peaks();
    profiled_.before(step_ + 1);
    const TraceRange range("step", step_ + 1);
    const MethodStep done = method_->step(batch, step_, rate);
    ++step_;
    profiled_.after(step_);
    if (skipped_.count(folder_, step_, done.loss, done.gradient_norm)) {
      progress.message(skipped_.text());
    }
    const double took = seconds_since(begin);
    seconds_ += took;
    trainable_ = std::max(trainable_, done.trainable);
    if (request_.run.memory_report && step_ == settings_.steps) describe_memory(batch);
    progress.report({step_, done.loss, done.gradient_norm, rate, read_tokens(batch), took});
    json row = {{"step", step_},
                {"loss", done.loss},
                {"grad_norm", done.gradient_norm},
                {"learning_rate", rate},
                {"tokens", read_tokens(batch)},
                {"tokens_per_second", progress.tokens_per_second()}};
    if (done.selected_rows > 0) {
      row["accessed_rows"] = done.accessed_rows;
      row["selected_rows"] = done.selected_rows;
    }
    return row;
  }

  // What the method read of them.
  json optimizer_json() const {
    const OptimizerSettings& dense = settings_.optimizer;
    const std::string& name = settings_.optimizer_name;
    if (name == "adamw") {
      return {{"beta1", dense.adamw.beta1},
              {"beta2", dense.adamw.beta2},
              {"epsilon", dense.adamw.epsilon},
              {"weight_decay", dense.weight_decay},
              {"clip", dense.clip}};
    }
    if (request_.method == "full" || request_.method == "lora") {
      return {
          {"momentum", dense.momentum}, {"weight_decay", dense.weight_decay}, {"clip", dense.clip}};
    }
    json out = {{"clip", settings_.row_clip}};
    if (name == "adam") {
      out["beta1"] = settings_.row_adam.beta1;
      out["beta2"] = settings_.row_adam.beta2;
    }
    return out;
  }

  // Of the last step, in which all state is there.
  void describe_memory(const TokenBatch& batch) {
    std::int64_t tokens = 0, state = 4 * trainable_;  // the gradients
    for (const TokenBatch& piece : split_batch(batch, settings_.micro_batch)) {
      tokens = std::max(tokens, read_tokens(piece));
    }
    for (const NamedTensor& entry : method_->optimizer_state()) {
      state += static_cast<std::int64_t>(entry.tensor.bytes());
    }
    std::int64_t adapters = 0;
    for (const NamedTensor& entry : method_->adapters()) {
      adapters += static_cast<std::int64_t>(entry.tensor.bytes());
    }
    const bool dense = request_.method == "full" || request_.method == "lora";
    memory_text_ = step_memory_text(
        MemoryPool::of(request_.device).report(),
        step_minimum(*base_.model, tokens, state, adapters,
                     dense ? NeededActivations::all : NeededActivations::above_memory));
  }

  RunEnd stopped(Progress& progress) {
    if (step_ > 0) root_alone(group(), [this] { save(true); });  // before: nothing to lose
    progress.message(fmt::format("stopped at step {}; the same command resumes", step_));
    return RunEnd::interrupted;
  }

  // Not where a run resumes at a step that it evaluated before it stopped.
  bool evaluation_due() const {
    const bool asked = step_ % settings_.evaluate_every == 0 || step_ == settings_.steps;
    return asked && (evaluations_.empty() || evaluations_.back().at("step") != step_);
  }

  // What is due at this step, by the root. False where it was stopped: the rest is due again then.
  bool measure(const Evaluator& evaluator, MetricsLog* log, Progress& progress) {
    const bool done = root_decides(group(), [&] {
      try {
        if (retention_) retention_->ask_if_due(*base_.model, step_);
        if (evaluation_due()) evaluate(evaluator, *log, progress);
        return true;
      } catch (const Interrupted&) {
        return false;
      }
    });
    if (!done) note_interrupt();
    return done;
  }

  void evaluate(const Evaluator& evaluator, MetricsLog& log, Progress& progress) {
    const Evaluator::Result result = evaluator.run(*base_.model);
    folder_.expect_finite(step_, result.text_loss, 0.0);
    json row = result.json();
    row["step"] = step_;
    evaluations_.push_back(row);
    log.write({{"step", step_}, {"evaluation", result.json()}});
    std::string line = fmt::format("  step {:<6}", step_);
    for (const auto& [role, scores] : result.questions) {
      line += fmt::format("  {} {:.3f}", role, scores.of(evaluation_.measure));
    }
    for (const Measured& set : result.likelihoods) {
      line += fmt::format("  {} {:.3f}", set.rows[0].set, set.rows[0].value);
    }
    if (result.text_tokens > 0) {
      line += fmt::format("  text loss {:.4f} over {} tokens ({})", result.text_loss,
                          result.text_tokens, result.text_rows.text());
    }
    progress.message(line);
  }

  void save(bool with_state) {
    CheckpointState state{.step = step_};
    if (with_state) {
      state.optimizer = method_->optimizer_state();
      state.adapters = method_->adapters();
      json trainer = {{"program", "finetune"},
                      {"step", step_},
                      {"seconds", seconds_},
                      {"trainable", trainable_},
                      {"skipped_steps", skipped_.all()},
                      {"evaluations", evaluations_}};
      if (retention_) trainer["retention"] = retention_->matrix().rows_json();
      state.trainer_json = trainer.dump();
    }
    save_checkpoint(folder_.checkpoint(), *base_.model, *base_.tokenizer, state, base_.folder);
  }

  void finish() {
    method_->finish();
    expect_finite_weights(*base_.model, step_);
    std::function<void()> save_model;
    if (request_.keep_checkpoint) save_model = [this] { save(false); };
    json result = {{"finished", true},
                   {"seconds", seconds_},
                   {"steps", settings_.steps},
                   {"method", request_.method},
                   {"optimizer", settings_.optimizer_name},
                   {"optimizer_settings", optimizer_json()},
                   {"learning_rate", request_.learning_rate},
                   {"rows", request_.rows.value_or(0)},
                   {"rank", request_.rank.value_or(0)},
                   {"seed", request_.seed},
                   {"trainable_per_batch", trainable_},
                   {"rows_touched", method_->rows_touched()},
                   {"skipped_steps", skipped_.all()},
                   {"evaluations", evaluations_}};
    if (retention_) result["retention"] = retention_->matrix().json_result();
    folder_.finish(result, save_model);
    if (retention_ && !request_.run.quiet) {
      fmt::print("\n{}", retention_->matrix().text());
      if (draw_retention(result["retention"], request_.run.out)) {
        fmt::print("{}\n", (request_.run.out / "retention.png").string());
      }
    }
    if (request_.run.memory_report) fmt::print("\n{}", memory_text_);
  }

  FinetuneRequest request_;
  FinetuneSettings settings_;
  Dataset dataset_;
  EvaluationOptions evaluation_;
  FactStream stream_;
  Checkpoint base_;
  RunFolder folder_{request_.run, run_json()};
  std::unique_ptr<FinetuneMethod> method_;
  std::unique_ptr<RetentionProbe> retention_;  // null: not measured
  std::int64_t step_ = 0;
  std::int64_t trainable_ = 0;
  SkippedSteps skipped_;
  ProfiledSteps profiled_{request_.run.profile_steps, request_.device};
  double seconds_ = 0;  // of training steps, with those of earlier starts
  std::string memory_text_;
  json evaluations_ = json::array();
};

void warn_of_unused(const FinetuneRequest& request) {
  for (const std::string& key : unused_settings(request.method, row_optimizer_name(request))) {
    for (const std::string& each : request.overrides) {
      if (!each.starts_with("finetune." + key + "=")) continue;
      fmt::print(stderr, "warning: --method {} does not use finetune.{}; it has no effect\n",
                 request.method, key);
    }
  }
}

}  // namespace

RunEnd finetune(const FinetuneRequest& request) {
  if (request.run.group->is_root()) warn_of_unused(request);
  refuse_out_among_inputs(request.run.out, {request.data, request.checkpoint});
  std::optional<RunLock> lock;
  if (request.run.group->is_root()) lock.emplace(request.run.out);
  const ProductType products(request.product_type);
  const CheckNumerics numerics(request.run.check_numerics);
  return Finetuning(request).run();
}

}  // namespace slotwise
