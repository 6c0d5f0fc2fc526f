// Reader of WordNet's database files (wndb(5)): data.noun and its kin have a line a synset with its
// words, pointers and gloss, index.noun a line a lemma with its synsets, the most frequent sense
// first. Lines of the licence, which begin with a space, are skipped. Nothing is searched by byte
// offset: a synset's offset is only its name.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace slotwise {

struct WordNetPointer {
  std::string symbol;  // "@" hypernym, "@i" of an instance, "~" hyponym, "#p" holonym, "%p" meronym
  std::string target;  // offset of the other synset
  char part_of_speech = 'n';
};

struct WordNetSynset {
  std::string offset;
  int lexicographer_file = 0;      // 5: noun.animal; see noun_category()
  std::vector<std::string> words;  // as written: "dog", "domestic_dog", "Canis_familiaris"
  std::vector<WordNetPointer> pointers;
  std::string definition;
  std::vector<std::string> examples;  // without their quotes
};

struct WordNetLemma {
  std::string lemma;      // lower case
  int tagged_senses = 0;  // how many of its senses occur in the texts that were tagged by hand
  std::vector<std::string> offsets;
};

// UserErrors name the file and the line.
std::vector<WordNetSynset> read_wordnet_data(const std::filesystem::path& path);
std::vector<WordNetLemma> read_wordnet_index(const std::filesystem::path& path);

// The nouns, with the way from an offset to its synset.
class WordNetNouns {
 public:
  explicit WordNetNouns(const std::filesystem::path& folder);

  const std::vector<WordNetSynset>& synsets() const { return synsets_; }
  const std::vector<WordNetLemma>& lemmas() const { return lemmas_; }
  const WordNetSynset& synset(const std::string& offset) const;  // UserError where there is none

 private:
  std::string data_path_;
  std::vector<WordNetSynset> synsets_;
  std::vector<WordNetLemma> lemmas_;
  std::unordered_map<std::string, std::size_t> place_;
};

// The files that are read: data.* of all parts of speech and index.noun. UserError where one is
// missing.
std::vector<std::filesystem::path> wordnet_files(const std::filesystem::path& folder);

// The name of a noun's lexicographer file, "animal" for 5 ("noun.animal"); empty for other numbers.
std::string_view noun_category(int lexicographer_file);

}  // namespace slotwise
