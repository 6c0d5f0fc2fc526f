#include "train/background_run.h"

#include "core/variable.h"
#include "data/dataset.h"
#include "data/tokenizer.h"
#include "memory/background_usage.h"
#include "memory/lookup_hash.h"
#include "train/checkpoint.h"
#include "train/interrupt.h"
#include "train/model_batch.h"
#include "train/progress.h"

namespace slotwise {
namespace {

struct BatchShape {
  std::int64_t batches, rows, window;
};

BatchShape read_shape(const Options& options) {
  const BatchShape shape{options.integer("background.batches", 1000),
                         options.integer("background.batch", 64),
                         options.integer("background.window", 64)};
  options.refuse_unread("background");
  if (shape.batches < 1 || shape.rows < 1 || shape.window < 1) {
    user_error("a background needs batches, batch and window of at least 1, got {}, {} and {}",
               shape.batches, shape.rows, shape.window);
  }
  return shape;
}

bool up_to_date(const std::filesystem::path& path, const BatchShape& shape,
                const MemoryModel& model) {
  if (!std::filesystem::exists(path)) return false;
  const BackgroundUsage old = load_background(path);
  return old.lookup_hash == lookup_hash(model) && old.batch_rows == shape.rows &&
         old.batch_length == shape.window && old.tables.at(0).batches == shape.batches;
}

}  // namespace

void measure_background(const BackgroundRequest& request) {
  const BatchShape shape = read_shape(request.options);
  const Dataset dataset(request.data);
  const Checkpoint checkpoint = load_checkpoint(request.checkpoint, request.device);
  if (checkpoint.tokenizer->hash() != dataset.manifest().tokenizer_hash) {
    user_error("{} was made with another tokenizer than the checkpoint {}", request.data.string(),
               request.checkpoint.string());
  }
  MemoryModel& model = *checkpoint.model;
  BackgroundCollector collector(model);
  const auto path = checkpoint.folder / "background.safetensors";
  if (!request.fresh && up_to_date(path, shape, model)) {
    if (!request.quiet) fmt::print("{} is up to date\n", path.string());
    return;
  }
  // Its own random stream: the background is a fresh draw of the data, not the batches of the
  // training.
  const MixtureLoader loader(dataset.parts(),
                             {.seed = request.seed,
                              .stream = "background",
                              .window_tokens = static_cast<int>(shape.window),
                              .pad_id = dataset.tokenizer().special().pad.value_or(0)});
  Progress progress("background", 0, shape.batches, request.quiet);
  const NoGrad no_grad;
  for (std::int64_t i = 0; i < shape.batches; ++i) {
    if (interrupted()) user_error("interrupted; nothing was written");
    const TokenBatch batch = loader.batch(i, static_cast<int>(shape.rows));
    const ModelBatch ready = make_model_batch(batch, request.device);
    model.decoder().hidden(ready.tokens, ready.context);
    collector.end_batch();
    progress.count(i + 1, batch.valid_tokens);
  }
  const BackgroundUsage background =
      collector.result(checkpoint.tokenizer->hash(), shape.rows, shape.window);
  save_background(background, path);
  write_checksums(checkpoint.folder);
  for (const TableBackground& table : background.tables) progress.message(df_histogram(table));
}

}  // namespace slotwise
