// Real questions and real text: Wikipedia articles and NaturalQuestions pairs are for pretraining,
// TriviaQA pairs are the new facts. Every pair is put into the frames of data/question_frames.h.
// `old` pairs are tested in the last frame and pretrained on all others; `fully` further pairs are
// pretrained on all, so that the test frame is known; new pairs are taught in all but the last.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "data/dataset.h"
#include "data/question_frames.h"
#include "data/question_pairs.h"
#include "data/token_shard.h"
#include "train/prepare_documents.h"
#include "train/prepare_run.h"

namespace slotwise {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct FactsOptions {
  std::vector<std::string> text, heldout;
  std::string old_questions, new_questions, tokenizer;
  std::map<std::string, std::string> more_questions;
  std::int64_t text_bytes = 0, heldout_bytes = 0, vocabulary_size = 0;
  std::int64_t old_pairs = 0, fully_framed_pairs = 0, new_pairs = 0;
  double question_weight = 0, text_weight = 0;
  PairFilter filter;
};

FactsOptions read_facts_options(const Options& options) {
  FactsOptions o;
  o.text = file_list(options, "text");
  o.heldout = file_list(options, "heldout_text");
  o.old_questions = in_data_folder(options, options.text("data.old_questions", ""));
  o.new_questions = in_data_folder(options, options.text("data.new_questions", ""));
  o.more_questions = question_files(options);
  o.tokenizer = options.text("data.tokenizer", "bpe");
  if (o.tokenizer != "bpe") o.tokenizer = in_data_folder(options, o.tokenizer);
  o.text_bytes = options.count("data.text_bytes", 0, 0);
  o.heldout_bytes = options.count("data.heldout_bytes", 0, 0);
  o.vocabulary_size = options.count("data.vocabulary_size", 1, 4096);
  o.old_pairs = options.count("data.old_pairs", 2, 2000);
  o.fully_framed_pairs = options.count("data.fully_framed_pairs", 1, 500);
  o.new_pairs = options.count("data.new_pairs", 2, 200);
  o.question_weight = options.number("data.question_weight", 0.75);
  o.text_weight = options.number("data.text_weight", 0.25);
  const auto words = [&](const char* key, int otherwise) {
    return static_cast<int>(options.count(std::string("data.") + key, 1, otherwise));
  };
  o.filter.least_question_words = words("least_question_words", o.filter.least_question_words);
  o.filter.most_question_words = words("most_question_words", o.filter.most_question_words);
  o.filter.most_answer_words = words("most_answer_words", o.filter.most_answer_words);
  o.filter.most_answer_bytes = words("most_answer_bytes", o.filter.most_answer_bytes);
  options.refuse_unread("data");
  const auto require = [](bool there, const char* key) {
    if (!there) {
      user_error(
          "[data] kind = \"facts\" needs {}, the path of a file; give it with --set data.{}=FILE",
          key, key);
    }
  };
  for (const char* role : {"old", "old_seen", "new"}) {
    if (o.more_questions.contains(role)) {
      user_error("[data.questions] {} is a set that kind = \"facts\" makes; take another name",
                 role);
    }
  }
  require(!o.text.empty(), "text");
  require(!o.heldout.empty(), "heldout_text");
  require(!o.old_questions.empty(), "old_questions");
  require(!o.new_questions.empty(), "new_questions");
  std::vector<std::string> files = o.text;
  files.insert(files.end(), o.heldout.begin(), o.heldout.end());
  files.insert(files.end(), {o.old_questions, o.new_questions});
  for (const std::string& file : files) {
    if (fs::is_regular_file(file)) continue;
    user_error(
        "there is no file {}; data.folder is the folder that the files of [data] lie in: give "
        "it with --set data.folder=PATH",
        file);
  }
  return o;
}

class FactsWriter {
 public:
  FactsWriter(const FactsOptions& options, std::uint64_t seed, const fs::path& out, bool quiet)
      : options_(options), seed_(seed), out_(out), quiet_(quiet) {
    std::set<std::string> taken;
    old_ = choose_pairs(options_.old_questions, options_.filter,
                        options_.old_pairs + options_.fully_framed_pairs, seed, "facts/old", taken);
    new_ = choose_pairs(options_.new_questions, options_.filter, options_.new_pairs, seed,
                        "facts/new", taken);
  }

  void write() {
    tokenizer_ =
        options_.tokenizer == "bpe" ? trained_tokenizer() : open_tokenizer(options_.tokenizer);
    create_folder(out_);
    fs::remove(out_ / "dataset.json");  // while files are being replaced the folder is no dataset
    tokenizer_->save(out_ / "tokenizer.json");
    write_questions_shard();
    write_document_shard(options_.text, options_.text_bytes, *tokenizer_, out_ / "text.tokens",
                         "text", quiet_);
    write_document_shard(options_.heldout, options_.heldout_bytes, *tokenizer_,
                         out_ / "text_heldout.tokens", "held-out text", quiet_);
    write_facts();
    const auto end_of_old = old_.begin() + options_.old_pairs;
    write_prompts("questions_old.jsonl", {old_.begin(), end_of_old}, test_frame());
    write_prompts("questions_old_seen.jsonl", {old_.begin(), end_of_old}, 0);
    write_prompts("questions_new.jsonl", new_, test_frame());
    DatasetManifest m = manifest();
    copy_questions(options_.more_questions, out_, m);
    write_manifest(m, out_);
  }

 private:
  std::unique_ptr<Tokenizer> trained_tokenizer() const {
    return train_tokenizer(options_.vocabulary_size, quiet_, [&](const auto& add) {
      for_each_document(options_.text, options_.text_bytes, add);
      for_each_old_wording([&](const std::string& wording) { add(wording); });
    });
  }

  template <class Visit>
  void for_each_old_wording(const Visit& visit) const {
    for (std::size_t i = 0; i < old_.size(); ++i) {
      const bool tested = i < static_cast<std::size_t>(options_.old_pairs);
      for (std::size_t f = 0; f < test_frame() + (tested ? 0 : 1); ++f) {
        visit(frame_question(f, old_[i].question, old_[i].answers.front()));
      }
    }
  }

  void write_questions_shard() const {
    TokenShardWriter writer(out_ / "questions.tokens", tokenizer_->vocabulary_size(),
                            tokenizer_->hash());
    const SpecialTokens& special = tokenizer_->special();
    for_each_old_wording([&](const std::string& wording) {
      std::vector<std::int32_t> tokens = tokenizer_->encode(wording);
      if (special.bos) tokens.insert(tokens.begin(), *special.bos);
      if (special.eos) tokens.push_back(*special.eos);
      writer.append(tokens);
    });
    writer.finish();
  }

  void write_facts() const {
    std::string text;
    for (const QuestionPair& pair : new_) {
      ordered_json row;
      row["id"] = pair.id;
      row["answer"] = pair.answers.front();
      for (std::size_t f = 0; f < test_frame(); ++f) {
        row["wordings"].push_back(frame_question(f, pair.question, pair.answers.front()));
      }
      text += row.dump() + "\n";
    }
    write_file_atomically(out_ / "facts.jsonl", text);
  }

  void write_prompts(const char* name, const std::vector<QuestionPair>& pairs,
                     std::size_t frame) const {
    std::string text;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      const QuestionPair& pair = pairs[i];
      ordered_json row;
      row["id"] = pair.id;
      row["prompt"] = frame == test_frame() ? test_prompt(pair.question) : pair.question + "?";
      row["answers"] = pair.answers;
      row["half"] = i % 2;
      text += row.dump() + "\n";
    }
    write_file_atomically(out_ / name, text);
  }

  DatasetManifest manifest() const {
    DatasetManifest m;
    m.name = "facts";
    m.seed = seed_;
    m.options = ordered_json({{"old_pairs", options_.old_pairs},
                              {"fully_framed_pairs", options_.fully_framed_pairs},
                              {"new_pairs", options_.new_pairs},
                              {"frames", question_frame_names()}})
                    .dump();
    m.tokenizer_hash = tokenizer_->hash();
    m.parts = {{"questions", "questions.tokens", PartKind::rows, options_.question_weight},
               {"text", "text.tokens", PartKind::stream, options_.text_weight}};
    m.heldout_text = "text_heldout.tokens";
    m.facts = "facts.jsonl";
    m.questions = {{"old", "questions_old.jsonl"},
                   {"old_seen", "questions_old_seen.jsonl"},
                   {"new", "questions_new.jsonl"}};
    return m;
  }

  FactsOptions options_;
  std::uint64_t seed_;
  fs::path out_;
  bool quiet_;
  std::vector<QuestionPair> old_, new_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

}  // namespace

void prepare_facts(const Options& options, std::uint64_t seed, const fs::path& out, bool quiet) {
  FactsWriter(read_facts_options(options), seed, out, quiet).write();
}

}  // namespace slotwise
