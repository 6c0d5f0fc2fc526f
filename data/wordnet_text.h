// The general text of the kind "wordnet": definitions and examples of all synsets as sentences of
// lower-case words, and the closed vocabulary of the most frequent words among them.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace slotwise {

// Words and marks of a gloss in lower case: "The dog's (old) kennel" -> the dog's ( old ) kennel.
// Empty where the text holds anything but printable ASCII.
std::vector<std::string> gloss_words(std::string_view gloss);

struct GlossSentence {
  std::vector<std::string> words;
  std::vector<std::string> noun_synsets;  // the offsets of the nouns that it describes
};

struct GlossLimits {
  int vocabulary = 0;   // words
  int least_words = 3;  // of a sentence
  int longest = 0;      // in words
};

class GlossText {
 public:
  // Reads the data files of the folder.
  GlossText(const std::filesystem::path& folder, const GlossLimits& limits);

  // The most frequent words of the sentences that are not too long, most frequent first; equals in
  // alphabetical order.
  const std::vector<std::string>& vocabulary() const { return vocabulary_; }
  bool knows(std::string_view word) const { return known_.contains(std::string(word)); }
  // The sentences that have known words only, each once, in the order of the files.
  const std::vector<GlossSentence>& sentences() const { return sentences_; }

 private:
  std::vector<std::string> vocabulary_;
  std::unordered_set<std::string> known_;
  std::vector<GlossSentence> sentences_;
};

// Words joined by single spaces.
std::string joined(const std::vector<std::string>& words);

}  // namespace slotwise
