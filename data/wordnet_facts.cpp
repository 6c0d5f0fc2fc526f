#include "data/wordnet_facts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "core/random.h"

namespace slotwise {
namespace {

constexpr std::size_t kShortestNoun = 3;  // "a", "in", "he" are nouns of WordNet too
constexpr int kSteps = 3;                 // up to a kind
constexpr int kSharedKind = 5;
constexpr int kKnownAnswer = 2;  // old nouns that have the answer of a new one
constexpr std::size_t kLeastNewFacts = 3;

// Finds the facts of one noun after the other.
class NounReader {
 public:
  NounReader(const WordNetNouns& nouns, const GlossText& text, const NounLimits& limits)
      : nouns_(nouns), text_(text), limits_(limits) {
    for (const GlossSentence& sentence : text.sentences()) {
      for (const std::string& word : sentence.words) ++uses_[word];
    }
    for (const WordNetLemma& lemma : nouns.lemmas()) lemmas_.emplace(lemma.lemma, &lemma);
  }

  std::optional<FactNoun> read(const std::string& noun) const {
    const auto found = lemmas_.find(noun);
    if (noun.size() < kShortestNoun || found == lemmas_.end()) return std::nullopt;
    const WordNetLemma& lemma = *found->second;
    const auto uses = uses_.find(noun);
    if (lemma.tagged_senses < 1 || uses == uses_.end() || uses->second < limits_.least_uses) {
      return std::nullopt;
    }
    const WordNetSynset& synset = nouns_.synset(lemma.offsets.front());
    // A proper noun is written with a capital in its synset.
    if (std::find(synset.words.begin(), synset.words.end(), noun) == synset.words.end()) {
      return std::nullopt;
    }
    const std::string_view senses = number_word(lemma.offsets.size());
    if (senses.empty()) return std::nullopt;
    FactNoun out{noun, synset.offset, {{kSenses, noun, std::string(senses)}}};
    add_facts(synset, out);
    return out;
  }

 private:
  void add_facts(const WordNetSynset& synset, FactNoun& out) const {
    const auto add = [&](WordNetRelation relation, const std::optional<std::string>& answer) {
      if (answer) out.facts.push_back({relation, out.noun, *answer});
    };
    add(kCategory, category(synset));
    const WordNetSynset* kind = nullptr;
    add(kKind, ancestor(synset, out.noun, kind));
    if (kind != nullptr) add(kGeneralKind, ancestor(*kind, out.noun, kind));
    add(kSynonym, known_word(synset, out.noun));
    add(kExample, neighbour(synset, {"~"}, out.noun));
    add(kPart, neighbour(synset, {"%p", "%s", "%m"}, out.noun));
    add(kWhole, neighbour(synset, {"#p", "#s", "#m"}, out.noun));
    const std::vector<std::string> definition = gloss_words(synset.definition);
    const auto size = static_cast<int>(definition.size());
    if (size < 2 || size > limits_.longest_definition) return;
    for (const std::string& word : definition) {
      if (!text_.knows(word) || word == out.noun) return;
    }
    out.facts.push_back({kMeaning, joined(definition), out.noun});
  }

  static std::optional<std::string> category(const WordNetSynset& synset) {
    const std::string_view name = noun_category(synset.lexicographer_file);
    // noun.Tops holds the uppermost synsets of all the others.
    if (name.empty() || name == "Tops") return std::nullopt;
    return std::string(name);
  }

  // The nearest hypernym that has a word of the vocabulary, and its synset.
  std::optional<std::string> ancestor(const WordNetSynset& synset, const std::string& noun,
                                      const WordNetSynset*& found) const {
    const WordNetSynset* at = &synset;
    found = nullptr;
    for (int step = 0; step < kSteps; ++step) {
      const auto up = std::find_if(at->pointers.begin(), at->pointers.end(),
                                   [](const auto& pointer) { return pointer.symbol == "@"; });
      if (up == at->pointers.end()) return std::nullopt;
      at = &nouns_.synset(up->target);
      if (auto word = known_word(*at, noun)) {
        found = at;
        return word;
      }
    }
    return std::nullopt;
  }

  // The first word of a synset that is in the vocabulary and not the noun itself.
  std::optional<std::string> known_word(const WordNetSynset& synset,
                                        const std::string& noun) const {
    for (const std::string& word : synset.words) {
      if (word.size() >= kShortestNoun && word != noun && text_.knows(word)) return word;
    }
    return std::nullopt;
  }

  std::optional<std::string> neighbour(const WordNetSynset& synset,
                                       const std::vector<std::string_view>& symbols,
                                       const std::string& noun) const {
    for (const WordNetPointer& pointer : synset.pointers) {
      if (std::find(symbols.begin(), symbols.end(), pointer.symbol) == symbols.end()) continue;
      if (auto word = known_word(nouns_.synset(pointer.target), noun)) return word;
    }
    return std::nullopt;
  }

  const WordNetNouns& nouns_;
  const GlossText& text_;
  NounLimits limits_;
  std::unordered_map<std::string, int> uses_;
  std::unordered_map<std::string, const WordNetLemma*> lemmas_;
};

const NounFact* fact_of(const FactNoun& noun, WordNetRelation relation) {
  for (const NounFact& fact : noun.facts) {
    if (fact.relation == relation) return &fact;
  }
  return nullptr;
}

using Answers = std::map<std::pair<WordNetRelation, std::string>, int>;

Answers count_answers(const std::vector<FactNoun>& nouns) {
  Answers counts;
  for (const FactNoun& noun : nouns) {
    for (const NounFact& fact : noun.facts) ++counts[{fact.relation, fact.answer}];
  }
  return counts;
}

// Takes nouns in the order of a draw as long as no answer is given too often.
class NounTaker {
 public:
  NounTaker(int wanted, double largest_share)
      : wanted_(wanted), most_(std::max(1, static_cast<int>(std::floor(largest_share * wanted)))) {}

  bool full() const { return static_cast<int>(taken_.size()) == wanted_; }
  bool take(const FactNoun& noun) {
    for (const NounFact& fact : noun.facts) {
      const auto found = counts_.find({fact.relation, fact.answer});
      if (found != counts_.end() && found->second >= most_) return false;
    }
    for (const NounFact& fact : noun.facts) ++counts_[{fact.relation, fact.answer}];
    taken_.push_back(noun);
    return true;
  }
  const std::vector<FactNoun>& taken() const { return taken_; }

 private:
  int wanted_, most_;
  Answers counts_;
  std::vector<FactNoun> taken_;
};

FactNoun with_known_answers(FactNoun noun, const Answers& answers) {
  std::erase_if(noun.facts, [&](const NounFact& fact) {
    const auto found = answers.find({fact.relation, fact.answer});
    return found == answers.end() || found->second < kKnownAnswer;
  });
  return noun;
}

void check_enough(const NounTaker& taker, int wanted, const char* which) {
  if (taker.full()) return;
  user_error(
      "only {} {} nouns fit where {} are wanted; lower {}_nouns, least_facts or least_uses, or "
      "raise vocabulary or largest_share",
      taker.taken().size(), which, wanted, which);
}

std::string fill(const NounFact& fact, std::string_view wording, bool until_answer) {
  std::string text;
  while (!wording.empty()) {
    const std::size_t end = std::min(wording.find(' '), wording.size());
    const std::string_view word = wording.substr(0, end);
    wording.remove_prefix(std::min(end + 1, wording.size()));
    if (until_answer && word == "A") break;
    if (!text.empty()) text += ' ';
    text += word == "S" ? fact.subject : word == "A" ? fact.answer : std::string(word);
  }
  return text;
}

}  // namespace

std::vector<FactNoun> askable_nouns(const WordNetNouns& nouns, const GlossText& text,
                                    const NounLimits& limits) {
  const NounReader reader(nouns, text, limits);
  std::vector<FactNoun> all;
  std::unordered_set<std::string> synsets;
  for (const std::string& word : text.vocabulary()) {
    auto noun = reader.read(word);
    if (!noun || !fact_of(*noun, kCategory) || !fact_of(*noun, kKind)) continue;
    if (static_cast<int>(noun->facts.size()) < limits.least_facts) continue;
    if (synsets.insert(noun->synset).second) all.push_back(std::move(*noun));
  }
  const Answers counts = count_answers(all);
  std::erase_if(all, [&](const FactNoun& noun) {
    return counts.at({kKind, fact_of(noun, kKind)->answer}) < kSharedKind;
  });
  return all;
}

OldAndNewNouns choose_nouns(const std::vector<FactNoun>& askable, const NounChoice& choice) {
  const auto order =
      Random(choice.seed, "wordnet/nouns").permutation(static_cast<std::int64_t>(askable.size()));
  NounTaker old_taker(choice.old_nouns, choice.largest_share);
  std::vector<const FactNoun*> rest;
  for (const std::int64_t place : order) {
    const FactNoun& noun = askable[static_cast<std::size_t>(place)];
    if (old_taker.full() || !old_taker.take(noun)) rest.push_back(&noun);
  }
  check_enough(old_taker, choice.old_nouns, "old");

  const Answers old_answers = count_answers(old_taker.taken());
  std::set<std::string> said;
  for (const auto& [answer, count] : old_answers) said.insert(answer.second);
  NounTaker new_taker(choice.new_nouns, choice.largest_share);
  for (const FactNoun* noun : rest) {
    if (new_taker.full()) break;
    if (said.contains(noun->noun)) continue;
    const FactNoun known = with_known_answers(*noun, old_answers);
    if (fact_of(known, kCategory) != nullptr && fact_of(known, kKind) != nullptr &&
        known.facts.size() >= kLeastNewFacts) {
      new_taker.take(known);
    }
  }
  check_enough(new_taker, choice.new_nouns, "new");
  return {old_taker.taken(), new_taker.taken()};
}

double majority_share(const std::vector<FactNoun>& known, const std::vector<FactNoun>& asked) {
  std::map<WordNetRelation, std::pair<std::string, int>> best;
  for (const auto& [answer, count] : count_answers(known)) {
    auto& [word, most] = best[answer.first];
    if (count > most) word = answer.second, most = count;
  }
  int right = 0, all = 0;
  for (const FactNoun& noun : asked) {
    for (const NounFact& fact : noun.facts) {
      right += best[fact.relation].first == fact.answer;
      ++all;
    }
  }
  return all > 0 ? static_cast<double>(right) / all : 0.0;
}

std::string_view number_word(std::size_t number) {
  constexpr std::array<std::string_view, 9> kWords = {"one", "two",   "three", "four", "five",
                                                      "six", "seven", "eight", "nine"};
  return number >= 1 && number <= kWords.size() ? kWords[number - 1] : std::string_view();
}

std::string fact_sentence(const NounFact& fact, const char* wording) {
  return fill(fact, wording, false);
}

std::string fact_prompt(const NounFact& fact, const char* wording) {
  return fill(fact, wording, true);
}

}  // namespace slotwise
