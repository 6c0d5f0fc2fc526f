// Real text: JSONL files of documents become token shards; the tokenizer is given or trained on
// them.
#include "core/error.h"
#include "core/files.h"
#include "data/dataset.h"
#include "data/fact_stream.h"
#include "data/tokenizer.h"
#include "train/prepare_documents.h"
#include "train/prepare_run.h"

namespace slotwise {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<Tokenizer> make_tokenizer(const Options& options,
                                          const std::vector<std::string>& files, bool quiet) {
  const std::string how = options.text("data.tokenizer", "bpe");
  const std::int64_t size = options.count("data.vocabulary_size", 1, 8192);
  const std::int64_t budget = options.count("data.train_bytes", 1, 20'000'000);
  options.refuse_unread("data");
  if (how != "bpe") return open_tokenizer(in_data_folder(options, how));
  return train_tokenizer(size, quiet,
                         [&](const auto& add) { for_each_document(files, budget, add); });
}

}  // namespace

void prepare_text(const Options& options, std::uint64_t seed, const fs::path& out, bool quiet) {
  const std::vector<std::string> text = file_list(options, "text");
  const std::vector<std::string> heldout = file_list(options, "heldout_text");
  const std::map<std::string, std::string> questions = question_files(options);
  const std::string facts = in_data_folder(options, options.text("data.facts", ""));
  if (text.empty()) user_error("[data] kind = \"text\" needs text = [\"file.jsonl\", ...]");
  // What can be wrong is found before anything is written.
  if (!facts.empty()) read_facts(facts);
  const std::unique_ptr<Tokenizer> tokenizer = make_tokenizer(options, text, quiet);
  create_folder(out);
  fs::remove(out / "dataset.json");  // while files are being replaced the folder is no dataset

  DatasetManifest manifest;
  manifest.name = "text";
  manifest.seed = seed;
  manifest.tokenizer_hash = tokenizer->hash();
  manifest.parts = {{"text", "text.tokens", PartKind::stream, 1.0}};
  tokenizer->save(out / "tokenizer.json");
  write_document_shard(text, 0, *tokenizer, out / "text.tokens", "text", quiet);
  if (!heldout.empty()) {
    manifest.heldout_text = "text_heldout.tokens";
    write_document_shard(heldout, 0, *tokenizer, out / manifest.heldout_text, "held-out text",
                         quiet);
  }
  if (!facts.empty()) {
    manifest.facts = "facts.jsonl";
    copy_in(facts, out / manifest.facts);
  }
  copy_questions(questions, out, manifest);
  write_manifest(manifest, out);
}

}  // namespace slotwise
