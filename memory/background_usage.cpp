#include "memory/background_usage.h"

#include "kernels/slot_statistics.h"
#include "memory/lookup_hash.h"

namespace slotwise {

BackgroundCollector::BackgroundCollector(MemoryModel& model) : model_(model) {
  if (model.tables().empty()) {
    user_error("a background needs a model with a memory layer; this one has none");
  }
  const std::int64_t slots = model.config().memory.slots();
  for (std::size_t i = 0; i < model.tables().size(); ++i) {
    counters_.emplace_back(slots, model.device());
    tables_.push_back({Tensor::zeros({slots}, DType::i32, model.device(), "background"), 0});
  }
  model_.hooks().expect_unwatched();
  model_.hooks().on_access = [this](const Access& access) {
    counters_[static_cast<std::size_t>(access.table)].add(access.slots, access.valid);
  };
}

BackgroundCollector::~BackgroundCollector() {
  model_.hooks().on_access = nullptr;
}

void BackgroundCollector::end_batch() {
  for (std::size_t t = 0; t < counters_.size(); ++t) {
    const AccessCounter::List touched = counters_[t].list();
    kernels::add_document(
        {.df = tables_[t].df, .slots = touched.slots, .slot_count = touched.count});
    ++tables_[t].batches;
    counters_[t].clear();
  }
}

BackgroundUsage BackgroundCollector::result(const std::string& tokenizer_hash, std::int64_t rows,
                                            std::int64_t length) const {
  BackgroundUsage out;
  out.tables = tables_;
  out.batch_rows = rows;
  out.batch_length = length;
  out.tokenizer_hash = tokenizer_hash;
  out.lookup_hash = lookup_hash(model_);
  if (model_.config().memory.layers.size() > 1) {
    for (const ValueTable& table : model_.tables()) out.row_digests.push_back(digest_rows(table));
  }
  return out;
}

std::string df_histogram(const TableBackground& table) {
  std::vector<std::int64_t> bins;
  for (const std::int32_t df : table.df.to_vector<std::int32_t>()) {
    std::size_t bin = 0;
    for (std::int32_t rest = df; rest > 0; rest >>= 1) ++bin;
    if (bins.size() <= bin) bins.resize(bin + 1, 0);
    ++bins[bin];
  }
  const auto slots = static_cast<double>(table.df.elements());
  std::string out =
      fmt::format("slots by the number of the {} batches that read them\n", table.batches);
  for (std::size_t bin = 0; bin < bins.size(); ++bin) {
    const std::int64_t low = bin == 0 ? 0 : std::int64_t{1} << (bin - 1);
    const std::int64_t high = bin == 0 ? 0 : (std::int64_t{1} << bin) - 1;
    const double share = static_cast<double>(bins[bin]) / slots;
    out += fmt::format("{:>7} - {:<7} {:>9}  {:5.1f} % {}\n", low, high, bins[bin], 100.0 * share,
                       std::string(static_cast<std::size_t>(share * 50.0), '#'));
  }
  return out;
}

}  // namespace slotwise
