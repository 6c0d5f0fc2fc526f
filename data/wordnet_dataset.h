// The dataset of kind "wordnet": real words and real relations from the database files of WordNet
// (Debian's wordnet-base). Old nouns are taught in pretraining, beside definitions and examples of
// WordNet as general text; new nouns, which the model has met only as words of that text, are left
// for finetuning. A noun has a category, a kind, a number of senses, and where WordNet has them a
// more general kind, a synonym, an example, a part, a whole and a definition. Each noun under test
// is asked with a wording of the question that was never used for it. The defaults are those of the
// preset.
#pragma once

#include <cstdint>
#include <filesystem>

namespace slotwise {

struct WordNetOptions {
  std::uint64_t seed = 0;
  std::filesystem::path wordnet = "/usr/share/wordnet";
  int vocabulary = 3000;  // words of the general text; every noun and answer is one of them
  int old_nouns = 256;
  int fully_questioned_nouns = 160;  // old nouns pretrained on all question wordings: not tested
  int new_nouns = 20;
  int least_facts = 4;          // of a noun
  int least_uses = 10;          // of a noun in the general text
  int longest_definition = 8;   // in words, where it is asked about
  int longest_sentence = 12;    // of the general text, in words
  double largest_share = 0.15;  // of the nouns that may have the same answer to one relation
  int heldout_sentences = 512;
  double statement_weight = 0.35;  // shares of a pretraining batch
  double question_weight = 0.40;
  double text_weight = 0.25;
};

// Writes a dataset folder (see data/dataset.h): tokenizer.json; the parts old_statements,
// old_questions and text; text_heldout.tokens; facts.jsonl (a row for each fact of a new noun, with
// all statements and all question wordings but the last); and prompts with their answers:
//   questions_old.jsonl   the last question wording of the old nouns who never saw it
//   questions_new.jsonl   the same of the new nouns
// `half` splits the prompts by noun. Definitions and examples of the nouns that are asked about are
// left out of the text. An earlier dataset in the folder is replaced. UserError where the options
// contradict each other, WordNet's files are missing or the folder cannot be written.
void write_wordnet(const WordNetOptions& options, const std::filesystem::path& folder);

}  // namespace slotwise
