#include "train/finetune_setup.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "memory/background_usage.h"

namespace slotwise {
namespace {

constexpr std::array kMethods = {"full", "lora", "smf", "tf", "random", "all_rows"};

constexpr std::array<std::pair<const char*, ScoreRule>, 4> kRules = {
    {{"tf_idf", ScoreRule::tf_idf},
     {"kl", ScoreRule::kl},
     {"df", ScoreRule::df},
     {"idf_power", ScoreRule::idf_power}}};

bool is_sparse(const std::string& method) {
  return method != "full" && method != "lora";
}

bool selects_rows(const std::string& method) {
  return is_sparse(method) && method != "all_rows";
}

// An option that would change nothing is more likely a slip than a wish.
void refuse_unused(const FinetuneRequest& request) {
  const auto refuse = [&](const char* option, const char* owners) {
    user_error("--method {} does not use {}: it belongs to {}; leave it out", request.method,
               option, owners);
  };
  if (request.rows && !selects_rows(request.method)) refuse("--rows", "smf, tf and random");
  if (request.rank && request.method != "lora") refuse("--rank", "lora");
  if (request.row_optimizer && !is_sparse(request.method)) {
    refuse("--optimizer", "smf, tf, random and all_rows (elsewhere: finetune.optimizer)");
  }
}

void check_request(const FinetuneRequest& request) {
  const std::string& method = request.method;
  if (std::find(kMethods.begin(), kMethods.end(), method) == kMethods.end()) {
    user_error("--method must be one of full, lora, smf, tf, random, all_rows; got '{}'", method);
  }
  if (!(request.learning_rate > 0) || !std::isfinite(request.learning_rate)) {
    user_error("--learning-rate must be a positive number, got {}", request.learning_rate);
  }
  refuse_unused(request);
  const std::int64_t rank = request.rank.value_or(0), rows = request.rows.value_or(0);
  if (method == "lora" && rank < 1) {
    user_error("--method lora needs --rank of at least 1, got {}", rank);
  }
  if (selects_rows(method) && rows < 1) {
    user_error("--method {} needs --rows of at least 1 (the paper's t), got {}", method, rows);
  }
  const std::string optimizer = row_optimizer_name(request);
  if (optimizer != "adam" && optimizer != "sgd") {
    user_error("--optimizer must be adam or sgd for --method {}, got '{}'", method, optimizer);
  }
}

void check_rank(std::int64_t rank, const std::vector<Linear>& linears) {
  for (const Linear& linear : linears) {
    const Tensor& weight = linear.weight().value();
    const std::int64_t most = std::min(weight.size(0), weight.size(1));
    if (rank <= most) continue;
    user_error("--rank {} is more than {} has ({} x {}, so at most {}); lower it", rank,
               linear.name(), weight.size(0), weight.size(1), most);
  }
}

void check_rows(const FinetuneRequest& request, const MemoryModel& model) {
  const std::int64_t slots = model.config().memory.slots();
  if (!request.rows || *request.rows <= slots) return;
  user_error("--rows {} is more than the memory's {} slots; lower it, or use --method all_rows",
             *request.rows, slots);
}

RankingOptions read_ranking(const Options& options) {
  RankingOptions out;
  const std::string name = options.text("finetune.rule", kRules[0].first);
  const auto rule = std::find_if(kRules.begin(), kRules.end(),
                                 [&](const auto& known) { return name == known.first; });
  if (rule == kRules.end()) {
    user_error("finetune.rule must be one of tf_idf, kl, df, idf_power; got '{}'", name);
  }
  out.rule = rule->second;
  if (options.has("finetune.idf_power") && out.rule != ScoreRule::idf_power) {
    user_error("finetune.idf_power belongs to finetune.rule = \"idf_power\"; the rule is {}", name);
  }
  out.power = options.number_within("finetune.idf_power", 0.01, 100.0, out.power);
  out.per_sequence = options.flag("finetune.per_sequence", false);
  out.written_weight = options.count("finetune.written_weight", 0, 0);
  constexpr std::int64_t kMostWeight = 1 << 16;
  if (out.written_weight > kMostWeight) {
    user_error("finetune.written_weight must be at most {}, got {}", kMostWeight,
               out.written_weight);
  }
  return out;
}

std::shared_ptr<SlotSelector> make_selector(const FinetuneRequest& request,
                                            const FinetuneSettings& settings,
                                            const MemoryModel& model,
                                            const std::filesystem::path& checkpoint,
                                            const Tokenizer& tokenizer) {
  if (request.method == "tf") return tf_selector();
  if (request.method == "random") return random_selector(request.seed);
  if (request.method == "all_rows") return all_selector();
  const auto path = background_path(checkpoint, settings.background);
  if (!std::filesystem::exists(path)) {
    user_error("--method smf needs {}; make it with slotwise-background --checkpoint {}{}{}",
               path.string(), checkpoint.string(), settings.background.empty() ? "" : " --name ",
               settings.background);
  }
  const BackgroundUsage background = load_background(path);
  const std::int64_t changed = check_background(background, model, tokenizer.hash());
  if (changed > 0 && request.run.group->is_root()) {
    std::fprintf(stderr,
                 "warning: %lld value rows changed since the background was taken; with several "
                 "memory layers that shifts which slots are read\n",
                 static_cast<long long>(changed));
  }
  return background_selector(background.tables, settings.ranking, model.device());
}

std::function<std::unique_ptr<RowOptimizer>()> row_optimizer_maker(
    const FinetuneRequest& request, const FinetuneSettings& settings) {
  if (row_optimizer_name(request) == "sgd") return make_row_sgd;
  return [adam = settings.row_adam] { return make_row_adam(adam); };
}

}  // namespace

std::vector<std::string> unused_settings(const std::string& method,
                                         const std::string& row_optimizer) {
  std::vector<std::string> out;
  const auto add = [&](std::initializer_list<const char*> keys) {
    out.insert(out.end(), keys.begin(), keys.end());
  };
  if (is_sparse(method)) {
    add({"optimizer", "beta1", "beta2", "epsilon", "momentum", "weight_decay", "clip"});
    if (row_optimizer == "sgd") add({"row_beta1", "row_beta2"});
  } else {
    add({"row_beta1", "row_beta2", "row_clip", "prefix_cache_mib"});
  }
  if (method == "lora") {
    add({"weight_decay"});
  } else {
    add({"lora_alpha", "lora_attention_only"});
  }
  if (method != "smf") add({"rule", "idf_power", "per_sequence", "written_weight", "background"});
  return out;
}

std::string row_optimizer_name(const FinetuneRequest& request) {
  return request.row_optimizer.value_or("adam");
}

FinetuneSettings read_finetune_settings(const FinetuneRequest& request) {
  check_request(request);
  const Options& options = request.options;
  FinetuneSettings s;
  s.steps = options.count("finetune.steps", 1);
  s.evaluate_every =
      options.count("finetune.evaluate_every", 1, std::max<std::int64_t>(1, s.steps / 10));
  s.checkpoint_every = options.count("finetune.checkpoint_every", 0, 0);
  s.micro_batch = options.count("finetune.micro_batch", 0, 0);
  s.optimizer = read_optimizer_settings(options, "finetune");
  s.optimizer_name = is_sparse(request.method) ? row_optimizer_name(request) : s.optimizer.name;
  if (request.method == "lora") s.optimizer.weight_decay = 0.0;  // it would pull towards the base
  s.schedule = read_schedule(options, "finetune", s.steps);
  s.stream.seed = request.seed;
  s.stream.facts_per_batch = static_cast<int>(options.count("finetune.facts", 1, 4));
  s.stream.wordings_per_fact = static_cast<int>(options.count("finetune.wordings", 1, 9));
  constexpr std::int64_t kMostRows = 1 << 16;
  if (std::int64_t{s.stream.facts_per_batch} * s.stream.wordings_per_fact > kMostRows) {
    user_error("a finetuning batch of {} facts x {} wordings has more than {} rows; lower one",
               s.stream.facts_per_batch, s.stream.wordings_per_fact, kMostRows);
  }
  const std::string order = options.text("finetune.order", "shuffled");
  if (order != "shuffled" && order != "sequential") {
    user_error("finetune.order must be shuffled or sequential, got '{}'", order);
  }
  s.stream.in_order = order == "sequential";
  s.retention_every = options.count("finetune.retention_every", 0, 0);
  s.retention_questions =
      options.text("finetune.retention_questions", options.text("evaluate.target", "new"));
  s.stream.append_eos = options.flag("finetune.append_eos", false);
  const std::string loss = options.text("finetune.loss", "tokens");
  if (loss != "tokens" && loss != "answers") {
    user_error("finetune.loss must be tokens or answers, got '{}'", loss);
  }
  s.stream.loss_on_answers = loss == "answers";
  s.stream.max_tokens = static_cast<int>(options.count("finetune.max_tokens", 0, 0));
  s.prefix_cache_bytes = options.count("finetune.prefix_cache_mib", 0, 1024) << 20;
  s.row_adam.beta1 = options.number_within("finetune.row_beta1", 0.0, kMostDecay, s.row_adam.beta1);
  s.row_adam.beta2 = options.number_within("finetune.row_beta2", 0.0, kMostDecay, s.row_adam.beta2);
  s.row_clip = options.number_within("finetune.row_clip", 0.0, 1e30, 0.0);
  s.lora_alpha = options.number_within("finetune.lora_alpha", 0.0, 1e6, 0.0);
  s.lora_attention_only = options.flag("finetune.lora_attention_only", false);
  s.ranking = read_ranking(options);
  s.background = options.text("finetune.background", "");
  options.refuse_unread("finetune");
  return s;
}

std::unique_ptr<FinetuneMethod> make_method(const FinetuneRequest& request,
                                            const FinetuneSettings& settings, MemoryModel& model,
                                            const std::filesystem::path& checkpoint,
                                            const Tokenizer& tokenizer) {
  const DenseMethodSettings dense{settings.optimizer, settings.micro_batch, settings.sharding};
  if (request.method == "full") return full_finetuning(model, dense);
  if (is_sparse(request.method) && model.tables().empty()) {
    user_error(
        "--method {} changes rows of a memory, and the model {} has no memory layer; use full or "
        "lora",
        request.method, checkpoint.string());
  }
  if (request.method == "lora") {
    const std::int64_t rank = *request.rank;
    check_rank(rank, settings.lora_attention_only ? model.decoder().attention_linears()
                                                  : model.decoder().linears());
    const double alpha =
        settings.lora_alpha > 0 ? settings.lora_alpha : 2.0 * static_cast<double>(rank);
    return lora(model, {dense, rank, alpha, settings.lora_attention_only, request.seed});
  }
  check_rows(request, model);
  return sparse_memory_finetuning(
      model, {.selector = make_selector(request, settings, model, checkpoint, tokenizer),
              .make_row_optimizer = row_optimizer_maker(request, settings),
              .rows = request.rows.value_or(0),
              .micro_batch = settings.micro_batch,
              .clip = settings.row_clip,
              .prefix_cache_bytes = settings.prefix_cache_bytes,
              .sharding = settings.sharding});
}

}  // namespace slotwise
