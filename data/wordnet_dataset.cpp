#include "data/wordnet_dataset.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <system_error>
#include <unordered_set>

#include "core/error.h"
#include "core/files.h"
#include "core/random.h"
#include "data/fact_world.h"
#include "data/wordnet.h"
#include "data/wordnet_facts.h"
#include "data/wordnet_text.h"

namespace slotwise {
namespace {

using nlohmann::ordered_json;

FactWorldWeights weights_of(const WordNetOptions& options) {
  return {options.statement_weight, options.question_weight, options.text_weight};
}

void check(const WordNetOptions& options) {
  const auto at_least = [](const char* name, int value, int least) {
    if (value < least) user_error("{} must be at least {}, got {}", name, least, value);
  };
  at_least("vocabulary", options.vocabulary, 1);
  at_least("fully_questioned_nouns", options.fully_questioned_nouns, 0);
  // Two nouns for the two halves of the prompts.
  at_least("old_nouns", options.old_nouns, options.fully_questioned_nouns + 2);
  at_least("new_nouns", options.new_nouns, 2);
  at_least("longest_sentence", options.longest_sentence, 3);
  at_least("heldout_sentences", options.heldout_sentences, 1);
  if (!(options.largest_share > 0 && options.largest_share <= 1)) {
    user_error("largest_share must be above 0 and at most 1, got {}", options.largest_share);
  }
  check_weights(weights_of(options));
}

// The same for every seed: <pad>, <bos>, the words of the wordings and categories, then the text's.
std::vector<std::string> vocabulary_of(const GlossText& text) {
  std::vector<std::string> words;
  std::unordered_set<std::string> seen;
  const auto add = [&](const std::string& word) {
    if (seen.insert(word).second) words.push_back(word);
  };
  const auto add_template = [&](const std::string& wording) {
    for (std::size_t begin = 0; begin < wording.size();) {
      const std::size_t end = std::min(wording.find(' ', begin), wording.size());
      const std::string word = wording.substr(begin, end - begin);
      if (word != "S" && word != "A") add(word);
      begin = end + 1;
    }
  };
  add("<pad>");
  add("<bos>");
  for (const WordNetWordings& wordings : kWordNetWordings) {
    for (const char* wording : wordings.statements) add_template(wording);
    for (const char* wording : wordings.questions) add_template(wording);
  }
  for (int file = 0; file < 100; ++file) {
    if (const auto name = noun_category(file); !name.empty()) add(std::string(name));
  }
  for (std::size_t number = 1; !number_word(number).empty(); ++number) {
    add(std::string(number_word(number)));
  }
  for (const std::string& word : text.vocabulary()) add(word);
  return words;
}

class WordNetWriter {
 public:
  WordNetWriter(const WordNetOptions& options, const std::filesystem::path& folder)
      : options_(options),
        folder_(folder),
        text_(options.wordnet,
              {.vocabulary = options.vocabulary, .longest = options.longest_sentence}),
        nouns_(choose_nouns(
            askable_nouns(WordNetNouns(options.wordnet), text_,
                          {.least_facts = options.least_facts,
                           .least_uses = options.least_uses,
                           .longest_definition = options.longest_definition}),
            {options.seed, options.old_nouns, options.new_nouns, options.largest_share})),
        tokenizer_(make_fact_world_tokenizer(vocabulary_of(text_))),
        sentences_(draw_sentences()) {}

  void write() const {
    tokenizer_->save(folder_ / "tokenizer.json");
    write_shard("old_statements.tokens", [&](const auto& add) { add_old_statements(add); });
    write_shard("old_questions.tokens", [&](const auto& add) { add_old_questions(add); });
    const auto heldout = sentences_.begin() + options_.heldout_sentences;
    write_shard("text_heldout.tokens",
                [&](const auto& add) { std::for_each(sentences_.begin(), heldout, add); });
    write_shard("text.tokens",
                [&](const auto& add) { std::for_each(heldout, sentences_.end(), add); });
    write_facts();
    write_questions("questions_old.jsonl", nouns_.old_nouns, fully_questioned());
    write_questions("questions_new.jsonl", nouns_.new_nouns, 0);
    write_manifest(manifest(), folder_);
  }

 private:
  std::size_t fully_questioned() const {
    return static_cast<std::size_t>(options_.fully_questioned_nouns);
  }

  // The text in the order of a draw; the held-out sentences stand first.
  std::vector<std::string> draw_sentences() const {
    std::unordered_set<std::string> hidden;
    for (const auto* nouns : {&nouns_.old_nouns, &nouns_.new_nouns}) {
      for (const FactNoun& noun : *nouns) hidden.insert(noun.synset);
    }
    std::vector<std::string> all;
    for (const GlossSentence& sentence : text_.sentences()) {
      const auto& synsets = sentence.noun_synsets;
      const bool asked = std::any_of(synsets.begin(), synsets.end(),
                                     [&](const auto& synset) { return hidden.contains(synset); });
      if (!asked) all.push_back(joined(sentence.words) + " .");
    }
    const auto count = static_cast<std::int64_t>(all.size());
    if (count <= options_.heldout_sentences) {
      user_error("the text has {} sentences, too few to hold {} out; raise vocabulary", count,
                 options_.heldout_sentences);
    }
    std::vector<std::string> drawn;
    for (const std::int64_t place : Random(options_.seed, "wordnet/text").permutation(count)) {
      drawn.push_back(std::move(all[static_cast<std::size_t>(place)]));
    }
    return drawn;
  }

  template <class Fill>
  void write_shard(const char* name, Fill&& fill) const {
    write_sentences(folder_ / name, *tokenizer_, fill);
  }

  template <class Add>
  void add_old_statements(const Add& add) const {
    for (const FactNoun& noun : nouns_.old_nouns) {
      for (const NounFact& fact : noun.facts) {
        for (const char* wording : kWordNetWordings[fact.relation].statements) {
          add(fact_sentence(fact, wording));
        }
      }
    }
  }

  template <class Add>
  void add_old_questions(const Add& add) const {
    for (std::size_t i = 0; i < nouns_.old_nouns.size(); ++i) {
      for (const NounFact& fact : nouns_.old_nouns[i].facts) {
        const auto& wordings = kWordNetWordings[fact.relation].questions;
        const std::size_t end = wordings.size() - (i < fully_questioned() ? 0 : 1);
        for (std::size_t q = 0; q < end; ++q) add(fact_sentence(fact, wordings[q]));
      }
    }
  }

  static std::string fact_id(const FactNoun& noun, const NounFact& fact) {
    return fmt::format("{}/{}", noun.noun, kWordNetWordings[fact.relation].relation);
  }

  void write_facts() const {
    std::string text;
    for (const FactNoun& noun : nouns_.new_nouns) {
      for (const NounFact& fact : noun.facts) {
        const WordNetWordings& all = kWordNetWordings[fact.relation];
        std::vector<std::string> wordings;
        for (const char* wording : all.statements) {
          wordings.push_back(fact_sentence(fact, wording));
        }
        for (std::size_t q = 0; q + 1 < all.questions.size(); ++q) {
          wordings.push_back(fact_sentence(fact, all.questions[q]));
        }
        text += fact_line(fact_id(noun, fact), wordings);
      }
    }
    write_file_atomically(folder_ / "facts.jsonl", text);
  }

  void write_questions(const char* name, const std::vector<FactNoun>& nouns,
                       std::size_t first) const {
    std::string text;
    for (std::size_t i = first; i < nouns.size(); ++i) {
      for (const NounFact& fact : nouns[i].facts) {
        text += prompt_line(fact_id(nouns[i], fact) + "/question8",
                            fact_prompt(fact, kWordNetWordings[fact.relation].questions.back()),
                            fact.answer, static_cast<int>(i % 2));
      }
    }
    write_file_atomically(folder_ / name, text);
  }

  DatasetManifest manifest() const {
    ordered_json sizes;
    sizes["vocabulary"] = options_.vocabulary;
    sizes["old_nouns"] = options_.old_nouns;
    sizes["fully_questioned_nouns"] = options_.fully_questioned_nouns;
    sizes["new_nouns"] = options_.new_nouns;
    sizes["least_facts"] = options_.least_facts;
    sizes["least_uses"] = options_.least_uses;
    sizes["longest_definition"] = options_.longest_definition;
    sizes["longest_sentence"] = options_.longest_sentence;
    sizes["largest_share"] = options_.largest_share;
    sizes["heldout_sentences"] = options_.heldout_sentences;
    // What the most frequent answer of each relation would score on the prompts.
    const auto tested = nouns_.old_nouns.begin() + options_.fully_questioned_nouns;
    sizes["majority_old"] = majority_share(nouns_.old_nouns, {tested, nouns_.old_nouns.end()});
    sizes["majority_new"] = majority_share(nouns_.old_nouns, nouns_.new_nouns);
    return fact_world_manifest("wordnet", options_.seed, sizes.dump(), *tokenizer_,
                               weights_of(options_));
  }

  WordNetOptions options_;
  std::filesystem::path folder_;
  GlossText text_;
  OldAndNewNouns nouns_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::vector<std::string> sentences_;
};

}  // namespace

void write_wordnet(const WordNetOptions& options, const std::filesystem::path& folder) {
  check(options);
  wordnet_files(options.wordnet);
  const WordNetWriter writer(options, folder);
  create_folder(folder);
  // While the files are being replaced the folder is no dataset.
  std::error_code error;
  std::filesystem::remove(folder / "dataset.json", error);
  if (error) {
    user_error("cannot replace {}: {}", (folder / "dataset.json").string(), error.message());
  }
  writer.write();
}

}  // namespace slotwise
