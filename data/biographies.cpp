#include "data/biographies.h"

#include <nlohmann/json.hpp>
#include <system_error>

#include "core/error.h"
#include "core/files.h"
#include "data/biography_text.h"
#include "data/biography_world.h"
#include "data/fact_world.h"

namespace slotwise {
namespace {

using nlohmann::ordered_json;

FactWorldWeights weights_of(const BiographyOptions& options) {
  return {options.statement_weight, options.question_weight, options.text_weight};
}

void check(const BiographyOptions& options) {
  const auto at_least = [](const char* name, int value, int least) {
    if (value < least) user_error("{} must be at least {}, got {}", name, least, value);
  };
  at_least("first_names", options.first_names, 1);
  at_least("last_names", options.last_names, 1);
  at_least("fully_questioned_people", options.fully_questioned_people, 0);
  // Two people for the two halves of the prompts.
  at_least("old_people", options.old_people, options.fully_questioned_people + 2);
  at_least("new_people", options.new_people, 2);
  at_least("values", options.values, 1);
  at_least("text_sentences", options.text_sentences, 1);
  at_least("heldout_sentences", options.heldout_sentences, 1);
  const std::int64_t pairs = std::int64_t{options.first_names} * options.last_names;
  const std::int64_t people = std::int64_t{options.old_people} + options.new_people;
  if (people > pairs) {
    user_error("{} people need as many names, but {} first x {} last names make {}", people,
               options.first_names, options.last_names, pairs);
  }
  check_weights(weights_of(options));
}

// One world on its way into a folder.
class BiographyWriter {
 public:
  BiographyWriter(const BiographyOptions& options, const std::filesystem::path& folder)
      : options_(options),
        folder_(folder),
        world_(options),
        tokenizer_(make_fact_world_tokenizer(biography_vocabulary(options))) {}

  void write() const {
    tokenizer_->save(folder_ / "tokenizer.json");
    write_shard("old_statements.tokens", [&](const auto& add) { add_old_statements(add); });
    write_shard("old_questions.tokens", [&](const auto& add) { add_old_questions(add); });
    write_text("text.tokens", "biographies/text", options_.text_sentences);
    write_text("text_heldout.tokens", "biographies/text_heldout", options_.heldout_sentences);
    write_facts();
    write_questions("questions_old.jsonl", options_.fully_questioned_people, options_.old_people);
    write_questions("questions_new.jsonl", options_.old_people, people());
    write_new_statements();
    write_manifest(manifest(), folder_);
  }

 private:
  int people() const { return options_.old_people + options_.new_people; }

  template <class Fill>
  void write_shard(const char* name, Fill&& fill) const {
    write_sentences(folder_ / name, *tokenizer_, fill);
  }

  template <class Add>
  void add_old_statements(const Add& add) const {
    for (int person = 0; person < options_.old_people; ++person) {
      for (std::size_t a = 0; a < kBiographyAttributes.size(); ++a) {
        for (const char* wording : kBiographyAttributes[a].statements) {
          add(world_.sentence(person, a, wording));
        }
      }
    }
  }

  template <class Add>
  void add_old_questions(const Add& add) const {
    for (int person = 0; person < options_.old_people; ++person) {
      for (std::size_t a = 0; a < kBiographyAttributes.size(); ++a) {
        const auto& wordings = kBiographyAttributes[a].questions;
        const bool all = person < options_.fully_questioned_people;
        for (std::size_t q = 0; q < wordings.size() - (all ? 0 : 1); ++q) {
          add(world_.sentence(person, a, wordings[q]));
        }
      }
    }
  }

  void write_text(const char* name, const char* stream, int sentences) const {
    const BiographyGrammar grammar(options_.seed);
    Random random(options_.seed, stream);
    write_shard(name, [&](const auto& add) {
      for (int i = 0; i < sentences; ++i) add(grammar.sentence(random));
    });
  }

  static std::string fact_id(int person, std::size_t attribute) {
    return fmt::format("person{}/{}", person, kBiographyAttributes[attribute].name);
  }

  void write_facts() const {
    std::string text;
    for (int person = options_.old_people; person < people(); ++person) {
      for (std::size_t a = 0; a < kBiographyAttributes.size(); ++a) {
        const BiographyAttribute& attribute = kBiographyAttributes[a];
        std::vector<std::string> wordings;
        for (const char* wording : attribute.statements) {
          wordings.push_back(world_.sentence(person, a, wording));
        }
        for (std::size_t q = 0; q + 1 < attribute.questions.size(); ++q) {
          wordings.push_back(world_.sentence(person, a, attribute.questions[q]));
        }
        text += fact_line(fact_id(person, a), wordings);
      }
    }
    write_file_atomically(folder_ / "facts.jsonl", text);
  }

  std::string prompt_row(int person, std::size_t attribute, const char* wording,
                         const std::string& form) const {
    // Whole persons, so that both halves hold all attributes.
    return prompt_line(fact_id(person, attribute) + "/" + form,
                       world_.prompt(person, attribute, wording), world_.answer(person, attribute),
                       person % 2);
  }

  void write_questions(const char* name, int first_person, int end_person) const {
    std::string text;
    for (int person = first_person; person < end_person; ++person) {
      for (std::size_t a = 0; a < kBiographyAttributes.size(); ++a) {
        text += prompt_row(person, a, kBiographyAttributes[a].questions.back(), "question4");
      }
    }
    write_file_atomically(folder_ / name, text);
  }

  void write_new_statements() const {
    std::string text;
    for (int person = options_.old_people; person < people(); ++person) {
      for (std::size_t a = 0; a < kBiographyAttributes.size(); ++a) {
        const auto& wordings = kBiographyAttributes[a].statements;
        for (std::size_t s = 0; s < wordings.size(); ++s) {
          text += prompt_row(person, a, wordings[s], fmt::format("statement{}", s + 1));
        }
      }
    }
    write_file_atomically(folder_ / "statements_new.jsonl", text);
  }

  DatasetManifest manifest() const {
    ordered_json sizes;
    sizes["first_names"] = options_.first_names;
    sizes["last_names"] = options_.last_names;
    sizes["old_people"] = options_.old_people;
    sizes["fully_questioned_people"] = options_.fully_questioned_people;
    sizes["new_people"] = options_.new_people;
    sizes["values"] = options_.values;
    sizes["text_sentences"] = options_.text_sentences;
    sizes["heldout_sentences"] = options_.heldout_sentences;
    DatasetManifest manifest = fact_world_manifest("biographies", options_.seed, sizes.dump(),
                                                   *tokenizer_, weights_of(options_));
    manifest.questions["new_statements"] = "statements_new.jsonl";
    return manifest;
  }

  BiographyOptions options_;
  std::filesystem::path folder_;
  BiographyWorld world_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

}  // namespace

void write_biographies(const BiographyOptions& options, const std::filesystem::path& folder) {
  check(options);
  create_folder(folder);
  // While the files are being replaced the folder is no dataset.
  std::error_code error;
  std::filesystem::remove(folder / "dataset.json", error);
  if (error) {
    user_error("cannot replace {}: {}", (folder / "dataset.json").string(), error.message());
  }
  BiographyWriter(options, folder).write();
}

}  // namespace slotwise
