#include "data/wordnet.h"

#include <array>
#include <charconv>

#include "core/error.h"
#include "data/compressed_file.h"

namespace slotwise {
namespace {

// The fields of a line, separated by single spaces.
class Fields {
 public:
  explicit Fields(std::string_view text) : rest_(text) {}

  std::string_view next() {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
    if (rest_.empty()) user_error("the line ends too early");
    const std::size_t end = std::min(rest_.find(' '), rest_.size());
    const std::string_view field = rest_.substr(0, end);
    rest_.remove_prefix(end);
    return field;
  }
  int number(int base = 10) {
    const std::string_view field = next();
    int value = 0;
    const auto [end, error] =
        std::from_chars(field.data(), field.data() + field.size(), value, base);
    if (error != std::errc() || end != field.data() + field.size() || value < 0) {
      user_error("expected a number, found \"{}\"", field);
    }
    return value;
  }

 private:
  std::string_view rest_;
};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kEdge = " ;";
  const std::size_t begin = text.find_first_not_of(kEdge);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(kEdge) - begin + 1);
}

// The definition ends at the first quote that begins a part of its own; what is quoted from there
// on are examples. A quote inside of a definition does not follow a semicolon.
void split_gloss(std::string_view gloss, WordNetSynset& synset) {
  gloss = trimmed(gloss);
  std::size_t quote = gloss.starts_with('"') ? 0 : gloss.find("; \"");
  if (quote == gloss.npos) {
    synset.definition = gloss;
    return;
  }
  synset.definition = trimmed(gloss.substr(0, quote));
  std::string_view rest = gloss.substr(quote);
  while ((quote = rest.find('"')) != rest.npos) {
    rest.remove_prefix(quote + 1);
    const std::size_t end = std::min(rest.find('"'), rest.size());
    if (const auto example = trimmed(rest.substr(0, end)); !example.empty()) {
      synset.examples.emplace_back(example);
    }
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

WordNetSynset parse_synset(std::string_view line) {
  const std::size_t bar = line.find('|');
  if (bar == line.npos) user_error("a synset without its gloss");
  Fields fields(line.substr(0, bar));
  WordNetSynset synset;
  synset.offset = fields.next();
  synset.lexicographer_file = fields.number();
  fields.next();  // the type of the synset: known from the file
  const int words = fields.number(16);
  for (int i = 0; i < words; ++i) {
    synset.words.emplace_back(fields.next());
    fields.next();  // tells homonyms of a lexicographer file apart
  }
  const int pointers = fields.number();
  for (int i = 0; i < pointers; ++i) {
    WordNetPointer& pointer = synset.pointers.emplace_back();
    pointer.symbol = fields.next();
    pointer.target = fields.next();
    pointer.part_of_speech = fields.next().front();
    fields.next();  // which words the pointer joins
  }
  split_gloss(line.substr(bar + 1), synset);
  return synset;
}

WordNetLemma parse_lemma(std::string_view line) {
  Fields fields(line);
  WordNetLemma lemma;
  lemma.lemma = fields.next();
  fields.next();  // part of speech
  const int senses = fields.number();
  const int symbols = fields.number();
  for (int i = 0; i < symbols; ++i) fields.next();
  fields.next();  // the number of senses again
  lemma.tagged_senses = fields.number();
  for (int i = 0; i < senses; ++i) lemma.offsets.emplace_back(fields.next());
  return lemma;
}

template <class Parse>
auto read_entries(const std::filesystem::path& path, Parse&& parse) {
  std::vector<decltype(parse(std::string_view()))> entries;
  read_lines(path, [&](std::string_view text, std::int64_t line) {
    if (text.empty() || text.front() == ' ') return;
    try {
      entries.push_back(parse(text));
    } catch (const UserError& error) {
      user_error("{}, line {}: {}", path.string(), line, error.what());
    }
  });
  return entries;
}

}  // namespace

std::vector<WordNetSynset> read_wordnet_data(const std::filesystem::path& path) {
  return read_entries(path, parse_synset);
}

std::vector<WordNetLemma> read_wordnet_index(const std::filesystem::path& path) {
  return read_entries(path, parse_lemma);
}

WordNetNouns::WordNetNouns(const std::filesystem::path& folder)
    : data_path_((folder / "data.noun").string()),
      synsets_(read_wordnet_data(folder / "data.noun")),
      lemmas_(read_wordnet_index(folder / "index.noun")) {
  for (std::size_t i = 0; i < synsets_.size(); ++i) place_.emplace(synsets_[i].offset, i);
}

const WordNetSynset& WordNetNouns::synset(const std::string& offset) const {
  const auto found = place_.find(offset);
  if (found == place_.end()) user_error("{} has no synset {}", data_path_, offset);
  return synsets_[found->second];
}

std::vector<std::filesystem::path> wordnet_files(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const char* name : {"data.noun", "data.verb", "data.adj", "data.adv", "index.noun"}) {
    files.push_back(folder / name);
    if (std::filesystem::is_regular_file(files.back())) continue;
    user_error(
        "WordNet's {} is not in {}: install the package wordnet-base, or give the folder with "
        "--set data.wordnet=PATH",
        name, folder.string());
  }
  return files;
}

std::string_view noun_category(int lexicographer_file) {
  constexpr int kFirst = 3;
  static constexpr std::array<std::string_view, 26> kNames = {
      "Tops",          "act",    "animal",     "artifact",  "attribute",  "body",     "cognition",
      "communication", "event",  "feeling",    "food",      "group",      "location", "motive",
      "object",        "person", "phenomenon", "plant",     "possession", "process",  "quantity",
      "relation",      "shape",  "state",      "substance", "time"};
  const int place = lexicographer_file - kFirst;
  return place < 0 || place >= static_cast<int>(kNames.size())
             ? std::string_view()
             : kNames[static_cast<std::size_t>(place)];
}

}  // namespace slotwise
