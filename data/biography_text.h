// General text of the biographies' world: sentences of a small grammar in which every adjective,
// noun and verb prefers six followers, each half as often as the one before it. There is something
// to learn, and something to forget, that has nothing to do with people.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/random.h"

namespace slotwise {

class BiographyGrammar {
 public:
  explicit BiographyGrammar(std::uint64_t seed);
  // The next sentence that `random` gives.
  std::string sentence(Random& random) const;

 private:
  using Followers = std::vector<std::vector<std::int64_t>>;
  static Followers draw_followers(Random& random, int count, int candidates);
  static std::int64_t follower(const Followers& followers, std::int64_t of, Random& random);

  Followers nouns_of_adjective_, verbs_of_noun_, nouns_of_verb_;
};

std::vector<std::string> grammar_vocabulary();

}  // namespace slotwise
