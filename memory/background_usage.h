// The background B of TF-IDF: in how many batches of the pretraining data each slot was read at all
// (SMF section 3). Computed once, stored with the checkpoint, and refused where the model looks
// slots up differently.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "memory/access_counter.h"
#include "memory/memory_model.h"
#include "memory/slot_selector.h"

namespace slotwise {

struct BackgroundUsage {
  std::vector<TableBackground> tables;
  std::int64_t batch_rows = 0;    // sequences a batch
  std::int64_t batch_length = 0;  // most tokens a row may have
  std::string tokenizer_hash;
  std::string lookup_hash;
  std::string source;  // which data and seed the batches came from, as the maker describes it
  // With several memory layers on the way, later lookups depend on values: a digest per row tells
  // how many changed since. Empty otherwise.
  std::vector<std::vector<std::int64_t>> row_digests;
};

// Watches a model's forwards for as long as it lives; each end_batch() closes one background batch.
class BackgroundCollector {
 public:
  explicit BackgroundCollector(MemoryModel& model);
  ~BackgroundCollector();
  void end_batch();
  // df so far, with the model's hashes filled in.
  BackgroundUsage result(const std::string& tokenizer_hash, std::int64_t rows,
                         std::int64_t length) const;

 private:
  MemoryModel& model_;
  std::vector<AccessCounter> counters_;
  std::vector<TableBackground> tables_;
};

// background.safetensors, or background.NAME.safetensors: a checkpoint may hold several. UserError
// for a name with other characters than letters, digits, '_' and '-'.
std::filesystem::path background_path(const std::filesystem::path& checkpoint,
                                      const std::string& name);
bool is_background_file(const std::string& file_name);
std::vector<std::filesystem::path> background_files(const std::filesystem::path& checkpoint);

void save_background(const BackgroundUsage& background, const std::filesystem::path& path);
BackgroundUsage load_background(const std::filesystem::path& path);

// UserError naming what differs (slots, tables, tokenizer, lookup). Returns the number of value
// rows that changed since the background was taken, where that matters, for a warning.
std::int64_t check_background(const BackgroundUsage& background, const MemoryModel& model,
                              const std::string& tokenizer_hash);

// How many slots were read in 0, 1, 2-3, 4-7, ... batches: the shape of df, as text.
std::string df_histogram(const TableBackground& table);

}  // namespace slotwise
