#include "train/background_run.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/files.h"
#include "core/variable.h"
#include "data/dataset.h"
#include "data/tokenizer.h"
#include "memory/background_usage.h"
#include "memory/lookup_hash.h"
#include "train/checkpoint.h"
#include "train/interrupt.h"
#include "train/model_batch.h"
#include "train/progress.h"
#include "train/run_lock.h"

namespace slotwise {
namespace {

struct BatchShape {
  std::int64_t batches, rows, window;
};

BatchShape read_shape(const Options& options) {
  const BatchShape shape{options.count("background.batches", 1, 1000),
                         options.count("background.batch", 1, 64),
                         options.count("background.window", 1, 64)};
  options.refuse_unread("background");
  constexpr std::int64_t kMostBatches = 1 << 24;
  if (shape.batches > kMostBatches || shape.rows > MixtureLoader::kMaxRows) {
    user_error("[background] batches and batch must be at most {} and {}, got {} and {}",
               kMostBatches, MixtureLoader::kMaxRows, shape.batches, shape.rows);
  }
  return shape;
}

// The facts of the dataset, say: part of `source` unless it is the pretraining mixture.
std::string source_text(const Dataset& dataset, const BackgroundCorpus& corpus,
                        std::uint64_t seed) {
  const std::string mixture = fmt::format("{} seed {}", dataset.fingerprint(), seed);
  return corpus.name().empty() ? mixture : mixture + " " + corpus.name();
}

// The run that may still be writing the checkpoint, where it lies in one.
std::filesystem::path lock_folder(const std::filesystem::path& checkpoint) {
  const std::filesystem::path folder = existing_checkpoint(checkpoint);
  const std::filesystem::path run =
      std::filesystem::absolute(folder / "").parent_path().parent_path();
  return std::filesystem::exists(run / "run.json") ? run : folder;
}

bool up_to_date(const std::filesystem::path& path, const BatchShape& shape,
                const std::string& source, const Checkpoint& checkpoint) {
  if (!std::filesystem::exists(path)) return false;
  const BackgroundUsage old = load_background(path);
  return old.lookup_hash == lookup_hash(*checkpoint.model) && old.batch_rows == shape.rows &&
         old.tokenizer_hash == checkpoint.tokenizer->hash() && old.source == source &&
         old.batch_length == shape.window && old.tables[0].batches == shape.batches;
}

// IDF means what the model was pretrained on.
void warn_of_other_data(const std::filesystem::path& checkpoint, const Dataset& dataset) {
  const auto run =
      std::filesystem::absolute(checkpoint / "").parent_path().parent_path() / "run.json";
  if (!std::filesystem::exists(run)) return;
  const auto settings = nlohmann::json::parse(read_file(run), nullptr, false);
  if (!settings.is_object() || settings.value("program", "") != "pretrain" ||
      settings.value("data", "") == dataset.fingerprint()) {
    return;
  }
  std::fprintf(stderr, "warning: %s was pretrained on other data than %s\n", checkpoint.c_str(),
               dataset.folder().c_str());
}

}  // namespace

void check_background_settings(const Options& options) {
  read_shape(options);
}

RunEnd measure_background(const BackgroundRequest& request) {
  const BatchShape shape = read_shape(request.options);
  const Dataset dataset(request.data);
  const RunLock lock(lock_folder(request.checkpoint));
  const Checkpoint checkpoint = load_checkpoint(request.checkpoint, request.device);
  if (checkpoint.tokenizer->hash() != dataset.manifest().tokenizer_hash) {
    user_error("{} was made with another tokenizer than the checkpoint {}", request.data.string(),
               request.checkpoint.string());
  }
  // The background without a name is what IDF is defined by.
  if (request.name.empty() && !request.corpus.is_mixture()) {
    user_error("a background over a part of the data needs a name of its own; give --name NAME");
  }
  MemoryModel& model = *checkpoint.model;
  BackgroundCollector collector(model);
  const auto path = background_path(checkpoint.folder, request.name);
  const BackgroundCorpus corpus(dataset, request.corpus, request.seed, shape.window,
                                request.options.flag("finetune.append_eos", false));
  const std::string source = source_text(dataset, corpus, request.seed);
  if (!request.fresh && up_to_date(path, shape, source, checkpoint)) {
    if (!request.quiet) fmt::print("{} is up to date\n", path.string());
    return RunEnd::finished;
  }
  if (!request.fresh && std::filesystem::exists(path)) {
    user_error(
        "{} was counted with other settings or data; --fresh counts it again (runs of smf that "
        "have "
        "begun with it cannot go on then), --name NAME counts another one beside it",
        path.string());
  }
  warn_of_other_data(checkpoint.folder, dataset);
  const std::int64_t positions = model.config().decoder.max_position_embeddings;
  if (corpus.longest_input() > positions) {
    user_error(
        "a batch has rows of {} tokens, the model only {} positions; lower background.window",
        corpus.longest_input(), positions);
  }
  Progress progress("background", 0, shape.batches, request.quiet);
  const NoGrad no_grad;
  for (std::int64_t i = 0; i < shape.batches; ++i) {
    if (interrupted()) {
      progress.message("stopped; nothing was written");
      return RunEnd::interrupted;
    }
    const TokenBatch batch = corpus.batch(i, shape.rows);
    const ModelBatch ready = make_model_batch(batch, request.device);
    model.decoder().hidden(ready.tokens, ready.context);
    collector.end_batch();
    progress.count(i + 1, batch.valid_tokens);
  }
  BackgroundUsage background =
      collector.result(checkpoint.tokenizer->hash(), shape.rows, shape.window);
  background.source = source;
  save_background(background, path);
  for (const TableBackground& table : background.tables) progress.message(df_histogram(table));
  return RunEnd::finished;
}

}  // namespace slotwise
