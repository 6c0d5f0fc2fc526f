// The biographies: a small made-up world in which a model can learn facts, learn new ones and
// forget old ones within minutes. People are pairs of a first and a last name; each has one value
// of each attribute. Old people are taught in pretraining, beside the text of a small grammar; new
// people are pairs of known names and are left for finetuning. Each person is asked with a wording
// of the question that was never used for that person. The defaults are the world of the preset.
#pragma once

#include <cstdint>
#include <filesystem>

namespace slotwise {

struct BiographyOptions {
  std::uint64_t seed = 0;
  int first_names = 64;
  int last_names = 64;
  int old_people = 256;
  int fully_questioned_people = 128;  // old people pretrained on all question wordings: not tested
  int new_people = 16;
  int values = 32;  // of each attribute
  int text_sentences = 20000;
  int heldout_sentences = 512;
  double statement_weight = 0.35;  // shares of a pretraining batch
  double question_weight = 0.40;
  double text_weight = 0.25;
};

// Writes a dataset folder (see data/dataset.h): tokenizer.json; the parts old_statements,
// old_questions and text; text_heldout.tokens; facts.jsonl (a row for each attribute of a new
// person, with all statements and all question wordings but the last); and prompts with their
// answers:
//   questions_old.jsonl   the last question wording of the old people who never saw it
//   questions_new.jsonl   the same of the new people
//   statements_new.jsonl  the statements of the new people, cut before the answer
// `half` splits the prompts by person. An earlier dataset in the folder is replaced. UserError
// where the options contradict each other or the folder cannot be written.
void write_biographies(const BiographyOptions& options, const std::filesystem::path& folder);

}  // namespace slotwise
