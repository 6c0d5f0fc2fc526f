#include "data/wordnet_text.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <unordered_map>

#include "data/wordnet.h"

namespace slotwise {
namespace {

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

// All definitions and examples that are neither too short nor too long.
std::vector<GlossSentence> read_sentences(const std::filesystem::path& folder,
                                          const GlossLimits& limits) {
  std::vector<GlossSentence> sentences;
  const auto add = [&](const std::string& text, const std::vector<std::string>& noun_synsets) {
    std::vector<std::string> words = gloss_words(text);
    const auto size = static_cast<int>(words.size());
    if (size < limits.least_words || size > limits.longest) return;
    sentences.push_back({std::move(words), noun_synsets});
  };
  for (const char* part : {"noun", "verb", "adj", "adv"}) {
    for (const WordNetSynset& synset : read_wordnet_data(folder / fmt::format("data.{}", part))) {
      std::vector<std::string> noun;
      if (std::string_view(part) == "noun") noun = {synset.offset};
      add(synset.definition, noun);
      for (const std::string& example : synset.examples) add(example, noun);
    }
  }
  return sentences;
}

std::vector<std::string> most_frequent(const std::vector<GlossSentence>& sentences, int most) {
  std::unordered_map<std::string, std::int64_t> counts;
  for (const GlossSentence& sentence : sentences) {
    for (const std::string& word : sentence.words) ++counts[word];
  }
  std::vector<std::pair<std::string, std::int64_t>> order(counts.begin(), counts.end());
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  order.resize(std::min(order.size(), static_cast<std::size_t>(most)));
  std::vector<std::string> words;
  for (auto& [word, count] : order) words.push_back(word);
  return words;
}

}  // namespace

std::vector<std::string> gloss_words(std::string_view gloss) {
  std::vector<std::string> words;
  for (std::size_t i = 0; i < gloss.size(); ++i) {
    const char c = lower(gloss[i]);
    if (c < ' ' || c > '~') return {};
    if (c == ' ') continue;
    if (!is_letter(c)) {
      words.emplace_back(1, c);
      continue;
    }
    std::string word(1, c);
    // Hyphen and apostrophe belong to a word when letters follow.
    for (; i + 1 < gloss.size(); ++i) {
      const char next = lower(gloss[i + 1]);
      const bool joins =
          (next == '-' || next == '\'') && i + 2 < gloss.size() && is_letter(lower(gloss[i + 2]));
      if (!is_letter(next) && !joins) break;
      word += next;
    }
    words.push_back(std::move(word));
  }
  return words;
}

GlossText::GlossText(const std::filesystem::path& folder, const GlossLimits& limits) {
  std::vector<GlossSentence> all = read_sentences(folder, limits);
  vocabulary_ = most_frequent(all, limits.vocabulary);
  known_.insert(vocabulary_.begin(), vocabulary_.end());
  std::unordered_map<std::string, std::size_t> seen;  // the place in sentences_
  for (GlossSentence& sentence : all) {
    const bool known = std::all_of(sentence.words.begin(), sentence.words.end(),
                                   [&](const std::string& word) { return knows(word); });
    if (!known) continue;
    const auto [found, first] = seen.emplace(joined(sentence.words), sentences_.size());
    if (first) {
      sentences_.push_back(std::move(sentence));
    } else {
      auto& synsets = sentences_[found->second].noun_synsets;
      synsets.insert(synsets.end(), sentence.noun_synsets.begin(), sentence.noun_synsets.end());
    }
  }
}

std::string joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

}  // namespace slotwise
