// WordNet's database files in miniature, written in the format of wndb(5): byte offsets as names,
// counts in hexadecimal, the licence above. Forty common nouns of four kinds, each with a synonym,
// a part, an example or a definition and one to four senses, and verbs whose examples use every
// noun.
#pragma once

#include <fmt/core.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "tests/data/temporary_folder.h"

namespace slotwise {

struct TinySynset {
  int file = 0;
  std::vector<std::string> words;
  std::vector<std::pair<std::string, std::size_t>> pointers;  // symbol, place of the other
  std::string gloss;
  int tagged_senses = 1;  // of its first word
};

// The text of a data file, and the offset of each synset in it.
inline std::pair<std::string, std::vector<std::string>> wordnet_data_text(
    const std::vector<TinySynset>& synsets, char type) {
  std::vector<std::string> offsets(synsets.size(), "00000000");
  std::string text;
  for (int pass = 0; pass < 2; ++pass) {  // offsets have 8 digits: the second pass has them right
    text = "  1 This is the licence.  \n  2 It has two lines | and a bar.  \n";
    for (std::size_t i = 0; i < synsets.size(); ++i) {
      const TinySynset& synset = synsets[i];
      const std::string offset = fmt::format("{:08}", text.size());
      text += fmt::format("{} {:02} {} {:02x}", offset, synset.file, type, synset.words.size());
      for (const std::string& word : synset.words) text += " " + word + " 0";
      text += fmt::format(" {:03}", synset.pointers.size());
      for (const auto& [symbol, target] : synset.pointers) {
        text += fmt::format(" {} {} n 0000", symbol, offsets[target]);
      }
      text += " | " + synset.gloss + "  \n";
      offsets[i] = offset;
    }
  }
  return {text, offsets};
}

inline std::string wordnet_index_text(const std::vector<TinySynset>& synsets,
                                      const std::vector<std::string>& offsets) {
  std::string text = "  1 This is the licence.  \n";
  for (std::size_t i = 0; i < synsets.size(); ++i) {
    std::string lemma = synsets[i].words[0];
    for (char& c : lemma) c = static_cast<char>(std::tolower(c));
    const std::size_t senses = 1 + i % 4;
    text += fmt::format("{0} n {1} 2 @ ~ {1} {2} {3}", lemma, senses, synsets[i].tagged_senses,
                        offsets[i]);
    for (std::size_t other = 1; other < senses; ++other) text += " " + offsets[0];
    text += "  \n";
  }
  return text;
}

inline constexpr int kTinyNouns = 40;

inline std::string tiny_noun(int i) {
  return fmt::format("noun{}{}", static_cast<char>('a' + i / 10), static_cast<char>('a' + i % 10));
}

// 0: the root; 1-4: kinds; 5-44: the nouns; then a proper noun and one that no text was tagged
// with.
inline std::vector<TinySynset> tiny_nouns() {
  constexpr int kFirst = 5;
  const std::vector<std::string> kinds = {"beast", "tool", "dish", "place"};
  const int files[] = {5, 6, 13, 15};  // animal, artifact, food, location
  std::vector<TinySynset> synsets = {{3, {"entity"}, {}, "that which is"}};
  for (std::size_t k = 0; k < kinds.size(); ++k) {
    synsets.push_back({files[k], {kinds[k]}, {{"@", 0}}, "a sort of thing"});
  }
  for (int i = 0; i < kTinyNouns; ++i) {
    const int kind = i % 4;
    TinySynset synset{files[kind], {tiny_noun(i)}, {{"@", 1u + static_cast<unsigned>(kind)}}, ""};
    const auto neighbour = static_cast<std::size_t>(kFirst + (i + 7) % kTinyNouns);
    if (i % 3 == 0) synset.words.push_back("other" + tiny_noun(i));
    if (i % 3 == 1) synset.pointers.push_back({"%p", neighbour});
    if (i % 3 == 2) synset.pointers.push_back({i % 2 == 0 ? "~" : "#p", neighbour});
    synset.gloss =
        fmt::format("the {} {} of them all; \"the {} was there\"", i % 2 == 0 ? "great" : "small",
                    kinds[static_cast<std::size_t>(kind)], tiny_noun(i));
    if (i % 5 == 0) synset.gloss = "number " + std::to_string(i) + " of them";
    synsets.push_back(std::move(synset));
  }
  synsets.push_back({5, {"Rover"}, {{"@", 1}, {"~", 6}}, "a name"});
  synsets.push_back({5, {"unseen"}, {{"@", 1}, {"~", 6}}, "a word", 0});
  return synsets;
}

// Four sentences with each noun, and its other word.
inline std::vector<TinySynset> tiny_verbs() {
  std::vector<TinySynset> synsets;
  const auto add = [&](const std::string& noun) {
    synsets.push_back({29,
                       {"do"},
                       {},
                       fmt::format("do to the {0}; \"they see the {0}\"; \"take the {0} away\"; "
                                   "\"no {0} was seen\"",
                                   noun)});
  };
  for (int i = 0; i < kTinyNouns; ++i) {
    add(tiny_noun(i));
    if (i % 3 == 0) add("other" + tiny_noun(i));
  }
  for (const char* word : {"beast", "tool", "dish", "place", "rover", "unseen"}) add(word);
  return synsets;
}

inline void write_tiny_wordnet(const TemporaryFolder& folder) {
  const auto [nouns, offsets] = wordnet_data_text(tiny_nouns(), 'n');
  folder.write("data.noun", nouns);
  folder.write("index.noun", wordnet_index_text(tiny_nouns(), offsets));
  folder.write("data.verb", wordnet_data_text(tiny_verbs(), 'v').first);
  folder.write("data.adj", wordnet_data_text({{0, {"new"}, {}, "not old at all"}}, 'a').first);
  folder.write("data.adv", wordnet_data_text({{2, {"now"}, {}, "at this time"}}, 'r').first);
}

}  // namespace slotwise
