// Which nouns of WordNet are asked about and what is true of them. A noun stands for the synset of
// its most frequent sense. Nouns, answers and the words of definitions all come from the vocabulary
// of the gloss text, so that a new fact is about words that the model has read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/wordnet.h"
#include "data/wordnet_templates.h"
#include "data/wordnet_text.h"

namespace slotwise {

struct NounFact {
  WordNetRelation relation = kCategory;
  std::string subject;  // the noun; its definition where the relation is kMeaning
  std::string answer;   // one word
};

struct FactNoun {
  std::string noun;
  std::string synset;  // offset
  std::vector<NounFact> facts;
};

struct NounLimits {
  int least_facts = 0;         // of a noun
  int least_uses = 0;          // of the noun in the gloss text
  int longest_definition = 0;  // in words, where it is asked about
};

// The nouns that can be asked about, most frequent word first. A common noun of at least three
// letters that was met in tagged text, with a category, at most nine senses and a hypernym ("kind")
// at most three steps up that at least five of the nouns share. No two stand for the same synset.
std::vector<FactNoun> askable_nouns(const WordNetNouns& nouns, const GlossText& text,
                                    const NounLimits& limits);

struct NounChoice {
  std::uint64_t seed = 0;
  int old_nouns = 0;
  int new_nouns = 0;
  double largest_share = 1.0;  // of the nouns that may have the same answer to one relation
};
struct OldAndNewNouns {
  std::vector<FactNoun> old_nouns, new_nouns;
};

// Old nouns are drawn by the seed. New nouns are drawn from the rest such that no old fact has one
// as its answer. They keep the facts whose answer at least two old nouns have for that relation
// (the others would teach a new way to answer beside the fact), among them category and kind, and
// at least three. UserError where there are too few nouns.
OldAndNewNouns choose_nouns(const std::vector<FactNoun>& askable, const NounChoice& choice);

// Share of the facts of `asked` that the most frequent answer of the relation among `known`
// answers: what can be had without knowing anything of a noun.
double majority_share(const std::vector<FactNoun>& known, const std::vector<FactNoun>& asked);

// "one" to "nine"; empty for other numbers.
std::string_view number_word(std::size_t number);

// The template with subject and answer; the prompt ends before the answer.
std::string fact_sentence(const NounFact& fact, const char* wording);
std::string fact_prompt(const NounFact& fact, const char* wording);

}  // namespace slotwise
