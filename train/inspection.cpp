#include "train/inspection.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/files.h"
#include "data/dataset.h"
#include "memory/access_trace.h"
#include "memory/background_usage.h"
#include "memory/usage_report.h"
#include "train/checkpoint.h"
#include "train/evaluation.h"
#include "train/logits.h"
#include "train/model_batch.h"

namespace slotwise {
namespace {

double norm_of(const Tensor& tensor) {
  double sum = 0.0;
  for (const float x : tensor.to_vector<float>()) sum += static_cast<double>(x) * x;
  return std::sqrt(sum);
}

void print_summary(const Checkpoint& checkpoint) {
  const MemoryModel& model = *checkpoint.model;
  const DecoderConfig& d = model.config().decoder;
  const MemoryConfig& m = model.config().memory;
  fmt::print("{}\n", checkpoint.folder.string());
  fmt::print(
      "  decoder     {} layers, width {}, {} heads ({} key-value), feed-forward {}, vocabulary "
      "{}\n",
      d.num_hidden_layers, d.hidden_size, d.num_attention_heads, d.num_key_value_heads,
      d.intermediate_size, d.vocab_size);
  fmt::print("  parameters  {}\n", model.parameters().count());
  if (!m.present()) {
    fmt::print("  memory      none\n");
    return;
  }
  std::string layers;
  for (const std::int64_t layer : m.layers) layers += fmt::format(" {}", layer);
  fmt::print("  memory      layers{} (from 0), {} slots x {}, {} heads x top {}, {} table{}\n",
             layers, m.slots(), m.value_dim, m.heads, m.top_k, m.tables.size(),
             m.tables.size() == 1 ? "" : "s");
}

// What follows the fingerprint and the seed in a background's source.
std::string corpus_of(const BackgroundUsage& background) {
  const std::size_t seed = background.source.find(" seed ");
  const std::size_t end = seed == std::string::npos ? seed : background.source.find(' ', seed + 6);
  return end == std::string::npos ? "the pretraining mixture" : background.source.substr(end + 1);
}

void print_backgrounds(const Checkpoint& checkpoint) {
  const auto files = background_files(checkpoint.folder);
  if (files.empty()) fmt::print("  background  none (slotwise-background makes one)\n");
  for (const auto& path : files) {
    BackgroundUsage background;
    std::int64_t changed = 0;
    try {
      background = load_background(path);
      changed = check_background(background, *checkpoint.model, checkpoint.tokenizer->hash());
    } catch (const UserError& e) {
      fmt::print("  background  {}: {}\n", path.filename().string(), e.what());
      continue;
    }
    fmt::print("  background  {}: {} batches of {} rows of {}, fits this model\n",
               path.filename().string(), background.tables.at(0).batches, background.batch_rows,
               corpus_of(background));
    if (changed > 0) fmt::print("  background  {} value rows changed since\n", changed);
    for (const TableBackground& table : background.tables) fmt::print("{}", df_histogram(table));
  }
}

void print_tensors(const MemoryModel& model) {
  for (const Parameter& parameter : model.parameters().all()) {
    fmt::print("  {:<52} {:<18} norm {:.4g}\n", parameter.name, parameter.variable.shape().text(),
               norm_of(parameter.variable.value()));
  }
}

constexpr std::int64_t kHeldoutRows = 64;  // windows of a batch

// The held-out text once through the model, at most so many batches of it, for whoever watches.
// Cut into windows as an evaluation does it, as long as the model takes.
void read_heldout_text(const Checkpoint& checkpoint, const Dataset& dataset,
                       std::int64_t most_batches) {
  constexpr std::int64_t kForwardTokens = 1 << 14;
  const TokenShard& text = dataset.heldout_text();
  MemoryModel& model = *checkpoint.model;
  const NoGrad no_grad;
  const std::int64_t longest = model.config().decoder.max_position_embeddings;
  const auto forward_rows =
      static_cast<std::size_t>(std::clamp<std::int64_t>(kForwardTokens / longest, 1, kHeldoutRows));
  const bool all = most_batches > std::numeric_limits<std::int64_t>::max() / kHeldoutRows;
  std::int64_t left = all ? most_batches : most_batches * kHeldoutRows;
  TokenRows rows;
  const auto forward = [&] {
    const ModelBatch batch = make_model_batch(
        make_batch(rows, checkpoint.tokenizer->special().pad.value_or(0)), model.device());
    model.decoder().hidden(batch.tokens, batch.context);
    rows.clear();
  };
  for (std::int64_t i = 0; i < text.sequences() && left > 0; ++i) {
    for (auto& window : text_windows(text.sequence(i), longest)) {
      if (left-- == 0) break;
      rows.push_back(std::move(window));
      if (rows.size() == forward_rows) forward();
    }
  }
  if (!rows.empty()) forward();
}

Dataset dataset_of(const Checkpoint& checkpoint, const std::filesystem::path& folder) {
  Dataset dataset(folder);
  if (dataset.manifest().tokenizer_hash != checkpoint.tokenizer->hash()) {
    user_error("{} was made with another tokenizer than the checkpoint {}", folder.string(),
               checkpoint.folder.string());
  }
  return dataset;
}

void print_usage(const Checkpoint& checkpoint, const std::filesystem::path& folder) {
  MemoryModel& model = *checkpoint.model;
  const UsageMeter meter(model);
  read_heldout_text(checkpoint, dataset_of(checkpoint, folder),
                    std::numeric_limits<std::int64_t>::max());
  for (const ValueTable& table : model.tables()) {
    fmt::print("\nslot usage of table {} over held-out text\n{}", table.index,
               meter.usage(table.index).text());
  }
}

void record_trace(const Checkpoint& checkpoint, const InspectRequest& request) {
  const AccessRecorder recorder(*checkpoint.model, request.trace_table);
  const Dataset dataset = dataset_of(checkpoint, request.data);
  read_heldout_text(checkpoint, dataset, request.trace_batches);
  const AccessTrace trace =
      recorder.trace(fmt::format("{} held-out text, {} batches of {} rows", dataset.fingerprint(),
                                 request.trace_batches, kHeldoutRows));
  save_access_trace(trace, request.trace);
  fmt::print("\n{}: the slots of {} tokens x {} heads x top {}, of {}\n", request.trace.string(),
             trace.accesses.size(0), trace.accesses.size(1), trace.accesses.size(2), trace.slots);
}

// One line a token: the slots with the largest weight, over all heads and memory layers.
void print_slots(const Checkpoint& checkpoint, const std::string& text, std::int64_t top) {
  MemoryModel& model = *checkpoint.model;
  const Tokenizer& tokenizer = *checkpoint.tokenizer;
  std::vector<std::int32_t> tokens = tokenizer.encode(text);
  if (tokenizer.special().bos) tokens.insert(tokens.begin(), *tokenizer.special().bos);
  const auto count = static_cast<std::int64_t>(tokens.size());
  if (const std::int64_t most = model.config().decoder.max_position_embeddings;
      count < 1 || count > most) {
    user_error("a --text must have from 1 to {} tokens, got {}", most, count);
  }
  const Tensor ids = Tensor::from(tokens, {1, count}).to(model.device());
  std::vector<Access> accesses;
  model.hooks().on_access = [&](const Access& access) { accesses.push_back(access); };
  {
    const NoGrad no_grad;
    model.decoder().hidden(ids, make_context(ids, {}, model.device()));
  }
  model.hooks().on_access = nullptr;
  fmt::print("\n{}\n", text);
  for (std::int64_t t = 0; t < count; ++t) {
    std::vector<std::pair<float, std::int32_t>> reads;
    for (const Access& access : accesses) {
      const auto slots = access.slots.slice(t, t + 1).to_vector<std::int32_t>();
      const auto weights = access.weights.slice(t, t + 1).to_vector<float>();
      for (std::size_t i = 0; i < slots.size(); ++i) reads.emplace_back(-weights[i], slots[i]);
    }
    std::sort(reads.begin(), reads.end());
    std::string line;
    for (std::int64_t i = 0;
         i < std::min<std::int64_t>(top, static_cast<std::int64_t>(reads.size())); ++i) {
      line += fmt::format("  {:>8} ({:.2f})", reads[static_cast<std::size_t>(i)].second,
                          -reads[static_cast<std::size_t>(i)].first);
    }
    fmt::print("  {:<16}{}\n", tokenizer.token_text(tokens[static_cast<std::size_t>(t)]), line);
  }
}

}  // namespace

void inspect(const InspectRequest& request) {
  for (const std::filesystem::path& file : {request.trace, request.logits_out}) {
    if (!file.empty()) expect_writable(file);
  }
  const Checkpoint checkpoint = load_checkpoint(request.checkpoint, request.device);
  // What it refuses is found before the usage report.
  if (!request.trace.empty()) AccessRecorder(*checkpoint.model, request.trace_table);
  if (!request.logits_tokens.empty()) {
    write_logits(checkpoint, request.logits_tokens, request.logits_out);
  }
  const bool memory = checkpoint.model->config().memory.present();
  print_summary(checkpoint);
  if (memory) print_backgrounds(checkpoint);
  if (request.tensors) print_tensors(*checkpoint.model);
  if (!memory && (!request.data.empty() || !request.texts.empty())) {
    user_error("{} has no memory layer: there are no slots to show", request.checkpoint.string());
  }
  if (!request.data.empty()) print_usage(checkpoint, request.data);
  if (!request.trace.empty()) record_trace(checkpoint, request);
  for (const std::string& text : request.texts) print_slots(checkpoint, text, request.top);
}

}  // namespace slotwise
