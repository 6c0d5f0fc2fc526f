// Making dataset folders from the [data] section of the settings.
#pragma once

#include <cstdint>
#include <filesystem>

#include "train/options.h"

namespace slotwise {

struct PrepareRequest {
  Options options;
  std::filesystem::path out;
  std::uint64_t seed = 0;
  bool fresh = false;
  bool quiet = false;
};
// Does nothing where the folder was made with the same settings and its files are still as they
// were made (prepare.json has their digests); UserError otherwise.
void prepare(const PrepareRequest& request);

// For both kinds below, data.folder is the folder that the files of [data] lie in (default: the
// working folder).

// kind = "text". Keys: text (list of JSONL files with a field "text"), heldout_text, questions
// (roles to files), facts, tokenizer ("bpe", or the path of a tokenizer.json), vocabulary_size,
// train_bytes.
void prepare_text(const Options& options, std::uint64_t seed, const std::filesystem::path& out,
                  bool quiet);

// kind = "facts": pretraining text and question pairs, and other pairs as the facts to teach. Keys:
// text, heldout_text (lists of JSONL files), old_questions, new_questions (question files),
// text_bytes, heldout_bytes (0: all), old_pairs, fully_framed_pairs, new_pairs, question_weight,
// text_weight, tokenizer, vocabulary_size, questions (further roles to files), and the bounds of
// data/question_pairs.h.
void prepare_facts(const Options& options, std::uint64_t seed, const std::filesystem::path& out,
                   bool quiet);

}  // namespace slotwise
