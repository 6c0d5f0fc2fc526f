#include "data/biography_text.h"

#include <array>

namespace slotwise {
namespace {

constexpr int kNouns = 48;
constexpr int kVerbs = 32;
constexpr int kAdjectives = 24;
constexpr int kFollowers = 6;
constexpr std::array kDeterminers = {"the", "a", "every", "some"};
constexpr std::array kPrepositions = {"near", "with", "under", "behind"};
constexpr std::array kAdverbs = {"slowly", "quickly"};

template <class Words>
const char* one_of(const Words& words, Random& random) {
  return words[random.below(words.size())];
}

}  // namespace

BiographyGrammar::Followers BiographyGrammar::draw_followers(Random& random, int count,
                                                             int candidates) {
  Followers followers;
  for (int i = 0; i < count; ++i) {
    followers.push_back(random.permutation(candidates));
    followers.back().resize(kFollowers);
  }
  return followers;
}

BiographyGrammar::BiographyGrammar(std::uint64_t seed) {
  Random random(seed, "biographies/grammar");
  nouns_of_adjective_ = draw_followers(random, kAdjectives, kNouns);
  verbs_of_noun_ = draw_followers(random, kNouns, kVerbs);
  nouns_of_verb_ = draw_followers(random, kVerbs, kNouns);
}

// Weights 32, 16, 8, 4, 2, 1.
std::int64_t BiographyGrammar::follower(const Followers& followers, std::int64_t of,
                                        Random& random) {
  std::uint64_t drawn = random.below((1u << kFollowers) - 1);
  std::size_t rank = 0;
  for (std::uint64_t weight = 1u << (kFollowers - 1); drawn >= weight; weight /= 2) {
    drawn -= weight;
    ++rank;
  }
  return followers[static_cast<std::size_t>(of)][rank];
}

std::string BiographyGrammar::sentence(Random& random) const {
  const auto adjective = static_cast<std::int64_t>(random.below(kAdjectives));
  const std::int64_t subject = follower(nouns_of_adjective_, adjective, random);
  const std::int64_t verb = follower(verbs_of_noun_, subject, random);
  const std::int64_t object = follower(nouns_of_verb_, verb, random);
  const char* first_determiner = one_of(kDeterminers, random);
  const char* second_determiner = one_of(kDeterminers, random);
  std::string text = fmt::format("{} adj{} noun{} verb{} {} noun{}", first_determiner, adjective,
                                 subject, verb, second_determiner, object);
  const float form = random.uniform();
  if (form < 0.3f) {
    const std::int64_t second_verb = follower(verbs_of_noun_, object, random);
    const char* adverb = one_of(kAdverbs, random);
    text += fmt::format(" and {} verb{} a noun{}", adverb, second_verb,
                        follower(nouns_of_verb_, second_verb, random));
  } else if (form < 0.6f) {
    const auto second_adjective = static_cast<std::int64_t>(random.below(kAdjectives));
    const char* preposition = one_of(kPrepositions, random);
    text += fmt::format(" {} the adj{} noun{}", preposition, second_adjective,
                        follower(nouns_of_adjective_, second_adjective, random));
  }
  return text + " .";
}

std::vector<std::string> grammar_vocabulary() {
  std::vector<std::string> words;
  const auto add_numbered = [&](const char* stem, int count) {
    for (int i = 0; i < count; ++i) words.push_back(fmt::format("{}{}", stem, i));
  };
  add_numbered("noun", kNouns);
  add_numbered("verb", kVerbs);
  add_numbered("adj", kAdjectives);
  words.insert(words.end(), kDeterminers.begin(), kDeterminers.end());
  words.insert(words.end(), kPrepositions.begin(), kPrepositions.end());
  // "then" is never drawn: it keeps the vocabulary at the 429 words of the recipe.
  words.insert(words.end(), {"and", "then", "slowly", "quickly", "."});
  return words;
}

}  // namespace slotwise
